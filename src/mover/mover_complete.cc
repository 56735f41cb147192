// One hop is over: verify, publish the copy, go on, retry, or end the move. See mover.h.
#include <algorithm>
#include <bit>

#include "mover/mover.h"

namespace kelvin {

std::size_t Mover::poll_links() noexcept {
  std::size_t done = 0;
  for (LinkState& link : links_) {
    if (link.in_flight == 0) continue;
    const std::size_t count = link.edge->link->poll(completions_);
    const std::uint32_t scrubbing = scrubbing_;
    for (std::size_t i = 0; i < count; ++i) complete(link, completions_[i]);
    done += count - (scrubbing - scrubbing_);  // nobody waits for what was read to be verified
  }
  return done;
}

void Mover::complete(LinkState& link, const Completion& completion) noexcept {
  const auto n = static_cast<std::uint32_t>(completion.tag);
  ActiveMove& move = moves_[n];
  --link.in_flight;
  if (move.as_write) --link.write_behind;
  move.as_write = false;
  if (move.stray) {
    give_back(link, n);
    return;
  }
  link.flights.remove(moves_, n);
  const Status status = verify(move, completion);
  const std::uint64_t now = clock_();
  if (status.ok()) {
    link.edge->meter.completed(topology_.tier(move.at).info().slot_bytes, now - move.submitted_ns, now);
    note_health(move.at, status);
    note_health(move.next, status);
    if (move.scrub) {
      end(n, status);
    } else {
      arrive(n);
    }
  } else {
    link.edge->meter.failed(status.code() == Code::kCorrupt);
    fail(n, status, completion);
  }
}

// The checksum is made by the first copy of a block that computes one, and holds for all later ones.
Status Mover::verify(const ActiveMove& move, const Completion& completion) noexcept {
  if (!completion.status.ok()) return completion.status;
  if (!residency_.online(move.next) || !residency_.online(move.at)) {
    return Status(Code::kUnavailable, "moving a block: its tier went offline");
  }
  BlockRecord& record = residency_.table().record(move.block);
  const bool known = (record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0;
  if (!makes_checksum(link_of(move).edge->link->info(), known)) return Status();
  if (known) {
    const bool same = record.checksum.load(std::memory_order_relaxed) == completion.checksum;
    return same ? Status() : Status(Code::kCorrupt, "moving a block: the bytes do not match their checksum");
  }
  record.checksum.store(completion.checksum, std::memory_order_relaxed);
  record.state.fetch_or(BlockRecord::kChecksumKnown, std::memory_order_release);
  return Status();
}

// The target holds the bytes: it becomes a copy, and whoever waits for it there is served.
void Mover::arrive(std::uint32_t n) noexcept {
  ActiveMove& move = moves_[n];
  SlotMap& slots = residency_.slots(move.next);
  // One more pin, the move's own: nobody can drop the copy before its arrival is on record.
  slots.filled(move.target, move.block, waiters_in(move, move.next) + 1);
  move.bad &= ~(1u << move.next.value);
  Event event;
  event.kind = EventKind::kArrive;
  event.tier = move.next;
  event.block = move.block;
  event.time_ns = planner_->now();
  planner_->record({&event, 1});
  answer_waiters(move, move.next, move.target);
  if (link_of(move).edge->takes_source) departures_.push_back({move.block, move.at, false, true});
  if (move.next == move.to) {
    slots.unpin(move.target);
    move.target = Slot{};
    end(n, Status());
    return;
  }
  residency_.slots(move.at).unpin(move.source);
  move.at = move.next;
  move.source = move.target;
  move.target = Slot{};
  move.attempts = 0;
  enqueue(n);
}

// The next place of the route holds a copy already, made by somebody else.
void Mover::advance(std::uint32_t n) noexcept {
  ActiveMove& move = moves_[n];
  const BlockKey key = residency_.table().record(move.block).key();
  const std::uint32_t waiters = waiters_in(move, move.next);
  const Slot there = residency_.pin(move.block, key, move.next);
  if (!there) {
    blocked_.push(moves_, n);  // dropped in this very moment
    return;
  }
  for (std::uint32_t i = 0; i < waiters; ++i) {
    [[maybe_unused]] const bool pinned = residency_.slots(move.next).pin(there, move.block);
    assert(pinned);
  }
  answer_waiters(move, move.next, there);
  if (move.next == move.to) {
    residency_.slots(move.next).unpin(there);
    end(n, Status());
    return;
  }
  residency_.slots(move.at).unpin(move.source);
  move.at = move.next;
  move.source = there;
  enqueue(n);
}

// Whose device failed: the one that the link names, else the one that is offline already, else the one that
// is not plain memory; between two of a kind, the farther one.
TierIndex Mover::blamed(const ActiveMove& move, Side failed) const noexcept {
  if (failed != Side::kUnknown) return failed == Side::kFrom ? move.at : move.next;
  if (!residency_.online(move.next)) return move.next;
  if (!residency_.online(move.at)) return move.at;
  const bool from_device = topology_.tier(move.at).info().space != AddressSpace::kHost;
  const bool to_device = topology_.tier(move.next).info().space != AddressSpace::kHost;
  if (from_device != to_device) return from_device ? move.at : move.next;
  return move.at.value > move.next.value ? move.at : move.next;
}

// `again`: a failure of this copy was noted before.
void Mover::note_health(TierIndex tier, const Status& status, bool again) noexcept {
  if (status.ok()) {
    failures_[tier.value] = 0;
    if (planner_->on_trial(tier)) planner_->proven(tier);
    return;
  }
  if (status.code() == Code::kCanceled || !residency_.online(tier)) return;
  // After a crash a ledger may list what was overwritten meanwhile: that block is lost, the device is well.
  if (status.code() == Code::kCorrupt && topology_.tier(tier).info().ledger != nullptr) return;
  if (status.code() == Code::kFull) {
    // No space is no fault of what is there: reads go on, and writes are tried again in a while.
    shut_until_ns_[tier.value].store(clock_() + kShutNs, std::memory_order_relaxed);
    return;
  }
  if (!again) ++failures_[tier.value];
  if (!may_go_offline(tier)) return;  // its errors are reported one by one
  const std::uint32_t most = planner_->on_trial(tier) ? 1 : config_.offline_after;
  if (status.code() == Code::kUnavailable || failures_[tier.value] >= most)
    take_offline(tier, Status(Code::kUnavailable, "moving a block: its tier went offline"));
}

void Mover::fail(std::uint32_t n, Status status, const Completion& completion) noexcept {
  ActiveMove& move = moves_[n];
  const TierIndex culprit = blamed(move, completion.failed);
  if (!completion.slot_only) note_health(culprit, status, move.attempts != 0);
  spoil_waiters(move);
  if (retry(n, status)) return;
  const bool device_error = status.code() == Code::kIo;
  const bool read_failed = culprit == move.at || status.code() == Code::kCorrupt;
  give_up_target(move, device_error && !read_failed);
  // A device that is gone says nothing of a copy that nobody asked for.
  const bool says_nothing = status.code() == Code::kCanceled ||
                            (move.scrub && status.code() != Code::kIo && status.code() != Code::kCorrupt);
  if (read_failed && !says_nothing) {
    const std::uint32_t here = 1u << move.at.value;
    const bool again = (move.failed_at & here) != 0;  // on the way from another source
    move.failed_at |= here;
    move.bad |= here;
    if (device_error) move.damaged |= here;
    if (!again && try_other_source(n)) return;
  }
  end(n, status);
}

bool Mover::retry(std::uint32_t n, const Status& status) noexcept {
  ActiveMove& move = moves_[n];
  const bool transient =
      status.code() == Code::kIo || status.code() == Code::kCorrupt || status.code() == Code::kTimeout;
  if (canceling_ || !transient || move.attempts >= config_.demand_retries || !residency_.online(move.next) ||
      !residency_.online(move.at)) {
    return false;
  }
  ++move.attempts;
  link_of(move).edge->meter.retried();
  enqueue(n);
  return true;
}

// Another tier may still have a good copy, and an open way.
bool Mover::try_other_source(std::uint32_t n) noexcept {
  const ActiveMove& move = moves_[n];
  if (move.scrub) return false;  // it asks for this copy, and no other
  std::uint32_t others = canceling_ ? 0 : residency_.readable(move.block) & ~move.failed_at;
  for (; others != 0; others &= others - 1) {
    const TierIndex other(static_cast<std::uint8_t>(std::countr_zero(others)));
    if (way_is_open(other, move.to) && change_source(n, other)) return true;
  }
  return false;
}

// The way may lead through the place of a bad copy, which therefore goes first, where nobody but this move
// and those who wait for it holds it.
bool Mover::change_source(std::uint32_t n, TierIndex other) noexcept {
  ActiveMove& move = moves_[n];
  const Slot slot = residency_.pin(move.block, residency_.table().record(move.block).key(), other);
  if (!slot) return false;
  const TierIndex failed = move.at;
  rest_waiters_on(move, failed, other, slot);
  residency_.slots(failed).unpin(move.source);
  move.at = other;
  move.source = slot;
  move.attempts = 0;
  if ((move.bad >> failed.value & 1) != 0) drop_bad(move, failed);
  if (other != move.to) {
    enqueue(n);
    return true;
  }
  // Somebody made a copy in the very place it was to go to.
  for (std::uint32_t waiters = waiters_in(move, other); waiters > 0; --waiters) {
    [[maybe_unused]] const bool pinned = residency_.slots(other).pin(slot, move.block);
    assert(pinned);
  }
  answer_waiters(move, other, slot);
  end(n, Status());
  return true;
}

// Precondition: the block is pinned somewhere, or still has the key it had when it was.
void Mover::drop_bad(ActiveMove& move, TierIndex tier) noexcept {
  const std::uint32_t bit = 1u << tier.value;
  if (planner_->drop({&move.block, 1}, tier, DropReason::kBroken, (move.damaged & bit) != 0) != 0)
    move.bad &= ~bit;
}

void Mover::give_up_target(ActiveMove& move, bool quarantine) noexcept {
  if (!move.target) return;
  // The pinned source keeps the record alive: nothing is forgotten here.
  if (!move.scrub) residency_.table().detach(move.block, move.next, [](BlockId) { assert(false); });
  SlotMap& slots = residency_.slots(move.next);
  if (quarantine) {
    slots.quarantine(move.target);
  } else {
    slots.free({&move.target, 1});
  }
  move.target = Slot{};
}

// Over: answers who still waits, lets go of the source, and drops it if the move was to take it away.
void Mover::end(std::uint32_t n, const Status& status) noexcept {
  ActiveMove& move = moves_[n];
  give_up_target(move, false);
  const BlockKey key = residency_.table().record(move.block).key();
  // After a change of source the route may have left out a place where somebody waited.
  fail_waiters(move,
               status.ok() ? Status(Code::kBusy, "loading a block: it took another way; ask again") : status);
  residency_.slots(move.at).unpin(move.source);
  if (move.scrub) end_scrub(move, status);
  for (std::uint32_t bad = move.bad; bad != 0; bad &= bad - 1) {
    if (!residency_.table().record(move.block).holds(key)) break;  // its last copy went
    drop_bad(move, TierIndex(static_cast<std::uint8_t>(std::countr_zero(bad))));
  }
  if (move.planned) {
    --planned_moves_;
    pending_to_[move.to.value].fetch_sub(1, std::memory_order_relaxed);
    if (!move.keep_source) {
      // Dropped together at the end of the round: one lock for all. Counted as leaving until then.
      departures_.push_back({move.block, move.from, true, status.ok()});
    }
  }
  free_moves_.push_back(n);
}

std::size_t Mover::drop_sources() noexcept {
  std::size_t dropped = 0;
  std::array<BlockId, kBatch> blocks;
  std::array<BlockId, kBatch> over;
  for (std::size_t first = 0; first < departures_.size();) {
    const TierIndex tier = departures_[first].tier;
    const bool counted = departures_[first].counted;
    std::size_t count = 0;
    std::size_t last = first;
    for (; last < departures_.size() && last - first < blocks.size(); ++last) {
      const Departure& departure = departures_[last];
      if (departure.tier != tier || departure.counted != counted) break;
      over[last - first] = departure.block;
      // Only while another copy exists: the one just made may be gone again.
      if (departure.arrived && std::popcount(residency_.readable(departure.block)) > 1)
        blocks[count++] = departure.block;
    }
    const DropReason reason = counted ? DropReason::kDemoted : DropReason::kPromoted;
    dropped += planner_->drop({blocks.data(), count}, tier, reason);
    if (counted) {
      planner_->moves_ended({over.data(), last - first}, tier);
      leaving_[tier.value].fetch_sub(static_cast<std::uint32_t>(last - first), std::memory_order_relaxed);
    }
    first = last;
  }
  departures_.clear();
  return dropped;
}

}  // namespace kelvin
