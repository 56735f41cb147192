// See host_link.h.
#include "tiers/host/host_link.h"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace kelvin {
namespace {

// Estimates until the mover has measured: what a slow server core does past its caches, and a wake-up.
constexpr std::uint64_t kBytesPerSecond = 10'000'000'000;
constexpr std::uint64_t kOverheadNs = 1000;

// Walks the bytes of one slot, segment by segment.
class Cursor {
 public:
  Cursor(const Tier& tier, Slot slot, std::uint64_t segment_bytes) noexcept
      : tier_(tier), slot_(slot), segment_bytes_(segment_bytes) {}

  // Where the cursor stands; `left()` bytes follow it without a gap.
  std::byte* here() const noexcept { return tier_.address(slot_, segment_).pointer + offset_; }
  std::uint64_t left() const noexcept { return segment_bytes_ - offset_; }
  void advance(std::uint64_t bytes) noexcept {
    offset_ += bytes;
    if (offset_ == segment_bytes_) {
      offset_ = 0;
      ++segment_;
    }
  }

 private:
  const Tier& tier_;
  Slot slot_;
  std::uint64_t segment_bytes_;
  std::uint32_t segment_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace

bool HostLink::joins(const TierInfo& from, const TierInfo& to) noexcept {
  return from.space == AddressSpace::kHost && to.space == AddressSpace::kHost &&
         from.slot_bytes == to.slot_bytes;
}

HostLink::HostLink(const Tier& from, const Tier& to)
    : slot_bytes_(from.info().slot_bytes),
      from_segment_bytes_(from.info().segment_bytes),
      to_segment_bytes_(to.info().segment_bytes) {
  assert(joins(from.info(), to.info()));
  info_.name = from.info().name + ">" + to.info().name;
  info_.from = &from;
  info_.to = &to;
  info_.depth = kDepth;
  info_.bytes_per_second = kBytesPerSecond;
  // Nanoseconds a byte first: a block's bytes times 1e9 might not fit.
  info_.latency_ns = kOverheadNs + slot_bytes_ / (kBytesPerSecond / 1'000'000'000);
}

std::size_t HostLink::submit(std::span<const Copy> copies) noexcept {
  const std::size_t taken = std::min<std::size_t>(copies.size(), kDepth - queued_);
  for (const Copy& copy : copies.first(taken)) {
    assert(copy.from.value < info_.from->info().slots && copy.to.value < info_.to->info().slots);
    queue_[(first_ + queued_) % kDepth] = copy;
    ++queued_;
  }
  return taken;
}

std::size_t HostLink::poll(std::span<Completion> done) noexcept {
  std::size_t count = 0;
  std::uint64_t copied = 0;
  while (count < done.size() && queued_ > 0 && copied < kBytesPerPoll) {
    const Copy& copy = queue_[first_];
    if (canceled_ > 0) {
      --canceled_;
      done[count] = {copy.tag, Status(Code::kCanceled, "copying in host memory"), 0};
    } else {
      done[count] = carry_out(copy);
      copied += slot_bytes_;
    }
    ++count;
    first_ = (first_ + 1) % kDepth;
    --queued_;
  }
  return count;
}

void HostLink::cancel_all() noexcept { canceled_ = queued_; }

Completion HostLink::carry_out(const Copy& copy) noexcept {
  const bool timed = choice_.timed(copy.checksum);
  const auto start = timed ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  const std::uint32_t checksum = carry_out(copy, choice_.next(copy.checksum));
  const auto took = timed ? std::chrono::steady_clock::now() - start : std::chrono::nanoseconds();
  choice_.made(copy.checksum, static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count()));
  return {copy.tag, Status(), checksum};
}

std::uint32_t HostLink::carry_out(const Copy& copy, const crc::Kernel& kernel) const noexcept {
  Cursor from(*info_.from, copy.from, from_segment_bytes_);
  Cursor to(*info_.to, copy.to, to_segment_bytes_);
  std::uint32_t checksum = 0;
  for (std::uint64_t left = slot_bytes_; left > 0;) {
    const std::uint64_t bytes = std::min(from.left(), to.left());
    if (copy.checksum) {
      checksum = kernel.copy_crc32c(to.here(), from.here(), bytes, checksum);
    } else {
      kernel.copy_stream(to.here(), from.here(), bytes);
    }
    from.advance(bytes);
    to.advance(bytes);
    left -= bytes;
  }
  return checksum;
}

}  // namespace kelvin
