// See slot_access.h.
#include "tiers/hbm/slot_access.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "checksum/crc32c.h"
#include "tiers/hbm/slot_streams.h"

namespace kelvin::hbm {
namespace {

constexpr std::chrono::microseconds kLook{20};

}  // namespace

Result<std::unique_ptr<HbmAccess>> HbmAccess::open(const Tier& tier, Device& device, SlotStreams& streams,
                                                   std::string* why) {
  std::unique_ptr<HbmAccess> access(new HbmAccess(tier, device, streams));
  const MutexLock lock(access->mu_);
  const std::uint64_t bytes =
      std::max(std::min(tier.info().slot_bytes, kBufferBytes), std::uint64_t{kSums * sizeof(std::uint32_t)});
  auto buffer = Pinned::make(device, bytes, why);
  if (!buffer.ok()) return buffer.status();
  access->buffer_ = std::move(*buffer);
  access->extents_.reserve(tier.info().segments);
  auto queue = device.open_queue(why);
  if (!queue.ok()) return queue.status();
  access->queue_ = std::move(*queue);
  return access;
}

Status HbmAccess::read(Slot slot, std::span<std::byte> block) noexcept {
  const MutexLock lock(mu_);
  for (std::uint64_t begin = 0; begin < block.size();) {
    const std::uint64_t end = std::min<std::uint64_t>(block.size(), begin + buffer_.bytes());
    if (const Status s = transfer(slot, Direction::kToHost, begin, end); !s.ok()) return s;
    std::memcpy(block.data() + begin, buffer_.base(), end - begin);
    begin = end;
  }
  return {};
}

Status HbmAccess::write(Slot slot, std::span<const std::byte> block) noexcept {
  const MutexLock lock(mu_);
  for (std::uint64_t begin = 0; begin < block.size();) {
    const std::uint64_t end = std::min<std::uint64_t>(block.size(), begin + buffer_.bytes());
    std::memcpy(buffer_.base(), block.data() + begin, end - begin);
    if (const Status s = transfer(slot, Direction::kFromHost, begin, end); !s.ok()) return s;
    begin = end;
  }
  return {};
}

Status HbmAccess::transfer(Slot slot, Direction direction, std::uint64_t begin, std::uint64_t end) noexcept {
  const BlockBytes there{&tier_, slot, nullptr};
  // As if the whole block lay in a run of which the buffer is a part.
  const BlockBytes here{nullptr, {}, buffer_.base() - begin};
  const bool reads = direction == Direction::kToHost;
  Status status = streams_.order(*queue_, {&slot, 1});
  pieces_.clear();
  each_piece(reads ? there : here, reads ? here : there, begin, end,
             [&](const std::byte* from, std::byte* to, std::uint64_t bytes) KELVIN_NO_TSA {
               if (pieces_.full() && status.ok()) status = put_pieces(direction);
               if (status.ok()) pieces_.add(from, to, bytes);
             });
  if (status.ok()) status = put_pieces(direction);
  // Also after a failure: what has been put uses the buffer.
  const Status waited = wait();
  return status.ok() ? waited : status;
}

template <class Put>
Status HbmAccess::when_there_is_room(Put&& put) noexcept {
  Status status = put();
  while (status.code() == Code::kBusy) {
    if (const Status waited = wait(); !waited.ok()) return waited;
    status = put();
  }
  return status;
}

Status HbmAccess::put_pieces(Direction direction) noexcept {
  const bool batches = (device_.properties().ways >> static_cast<unsigned>(Way::kBatch) & 1U) != 0;
  const Way way = batches ? Way::kBatch : Way::kPlain;
  const Status status =
      when_there_is_room([&]() KELVIN_NO_TSA { return queue_->copy(direction, way, pieces_.all()); });
  pieces_.clear();
  return status;
}

Status HbmAccess::wait() noexcept {
  Result<Record> record = queue_->record();
  while (record.status().code() == Code::kBusy) {
    std::this_thread::sleep_for(kLook);
    record = queue_->record();
  }
  if (!record.ok()) return record.status();
  Status status = device_.passed(*record);
  while (status.code() == Code::kBusy) {
    std::this_thread::sleep_for(kLook);
    status = device_.passed(*record);
  }
  device_.give_back(*record);
  return status;
}

Status HbmAccess::checksums(std::span<const Slot> slots, std::span<std::uint32_t> results) noexcept {
  const MutexLock lock(mu_);
  auto* const sums = reinterpret_cast<std::uint32_t*>(buffer_.base());
  for (std::size_t first = 0; first < slots.size(); first += kSums) {
    const auto some = slots.subspan(first, std::min(kSums, slots.size() - first));
    if (!device_.properties().checksums) {
      for (std::size_t i = 0; i < some.size(); ++i) {
        if (const Status s = sum_on_host(some[i], results[first + i]); !s.ok()) return s;
      }
      continue;
    }
    Status status = streams_.order(*queue_, some);
    for (std::size_t i = 0; i < some.size() && status.ok(); ++i) status = put_checksum(some[i], &sums[i]);
    const Status waited = wait();
    if (!status.ok() || !waited.ok()) return status.ok() ? waited : status;
    std::copy_n(sums, some.size(), results.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return {};
}

Status HbmAccess::put_checksum(Slot slot, std::uint32_t* result) noexcept {
  extents_.clear();
  add_extents(tier_, slot, extents_);
  return when_there_is_room([&]() KELVIN_NO_TSA { return queue_->checksum(extents_, result); });
}

Status HbmAccess::sum_on_host(Slot slot, std::uint32_t& result) noexcept {
  result = 0;
  const std::uint64_t block = tier_.info().slot_bytes;
  for (std::uint64_t begin = 0; begin < block;) {
    const std::uint64_t end = std::min(block, begin + buffer_.bytes());
    if (const Status s = transfer(slot, Direction::kToHost, begin, end); !s.ok()) return s;
    result = crc32c(buffer_.base(), end - begin, result);
    begin = end;
  }
  return {};
}

}  // namespace kelvin::hbm
