// Entries and holds are answered. See mover.h.
#include <algorithm>

#include "base/event_fd.h"
#include "base/futex.h"
#include "base/spin_lock.h"
#include "mover/mover.h"

namespace kelvin {

std::uint32_t Mover::waiters_in(const ActiveMove& move, TierIndex tier) noexcept {
  std::uint32_t count = 0;
  each_waiter(move, [&](const Hold& hold, const HoldEntry&) {
    if (hold.tier == tier) ++count;
  });
  return count;
}

// Precondition: `slot` has a pin for each waiter in `tier`. The others go on waiting.
void Mover::answer_waiters(ActiveMove& move, TierIndex tier, Slot slot) noexcept {
  std::uint32_t h = move.waiting_hold;
  std::uint32_t e = move.waiting_entry;
  move.waiting_hold = IndexStack::kNone;
  while (h != IndexStack::kNone) {
    Hold& hold = holds_.at(h);
    HoldEntry& entry = hold.entries[e];
    const std::uint32_t next_hold = entry.next_hold;
    const std::uint32_t next_entry = entry.next_entry;
    if (hold.tier == tier) {
      residency_.slots(entry.source).unpin(entry.slot);
      entry.slot = slot;
      entry.kind = HoldEntry::Kind::kLeased;
      place(hold, entry, slot);
      settle_entry(hold);
    } else {
      entry.next_hold = move.waiting_hold;
      entry.next_entry = move.waiting_entry;
      move.waiting_hold = h;
      move.waiting_entry = e;
    }
    h = next_hold;
    e = next_entry;
  }
}

// Those who wait for the move hold on to the copy in `to` instead of that in `from`.
void Mover::rest_waiters_on(const ActiveMove& move, TierIndex from, TierIndex to, Slot slot) noexcept {
  each_waiter(move, [&](const Hold&, HoldEntry& entry) {
    if (entry.source != from || !residency_.slots(to).pin(slot, move.block)) return;
    residency_.slots(from).unpin(entry.slot);
    entry.source = to;
    entry.slot = slot;
  });
}

void Mover::fail_waiters(ActiveMove& move, const Status& status) noexcept {
  std::uint32_t h = move.waiting_hold;
  std::uint32_t e = move.waiting_entry;
  move.waiting_hold = IndexStack::kNone;
  while (h != IndexStack::kNone) {
    Hold& hold = holds_.at(h);
    HoldEntry& entry = hold.entries[e];
    h = entry.next_hold;
    e = entry.next_entry;
    residency_.slots(entry.source).unpin(entry.slot);
    entry.kind = HoldEntry::Kind::kFailed;
    if (hold.status.ok()) hold.status = status;
    if (status.code() != Code::kCanceled) load_failures_.fetch_add(1, std::memory_order_relaxed);
    settle_entry(hold);
  }
}

void Mover::settle_entry(Hold& hold) noexcept {
  --hold.pending;
  finish_if_ready(hold);
}

void Mover::finish_if_ready(Hold& hold) noexcept {
  if (hold.pending != 0 || hold.expanded < hold.entries.size()) return;
  // take_holds and the last entry may both come here; the state tells who was first.
  const std::uint32_t state = hold.state.load(std::memory_order_acquire);
  if (state != Hold::kLoading && state != Hold::kAbandoned) return;
  if (!wait_for_marks(hold)) finish(hold);
}

void Mover::finish(Hold& hold) noexcept {
  fail_spoiled(hold);
  shorten(hold);
  announce(hold);
}

// What lies behind a block that could not be had is of no use: the prefix ends there.
void Mover::shorten(Hold& hold) noexcept {
  const auto failed = std::find_if(hold.entries.begin(), hold.entries.end(),
                                   [](const HoldEntry& e) { return e.kind == HoldEntry::Kind::kFailed; });
  for (auto it = failed; it != hold.entries.end(); ++it) {
    if (it->kind == HoldEntry::Kind::kLeased) residency_.slots(hold.tier).unpin(it->slot);
  }
  hold.entries.erase(failed, hold.entries.end());
}

void Mover::announce(Hold& hold) noexcept {
  answer_streams(hold);
  hold.waking.store(true, std::memory_order_relaxed);
  std::uint32_t loading = Hold::kLoading;
  // Sequentially consistent with Ticket::event_fd: either it sees kDone or this sees its fd.
  if (!hold.state.compare_exchange_strong(loading, Hold::kDone, std::memory_order_seq_cst)) {
    hold.waking.store(false, std::memory_order_release);
    release(hold);  // abandoned
    return;
  }
  if (const int fd = hold.event_fd.load(std::memory_order_seq_cst); fd >= 0) EventFd::signal(fd);
  futex_wake_all(hold.state);
  hold.waking.store(false, std::memory_order_release);
}

void Mover::release(Hold& hold) noexcept {
  let_go(hold, residency_.slots(hold.tier));
  holds_.give(&hold);
}

}  // namespace kelvin
