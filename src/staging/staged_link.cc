// See staged_link.h.
#include "staging/staged_link.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace kelvin {
namespace {

constexpr Status kCanceled(Code::kCanceled, "copying through host memory");

// As slow as the slower half; 0: as fast as can be.
std::uint64_t slower(std::uint64_t a, std::uint64_t b) noexcept {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

bool says_of_device(const Status& status) noexcept {
  return !status.ok() && status.code() != Code::kCanceled;
}

LinkInfo describe(const Tier& staging, const LinkInfo& in, const LinkInfo& out, int wake_fd) {
  LinkInfo info;
  info.name = in.from->info().name + ">" + out.to->info().name;
  info.from = in.from;
  info.to = out.to;
  // More would only wait inside, where the mover cannot let what is urgent go first.
  info.depth = std::min(staging.info().slots, in.depth + out.depth);
  info.latency_ns = in.latency_ns + out.latency_ns;
  info.bytes_per_second = slower(in.bytes_per_second, out.bytes_per_second);
  info.wake_fd = wake_fd;
  info.slowed = in.slowed != nullptr ? in.slowed : out.slowed;
  return info;
}

}  // namespace

StagedLink::StagedLink(std::unique_ptr<Tier> staging, std::unique_ptr<Link> in, std::unique_ptr<Link> out)
    : staging_(std::move(staging)),
      in_{std::move(in), Fifo<std::uint32_t>(staging_->info().slots)},
      out_{std::move(out), Fifo<std::uint32_t>(staging_->info().slots)},
      wake_(in_.link->info().wake_fd, out_.link->info().wake_fd),
      info_(describe(*staging_, in_.link->info(), out_.link->info(), wake_.fd())),
      flights_(info_.depth),
      free_(numbered(info_.depth)),
      finished_(flights_.size()) {
  assert(in_.link->info().to == staging_.get() && out_.link->info().from == staging_.get());
}

std::size_t StagedLink::submit(std::span<const Copy> copies) noexcept {
  const std::size_t taken = std::min(copies.size(), free_.size());
  for (const Copy& copy : copies.first(taken)) {
    const std::uint32_t n = free_.pop();
    flights_[n] = {.copy = copy, .end = {}};
    in_.waiting.push(n);
  }
  pump(in_);
  return taken;
}

std::size_t StagedLink::poll(std::span<Completion> done) noexcept {
  wake_.drain();
  collect(in_);
  pump(out_);
  collect(out_);
  pump(in_);
  std::size_t reported = 0;
  for (; reported < done.size() && !finished_.empty(); ++reported) {
    const std::uint32_t n = finished_.pop();
    const Flight& flight = flights_[n];
    done[reported] = flight.end;
    done[reported].tag = flight.copy.tag;
    done[reported].checksum = flight.end.status.ok() && flight.copy.checksum ? flight.checksum : 0;
    free_.push(n);
  }
  if (!finished_.empty()) wake_.signal();
  return reported;
}

void StagedLink::cancel_all() noexcept {
  for (Flight& flight : flights_) flight.canceled = true;
  cancel(in_);
  cancel(out_);
  if (!finished_.empty()) wake_.signal();
}

void StagedLink::cancel(Half& half) noexcept {
  while (!half.waiting.empty()) {
    finish(half.waiting.pop(), {.status = kCanceled});
  }
  half.link->cancel_all();
}

Copy StagedLink::half_of(const Half& half, std::uint32_t n) const noexcept {
  Copy copy = flights_[n].copy;
  copy.tag = n;
  if (&half == &in_) {
    copy.to = Slot(n);
    copy.arrived = nullptr;  // of the place where the block goes, which is not here
  } else {
    copy.from = Slot(n);
    copy.checksum = false;
    copy.known_checksum = flights_[n].checksum;
  }
  return copy;
}

void StagedLink::pump(Half& half) noexcept {
  while (!half.waiting.empty()) {
    const std::size_t count = std::min(half.waiting.size(), copies_.size());
    for (std::size_t i = 0; i < count; ++i) copies_[i] = half_of(half, half.waiting[i]);
    const std::size_t taken = half.link->submit({copies_.data(), count});
    for (std::size_t i = 0; i < taken; ++i) half.waiting.pop();
    if (taken < count) return;
  }
}

void StagedLink::collect(Half& half) noexcept {
  const std::size_t count = half.link->poll(completions_);
  for (const Completion& completion : std::span(completions_).first(count)) {
    const auto n = static_cast<std::uint32_t>(completion.tag);
    if (&half == &in_ && completion.status.ok()) {
      arrive(n, completion);
      continue;
    }
    Completion end = completion;
    if (says_of_device(end.status)) end.failed = &half == &in_ ? Side::kFrom : Side::kTo;
    finish(n, end);
  }
}

// The block is in its staging slot.
void StagedLink::arrive(std::uint32_t n, const Completion& completion) noexcept {
  Flight& flight = flights_[n];
  flight.checksum = flight.copy.checksum ? completion.checksum : flight.copy.known_checksum;
  if (flight.canceled) {
    finish(n, {.status = kCanceled});
  } else {
    out_.waiting.push(n);
  }
}

void StagedLink::finish(std::uint32_t n, const Completion& end) noexcept {
  flights_[n].end = end;
  finished_.push(n);
}

}  // namespace kelvin
