// See journal.h.
#include "journal/journal.h"

#include <new>

namespace kelvin {

Result<std::unique_ptr<Journal>> Journal::make() noexcept {
  std::unique_ptr<Journal> journal(new (std::nothrow) Journal);
  if (journal == nullptr) return Status(Code::kFull, "making the journal");
  for (Ring& ring : journal->rings_) {
    auto events = HugeArray<Event>::make(kEvents);
    if (!events.ok()) return events.status();
    SpinGuard guard(ring.lock);
    ring.events = std::move(events).value();
  }
  return journal;
}

std::size_t Journal::push(std::span<const Event> events) noexcept {
  Ring& ring = rings_[thread_number() % kRings];
  SpinGuard guard(ring.lock);
  const std::size_t count = std::min<std::size_t>(events.size(), kEvents - (ring.head - ring.tail));
  for (std::size_t i = 0; i < count; ++i) ring.events[(ring.head + i) % kEvents] = events[i];
  ring.head += count;
  ring.pending.store(ring.head - ring.tail, std::memory_order_release);
  return count;
}

bool Journal::pressing() const noexcept {
  return std::any_of(rings_.begin(), rings_.end(), [](const Ring& ring) {
    return ring.pending.load(std::memory_order_relaxed) > kEvents / 2;
  });
}

bool Journal::empty() const noexcept {
  return std::all_of(rings_.begin(), rings_.end(),
                     [](const Ring& ring) { return ring.pending.load(std::memory_order_acquire) == 0; });
}

}  // namespace kelvin
