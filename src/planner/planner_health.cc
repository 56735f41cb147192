// The planner's part in tiers that go offline and come back: see planner.h.
#include <algorithm>

#include "planner/planner.h"

namespace kelvin {

void Planner::take_offline(TierIndex tier) noexcept {
  MutexLock lock(mu_);
  if (!residency_.online(tier)) return;
  residency_.set_offline(tier);
  proven(tier);  // no longer a question
  health_[tier.value].went_offline.fetch_add(1, std::memory_order_relaxed);
  sweeps_[tier.value] = {.finished = false};
  sweep_due_ns_.store(0, std::memory_order_relaxed);
  protection_.tiers_changed();
}

Status Planner::bring_back(TierIndex tier) noexcept {
  MutexLock lock(mu_);
  if (residency_.online(tier)) return Status(Code::kMisuse, "bringing a tier back: it is online");
  // A copy that is there now may be older than the one that was made since: none may be seen again.
  if (!sweeps_[tier.value].finished)
    return Status(Code::kBusy, "bringing a tier back: copies in it are leased or being moved");
  on_trial_.fetch_or(1u << tier.value, std::memory_order_relaxed);
  health_[tier.value].came_back.fetch_add(1, std::memory_order_relaxed);
  residency_.set_online(tier);
  protection_.tiers_changed();
  return Status();
}

std::size_t Planner::sweep() noexcept {
  MutexLock lock(mu_);
  std::size_t dropped = 0;
  if (sweep_due_ns_.load(std::memory_order_relaxed) == Policy::kNever) return dropped;
  do {
    dropped += sweep_offline(~std::uint32_t{0});
  } while (sweep_due_ns_.load(std::memory_order_relaxed) == 0);
  return dropped;
}

// A part of one pass over each tier that has copies left. Passes go on until one finds nothing.
std::size_t Planner::sweep_offline(std::uint32_t slots) noexcept {
  std::size_t dropped = 0;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const Sweep& sweep = sweeps_[t];
    if (sweep.finished) continue;
    const std::uint32_t left = residency_.slots(TierIndex(t)).size() - sweep.next;
    dropped += sweep_on(TierIndex(t), sweep.next + std::min(left, slots));
  }
  schedule_sweeps(dropped);
  return dropped;
}

std::size_t Planner::sweep_on(TierIndex tier, std::uint32_t last) noexcept {
  Sweep& sweep = sweeps_[tier.value];
  SlotMap& slots = residency_.slots(tier);
  std::size_t victims = 0;
  for (; sweep.next < last && victims < victims_.size(); ++sweep.next) {
    const Slot slot(sweep.next);
    const SlotWord word = slots.word(slot);
    if (word.state() != SlotState::kResident) continue;
    sweep.found = true;
    if (slots.start_drop(slot, word.block())) victims_[victims++] = {word.block(), tier, slot};
  }
  sweep.dropped = sweep.dropped || victims != 0;
  if (sweep.next >= slots.size()) sweep = {0, false, false, !sweep.found, sweep.found && !sweep.dropped};
  finish({victims_.data(), victims}, DropReason::kBroken, false);
  return victims;
}

// What is left where a whole pass dropped nothing is pinned, maybe for long: looking again can wait.
void Planner::schedule_sweeps(std::size_t dropped) noexcept {
  bool all_finished = true;
  bool all_pinned = dropped == 0;
  for (std::size_t t = 0; t < residency_.tiers(); ++t) {
    if (sweeps_[t].finished) continue;
    all_finished = false;
    all_pinned = all_pinned && sweeps_[t].pinned;
  }
  const std::uint64_t due_ns = all_finished ? Policy::kNever : all_pinned ? clock_() + kSweepPauseNs : 0;
  sweep_due_ns_.store(due_ns, std::memory_order_relaxed);
}

}  // namespace kelvin
