// How holds and planned moves become moves. See mover.h.
#include <algorithm>

#include "mover/mover.h"

namespace kelvin {

// --- planned moves ---

bool Mover::accept(const PlannedMove& planned) noexcept {
  const Move& move = planned.move;
  if (!way_is_open(move.from, move.to)) return false;
  if (pending_to_[move.to.value].load(std::memory_order_relaxed) >= planned_limit(move.to)) return false;
  {
    SpinGuard guard(planned_lock_);
    const std::uint32_t count = planned_count_.load(std::memory_order_relaxed);
    if (count == planned_.size()) return false;
    planned_[(planned_first_ + count) % planned_.size()] = planned;
    planned_count_.store(count + 1, std::memory_order_seq_cst);
  }
  pending_to_[move.to.value].fetch_add(1, std::memory_order_relaxed);
  if (!move.keep_source) leaving_[move.from.value].fetch_add(1, std::memory_order_relaxed);
  return true;
}

// A route leads there, and every link on it is usable. Any thread.
bool Mover::way_is_open(TierIndex from, TierIndex to) const noexcept {
  while (from != to) {
    const Topology::Edge* edge = topology_.next_hop(from, to);
    if (edge == nullptr || !usable(*edge, links_[link_at_[from.value][edge->to.value]].bit)) return false;
    from = edge->to;
  }
  return true;
}

// Planned moves into one tier, queued or under way: twice what may be under way at once, so that the links
// never run dry between two plans. All tiers together have their half of the moves: none waits in the ring
// for moves that wait for the very slots it would free. One move tries a tier that has come back: a device
// that hangs still gets hold of no more.
std::uint32_t Mover::planned_limit(TierIndex tier) const noexcept {
  if (planner_->on_trial(tier)) return 1;
  const auto share = static_cast<std::uint32_t>(config_.queue / 2 / residency_.tiers());
  return std::max(1u, std::min(2 * config_.write_depth, share));
}

std::uint32_t Mover::room(TierIndex tier) const noexcept {
  if (clock_() < shut_until_ns_[tier.value].load(std::memory_order_relaxed)) return 0;
  const std::uint32_t limit = planned_limit(tier);
  const std::uint32_t pending = pending_to_[tier.value].load(std::memory_order_relaxed);
  return pending < limit ? limit - pending : 0;
}

std::size_t Mover::take_planned() noexcept {
  std::size_t taken = 0;
  // Half of the moves are for what is planned, the others for demand: neither can shut the other out.
  while (planned_moves_ < config_.queue / 2 && planned_count_.load(std::memory_order_acquire) != 0) {
    PlannedMove planned;
    {
      SpinGuard guard(planned_lock_);
      planned = planned_[planned_first_];
      planned_first_ = (planned_first_ + 1) % static_cast<std::uint32_t>(planned_.size());
      planned_count_.fetch_sub(1, std::memory_order_release);
    }
    if (!start_planned(planned)) refuse(planned);
    ++taken;
  }
  return taken;
}

bool Mover::start_planned(const PlannedMove& planned) noexcept {
  const Move& plan = planned.move;
  if (canceling_ || topology_.next_hop(plan.from, plan.to) == nullptr) return false;
  const Slot source = residency_.pin(plan.block, planned.key, plan.from);
  if (!source) return false;
  const std::uint32_t n = new_move();
  ++planned_moves_;
  ActiveMove& move = moves_[n];
  move.block = plan.block;
  move.from = move.at = plan.from;
  move.to = plan.to;
  move.source = source;
  move.urgency = plan.urgency;
  move.keep_source = plan.keep_source;
  move.planned = true;
  enqueue(n);
  return true;
}

void Mover::refuse(const PlannedMove& planned) noexcept {
  pending_to_[planned.move.to.value].fetch_sub(1, std::memory_order_relaxed);
  if (planned.move.keep_source) return;
  leaving_[planned.move.from.value].fetch_sub(1, std::memory_order_relaxed);
  planner_->moves_ended({&planned.move.block, 1}, planned.move.from);
}

// --- holds ---

void Mover::load(Hold* hold) noexcept {
  Hold* head = inbox_.load(std::memory_order_relaxed);
  do {
    hold->next = head;
  } while (!inbox_.compare_exchange_weak(head, hold, std::memory_order_seq_cst, std::memory_order_relaxed));
}

std::size_t Mover::take_holds() noexcept {
  // The inbox is a stack; served is in order of arrival.
  Hold* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Hold* oldest = nullptr;
  while (newest != nullptr) {
    Hold* hold = newest;
    newest = hold->next;
    if (hold->streams.early) ++early_loads_;
    hold->next = oldest;
    oldest = hold;
  }
  if (oldest != nullptr) {
    (expanding_first_ == nullptr ? expanding_first_ : expanding_last_->next) = oldest;
    for (expanding_last_ = oldest; expanding_last_->next != nullptr;) expanding_last_ = expanding_last_->next;
  }
  std::size_t done = 0;
  while (expanding_first_ != nullptr) {
    Hold& hold = *expanding_first_;
    done += expand(hold);
    if (hold.expanded < hold.entries.size()) break;  // no moves left, or a slot changes hands right now
    expanding_first_ = hold.next;
    finish_if_ready(hold);
  }
  return done;
}

std::size_t Mover::expand(Hold& hold) noexcept {
  const std::uint32_t first = hold.expanded;
  for (; hold.expanded < hold.entries.size(); ++hold.expanded) {
    if (hold.entries[hold.expanded].kind != HoldEntry::Kind::kLoading) continue;
    if (!resolve(hold, hold.expanded)) break;
  }
  return hold.expanded - first;
}

// False: look again later.
bool Mover::resolve(Hold& hold, std::uint32_t i) noexcept {
  HoldEntry& entry = hold.entries[i];
  if (canceling_) {
    residency_.slots(entry.source).unpin(entry.slot);
    entry.kind = HoldEntry::Kind::kFailed;
    if (hold.status.ok()) hold.status = Status(Code::kCanceled, "loading blocks: the space is closing");
    settle_entry(hold);
    return true;
  }
  // Pinned in `source`: the block and its record stay what they are.
  const Slot there = residency_.table().record(entry.block).copy(hold.tier);
  if (there && residency_.online(hold.tier)) return join(hold, i, there);
  if (!may_load()) return false;
  const std::uint32_t n = new_move();
  ActiveMove& move = moves_[n];
  move.block = entry.block;
  move.from = move.at = entry.source;
  move.to = hold.tier;
  move.into = entry.into;
  [[maybe_unused]] const bool pinned = residency_.slots(entry.source).pin(entry.slot, entry.block);
  assert(pinned);
  move.source = entry.slot;
  wait_for(n, hold, i);
  enqueue(n);
  return true;
}

// The block has a copy in the hold's tier by now, or one on its way.
bool Mover::join(Hold& hold, std::uint32_t i, Slot there) noexcept {
  HoldEntry& entry = hold.entries[i];
  SlotMap& slots = residency_.slots(hold.tier);
  if (slots.pin(there, entry.block)) {
    residency_.slots(entry.source).unpin(entry.slot);
    entry.slot = there;
    entry.kind = HoldEntry::Kind::kLeased;
    place(hold, entry, there);
    settle_entry(hold);
    return true;
  }
  const SlotWord word = slots.word(there);
  if (word.state() != SlotState::kFilling || word.block() != entry.block) return false;
  wait_for(word.pins(), hold, i);
  return true;
}

// A move is left that is neither a planned one's nor a stray's.
bool Mover::may_load() const noexcept {
  return moves_.size() - free_moves_.size() - planned_moves_ - strays_ < config_.queue - config_.queue / 2;
}

std::uint32_t Mover::new_move() noexcept {
  const std::uint32_t n = free_moves_.back();
  free_moves_.pop_back();
  moves_[n] = ActiveMove{};
  return n;
}

void Mover::wait_for(std::uint32_t n, Hold& hold, std::uint32_t i) noexcept {
  ActiveMove& move = moves_[n];
  hold.entries[i].next_hold = move.waiting_hold;
  hold.entries[i].next_entry = move.waiting_entry;
  move.waiting_hold = hold.index;
  move.waiting_entry = i;
  // Whoever waits for it, somebody needs it now; a move not yet queued anew keeps its place in the old queue.
  move.urgency = Urgency::kDemand;
  if (move.target) place_waiters(move);
}

}  // namespace kelvin
