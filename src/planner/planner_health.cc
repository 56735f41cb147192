// The planner's part in tiers that go offline and come back: see planner.h.
#include <algorithm>
#include <new>

#include "planner/planner.h"

namespace kelvin {

void Planner::take_offline(TierIndex tier) noexcept {
  MutexLock lock(mu_);
  if (!residency_.online(tier)) return;
  residency_.set_offline(tier);
  on_trial_.fetch_and(~(1u << tier.value), std::memory_order_relaxed);  // no longer a question
  recalling_.fetch_and(~(1u << tier.value), std::memory_order_relaxed);
  if (recalls_[tier.value] != nullptr) recalls_[tier.value]->end(tell_forgotten());
  recalls_[tier.value].reset();
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
  // What proves the tier needs a slot there.
  SlotMap& slots = residency_.slots(tier);
  for (std::uint32_t s = slots.size(); s > 0 && slots.free_count() == 0; --s) slots.give_up(Slot(s - 1), 1);
  on_trial_.fetch_or(1u << tier.value, std::memory_order_relaxed);
  health_[tier.value].came_back.fetch_add(1, std::memory_order_relaxed);
  residency_.set_online(tier);
  protection_.tiers_changed();
  return Status();
}

void Planner::proven(TierIndex tier) noexcept {
  const std::uint32_t bit = 1u << tier.value;
  if ((on_trial_.fetch_and(~bit, std::memory_order_relaxed) & bit) == 0) return;
  if (ledger(tier) != nullptr) recalling_.fetch_or(bit, std::memory_order_relaxed);
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
  const After after = ledger(tier) != nullptr ? After::kKept : After::kFree;
  finish({victims_.data(), victims}, DropReason::kBroken, after);
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

// --- what ledgers list ---

Recall::Forgotten Planner::tell_forgotten() noexcept {
  return [this](BlockId block) KELVIN_NO_TSA {
    drain();
    tell(EventKind::kForget, block, kNoTier);
  };
}

void Planner::recover(TierIndex tier) {
  Recall recall(residency_, tier, *ledger(tier));
  MutexLock lock(mu_);
  while (!recall.finished()) go_on(recall, tier);
}

void Planner::go_on(Recall& recall, TierIndex tier) noexcept {
  std::span<const BlockId> placed = recall.step(tell_forgotten());
  health_[tier.value].recovered.fetch_add(static_cast<std::uint32_t>(placed.size()),
                                          std::memory_order_relaxed);
  std::array<Event, kBatch> events;
  while (!placed.empty()) {
    const std::size_t n = std::min(events.size(), placed.size());
    for (std::size_t i = 0; i < n; ++i) {
      events[i].kind = EventKind::kArrive;
      events[i].tier = tier;
      events[i].block = placed[i];
      events[i].time_ns = now();
    }
    take_note({events.data(), n});
    placed = placed.subspan(n);
  }
}

// A step for each tier that is proven to be in use again. Returns for how many.
std::size_t Planner::recall_some() noexcept {
  std::size_t done = 0;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const std::uint32_t bit = 1u << t;
    if ((recalling_.load(std::memory_order_relaxed) & bit) == 0) continue;
    ++done;
    std::unique_ptr<Recall>& recall = recalls_[t];
    if (recall == nullptr) {
      try {
        recall = std::make_unique<Recall>(residency_, TierIndex(t), *ledger(TierIndex(t)));
      } catch (const std::bad_alloc&) {
        SlotMap& slots = residency_.slots(TierIndex(t));  // it starts empty, then
        slots.give_up(Slot(0), slots.size());
        recalling_.fetch_and(~bit, std::memory_order_relaxed);
        continue;
      }
    }
    go_on(*recall, TierIndex(t));
    if (!recall->finished()) continue;
    recall.reset();
    recalling_.fetch_and(~bit, std::memory_order_relaxed);
  }
  return done;
}

}  // namespace kelvin
