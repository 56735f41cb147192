// Kernels of the engine are in order with what the mover does: blocks that are still being written, slots
// that are still in use, tickets that streams wait for, devices that are lost. See mover.h.
//
// A ticket that a stream waits for may not itself wait for anything on a stream: it might be the same one.
#include <algorithm>
#include <utility>

#include "mover/mover.h"

namespace kelvin {
namespace {

constexpr Status kUnwritten(Code::kUnavailable,
                            "loading a block: the kernels that write it were not done before the deadline");
constexpr Status kBeingWritten(Code::kBusy,
                               "loading a block: it is just being written on a stream; ask again");
constexpr Status kCameAnew(
    Code::kBusy, "loading a block: it had to be copied again, and what was said of it before is void");
constexpr Status kLost(Code::kUnavailable, "using a device: it is lost");
constexpr Status kClosing(Code::kCanceled, "loading blocks: the space is closing");

}  // namespace

bool Mover::overdue(std::uint64_t since_ns) const noexcept {
  return config_.deadline_ns != 0 && clock_() - since_ns >= config_.deadline_ns;
}

// --- blocks that are being written ---

// Of a ticket that a stream waits for, the blocks that were there at first are in order on that stream.
std::span<const Slot> Mover::unordered_slots(Hold& hold) const noexcept {
  std::vector<Slot>& slots = hold.streams.slots;  // acquire has made room
  slots.clear();
  for (const HoldEntry& entry : hold.entries) {
    const bool ordered = hold.streams.early && entry.source == hold.tier;
    if (entry.kind == HoldEntry::Kind::kLeased && !ordered) slots.push_back(entry.slot);
  }
  return slots;
}

// True: the hold is answered when the kernels that write its blocks are done.
bool Mover::wait_for_marks(Hold& hold) noexcept {
  Streams* const streams = streams_[hold.tier.value];
  if (streams == nullptr || hold.state.load(std::memory_order_acquire) == Hold::kAbandoned) return false;
  HoldStreams& own = hold.streams;
  own.mark = streams->open_mark(unordered_slots(hold));
  if (own.mark == 0) {
    // Also where the device is lost: nothing is open there.
    if (!streams->passed(0).ok()) fail_lost(hold);
    return false;
  }
  if (own.early || canceling_) {
    fail_unwritten(hold, canceling_ ? kClosing : kBeingWritten);
    return false;
  }
  own.since_ns = clock_();
  hold.next = std::exchange(marked_, &hold);
  return true;
}

std::size_t Mover::check_marks() noexcept {
  std::size_t done = 0;
  Hold* left = std::exchange(marked_, nullptr);
  while (left != nullptr) {
    Hold& hold = *left;
    left = hold.next;
    if (still_waits(hold)) {
      hold.next = std::exchange(marked_, &hold);
    } else {
      finish(hold);
      ++done;
    }
  }
  return done;
}

bool Mover::still_waits(Hold& hold) noexcept {
  if (hold.state.load(std::memory_order_acquire) == Hold::kAbandoned) return false;
  Streams& streams = *streams_[hold.tier.value];
  const Status status = streams.passed(hold.streams.mark);
  if (status.ok()) {
    hold.streams.mark = streams.open_mark(unordered_slots(hold));  // an older one, of another stream
    if (hold.streams.mark == 0) return false;
  } else if (status.code() != Code::kBusy) {
    fail_lost(hold);
    return false;
  }
  if (!canceling_ && !overdue(hold.streams.since_ns)) return true;
  fail_unwritten(hold, canceling_ ? kClosing : kUnwritten);
  return false;
}

void Mover::fail_unwritten(Hold& hold, const Status& status) noexcept {
  for (HoldEntry& entry : hold.entries) {
    if (hold.streams.early && entry.source == hold.tier) continue;
    if (entry.kind == HoldEntry::Kind::kLeased && streams_[hold.tier.value]->open_mark({&entry.slot, 1}) != 0)
      fail_entry(hold, entry, status);
  }
}

void Mover::fail_lost(Hold& hold) noexcept {
  report_lost(hold.tier);
  for (HoldEntry& entry : hold.entries) fail_entry(hold, entry, kLost);
}

void Mover::fail_entry(Hold& hold, HoldEntry& entry, const Status& status) noexcept {
  if (entry.kind != HoldEntry::Kind::kLeased) return;
  residency_.slots(hold.tier).unpin(entry.slot);
  entry.kind = HoldEntry::Kind::kFailed;
  if (hold.status.ok()) hold.status = status;
}

// Nothing is copied out of a slot before it is written: a copy that waited for a kernel would hold up those
// behind it, and, where that kernel's stream waits for one of them, for ever.
Mover::Reserve Mover::look_at_source(ActiveMove& move) noexcept {
  Streams* const streams = streams_[move.at.value];
  if (streams == nullptr || streams->open_mark({&move.source, 1}) == 0) return Reserve::kDone;
  if (move.unwritten_ns == 0) move.unwritten_ns = clock_();
  if (overdue(move.unwritten_ns)) return Reserve::kOverdue;
  waits_for_source_ = true;
  return Reserve::kBlocked;
}

// --- slots that are in use ---

void Mover::part(Hold* hold) noexcept {
  parting_[hold->tier.value].fetch_add(1, std::memory_order_relaxed);
  hold->state.store(Hold::kEnding, std::memory_order_relaxed);
  Hold* head = parting_inbox_.load(std::memory_order_relaxed);
  do {
    hold->next = head;
    // Sequentially consistent with Core::close: either it finds the hold or who released it sees it closed.
  } while (!parting_inbox_.compare_exchange_weak(head, hold, std::memory_order_seq_cst,
                                                 std::memory_order_relaxed));
}

bool Mover::in_use(Hold& hold) noexcept {
  Streams* const streams = streams_[hold.tier.value];
  for (std::uint64_t* mark : {&hold.streams.written, &hold.streams.used}) {
    if (*mark == 0) continue;
    const Status status = streams->passed(*mark);
    if (status.code() == Code::kBusy) return true;
    *mark = 0;
    if (!status.ok()) report_lost(hold.tier);  // nobody runs on it any more
  }
  return false;
}

std::size_t Mover::end_parted() noexcept {
  if (parted_ == nullptr && parting_inbox_.load(std::memory_order_relaxed) == nullptr) return 0;
  for (Hold* hold = parting_inbox_.exchange(nullptr, std::memory_order_acquire); hold != nullptr;) {
    Hold* const next = hold->next;
    hold->streams.since_ns = clock_();
    hold->next = std::exchange(parted_, hold);
    hold = next;
  }
  parted_lately_.fill(0);
  std::size_t done = 0;
  for (Hold* hold = std::exchange(parted_, nullptr); hold != nullptr;) {
    Hold* const next = hold->next;
    if (in_use(*hold)) {
      if (!overdue(hold->streams.since_ns)) ++parted_lately_[hold->tier.value];
      hold->next = std::exchange(parted_, hold);
    } else {
      end_parted(*hold);
      ++done;
    }
    hold = next;
  }
  return done;
}

void Mover::end_parted(Hold& hold) noexcept {
  const TierIndex tier = hold.tier;
  let_go(hold, residency_.slots(tier));
  parting_[tier.value].fetch_sub(1, std::memory_order_relaxed);
  holds_.give(&hold);
}

void Mover::end_late_parted() noexcept {
  for (Hold* hold = parting_inbox_.exchange(nullptr, std::memory_order_seq_cst); hold != nullptr;) {
    Hold* const next = hold->next;
    end_parted(*hold);
    hold = next;
  }
}

// --- what the engine is told of a ticket before its end ---

void Mover::place(Hold& hold, HoldEntry& entry, Slot slot) noexcept {
  HoldStreams& own = hold.streams;
  if (!own.early || own.placed.load(std::memory_order_relaxed)) return;
  entry.into = slot;
  if (!entry.placed) --own.unplaced;
  entry.placed = true;
  if (own.unplaced == 0) own.placed.store(true, std::memory_order_release);  // pairs with Ticket::slots
}

void Mover::place_waiters(const ActiveMove& move) noexcept {
  if (early_loads_ == 0 || move.next != move.to) return;
  each_waiter(move, [&](Hold& hold, HoldEntry& entry) {
    if (hold.tier == move.to) place(hold, entry, move.target);
  });
}

// The copy failed: what its first segments were is not certain any more.
void Mover::spoil_waiters(const ActiveMove& move) noexcept {
  if (early_loads_ == 0) return;
  each_waiter(move, [](Hold& hold, HoldEntry& entry) {
    if (hold.streams.ready.load(std::memory_order_relaxed) != 0) entry.spoiled = true;
  });
}

// What the engine may have been told, and came out otherwise, it does not get.
void Mover::fail_spoiled(Hold& hold) noexcept {
  if (!hold.streams.placed.load(std::memory_order_relaxed)) return;
  for (HoldEntry& entry : hold.entries) {
    if (entry.spoiled || entry.into != entry.slot) fail_entry(hold, entry, kCameAnew);
  }
}

// A hold's segments are ready once the last copy of each of its blocks is under way and has brought them.
void Mover::note_arrivals() noexcept {
  if (early_loads_ == 0) return;
  ++arrivals_round_;
  each_early_waiter([&](Hold& hold, std::uint32_t n) {
    HoldStreams& own = hold.streams;
    const std::uint32_t arrived = arrived_[n].load(std::memory_order_acquire);  // of who copies
    if (own.round != arrivals_round_) {
      own.round = arrivals_round_;
      own.under_way = 0;
      own.least = arrived;
    }
    ++own.under_way;
    own.least = std::min(own.least, arrived);
  });
  each_early_waiter([&](Hold& hold, std::uint32_t) {
    const HoldStreams& own = hold.streams;
    const bool all = own.under_way == hold.pending && hold.expanded == hold.entries.size();
    if (all && own.placed.load(std::memory_order_relaxed)) tell_ready(hold, own.least);
  });
}

void Mover::tell_ready(Hold& hold, std::uint32_t segments) noexcept {
  if (segments <= hold.streams.ready.load(std::memory_order_relaxed)) return;
  hold.streams.ready.store(segments, std::memory_order_release);  // pairs with Ticket::segments_ready
  set_word(hold, segments);
}

// All that any stream may wait for, of this use of the hold.
void Mover::answer_streams(Hold& hold) noexcept {
  if (!hold.streams.early) return;
  --early_loads_;
  set_word(hold, topology_.tier(hold.tier).info().segments + 1);
}

void Mover::set_word(const Hold& hold, std::uint32_t value) noexcept {
  const auto words = streams_[hold.tier.value]->words();
  if (hold.index < words.size())
    words[hold.index].store(hold.streams.base + value, std::memory_order_release);
}

// --- devices that are lost ---

std::size_t Mover::take_lost() noexcept {
  if (lost_.load(std::memory_order_relaxed) == 0) return 0;
  std::uint32_t lost = lost_.exchange(0, std::memory_order_acquire);
  std::size_t done = 0;
  for (std::uint8_t t = 0; lost != 0; ++t, lost >>= 1) {
    if ((lost & 1) == 0 || !residency_.online(TierIndex(t))) continue;
    take_offline(TierIndex(t), kLost);
    ++done;
  }
  return done;
}

}  // namespace kelvin
