// Event rings from callers' threads to the policy: a batch in, a batch out, bounded.
//
// Thread contract: push from any thread; drain by one thread at a time (the planner, under its lock).
// Invariants:
//   1. The events of one thread come out in the order they went in.
//   2. Nothing is lost and nothing grows: a push that does not fit says how much of it did.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/huge_array.h"
#include "base/spin_lock.h"
#include "base/thread_number.h"
#include "kelvin/policy.h"
#include "kelvin/status.h"

namespace kelvin {

class Journal {
 public:
  static Result<std::unique_ptr<Journal>> make() noexcept;

  // Returns how many events were taken, from the first.
  std::size_t push(std::span<const Event> events) noexcept;

  // Calls `sink(std::span<const Event>)` for everything that was pushed before the call.
  template <class Sink>
  void drain(Sink&& sink) noexcept;

  // A ring is half full: whoever drains should be woken.
  bool pressing() const noexcept;
  // Nothing was pushed that has not been drained, as of some moment during the call.
  bool empty() const noexcept;

 private:
  static constexpr std::size_t kRings = 8;  // threads beyond share rings
  static constexpr std::size_t kEvents = 8192;

  struct alignas(64) Ring {
    SpinLock lock;
    std::uint64_t head KELVIN_GUARDED_BY(lock) = 0;  // next to write
    std::uint64_t tail KELVIN_GUARDED_BY(lock) = 0;  // next to read
    std::atomic<std::uint64_t> pending{0};           // head - tail, readable without the lock
    HugeArray<Event> events KELVIN_GUARDED_BY(lock);
  };

  std::array<Ring, kRings> rings_;
};

template <class Sink>
void Journal::drain(Sink&& sink) noexcept {
  std::array<Event, 256> batch;
  for (Ring& ring : rings_) {
    for (std::uint64_t left = ring.pending.load(std::memory_order_acquire); left > 0;) {
      std::size_t count = 0;
      {
        SpinGuard guard(ring.lock);
        count = std::min<std::size_t>({batch.size(), left, ring.head - ring.tail});
        for (std::size_t i = 0; i < count; ++i) batch[i] = ring.events[(ring.tail + i) % kEvents];
        ring.tail += count;
        ring.pending.store(ring.head - ring.tail, std::memory_order_release);
      }
      if (count == 0) break;
      sink(std::span<const Event>(batch.data(), count));
      left -= count;
    }
  }
}

}  // namespace kelvin
