// See planner.h.
#include "planner/planner.h"

#include <algorithm>
#include <bit>
#include <new>

namespace kelvin {
namespace {

constexpr int kRounds = 16;  // of asking the policy in one call: what is not reached now is reached next time

}  // namespace

Planner::Planner(Parts parts) noexcept
    : residency_(parts.residency),
      journal_(parts.journal),
      sink_(parts.sink),
      clock_(parts.clock),
      event_clock_(parts.event_clock),
      topology_(parts.topology),
      free_ahead_(parts.free_ahead),
      policy_(std::move(parts.policy)),
      protection_(parts.residency),
      view_(parts.residency, parts.topology, protection_) {
  for (std::size_t t = 0; t < kMaxTiers; ++t) budgets_[t] = WriteBudget(parts.write_budget[t]);
}

Status Planner::open(const ProtectionSetup& setup) noexcept try {
  MutexLock lock(mu_);
  if (!setup.shares.empty()) waiting_ = decltype(waiting_)(setup.shares.size() + 1);
  return protection_.open(setup);
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "making room for tenants");
}

void Planner::record(std::span<const Event> events) noexcept {
  for (;;) {
    events = events.subspan(journal_.push(events));
    if (events.empty()) return;
    MutexLock lock(mu_);
    drain();
  }
}

void Planner::take_note(std::span<const Event> events) noexcept {
  protection_.observe(events);
  policy_->observe(view_, events);
}

void Planner::drain() noexcept {
  journal_.drain([this](std::span<const Event> events) KELVIN_NO_TSA { take_note(events); });
}

void Planner::tell(EventKind kind, BlockId block, TierIndex tier) noexcept {
  Event event;
  event.kind = kind;
  event.block = block;
  event.tier = tier;
  event.time_ns = now();
  take_note({&event, 1});
}

// How many slots of each tier should become free, and what may be written to it.
Planner::Wants Planner::look(std::span<const std::uint32_t> starved, std::uint64_t now_ns) noexcept {
  view_.refresh([this](TierIndex tier) { return sink_.leaving(tier); });
  Wants wants;
  const std::span<const TierState> tiers = view_.tiers();
  for (std::size_t t = 0; t < tiers.size(); ++t) {
    const TierIndex tier(static_cast<std::uint8_t>(t));
    const std::uint32_t affordable = budgets_[t].left(now_ns);
    if (affordable == 0) wants.spent |= 1u << t;
    wants.room[t] = tiers[t].online ? std::min(sink_.room(tier), affordable) : 0;
    if (tiers[t].info->adopted || !tiers[t].online) continue;
    const std::uint32_t waiting =
        (t < starved.size() ? starved[t] : 0) + demand_[t].load(std::memory_order_relaxed);
    const std::uint32_t have = tiers[t].free_slots + tiers[t].leaving;
    const std::uint32_t low = ahead(tier) + waiting;
    // Refilled to a quarter above the mark once below it, so that plans come in batches.
    if (have < low) wants.free[t] = low + ahead(tier) / 4 - have;
  }
  return wants;
}

std::size_t Planner::plan(std::span<const std::uint32_t> starved,
                          std::span<const BlockId> starved_for) noexcept {
  MutexLock lock(mu_);
  drain();
  std::size_t done = sweep_due() ? sweep_offline(kSweepSlots) : 0;
  done += recall_some();
  protection_.begin(now(), false);
  if (protection_.planning()) note_needs(starved, starved_for);
  for (int round = 0; round < kRounds; ++round) {
    Budget budget;
    budget.now_ns = now();
    const Wants wants = look(starved, clock_());
    budget.spent = wants.spent;
    budget.want_free = {wants.free.data(), residency_.tiers()};
    budget.may_write = {wants.room.data(), residency_.tiers()};
    protection_.ask(ways_down(wants));
    const std::size_t proposed = std::min(policy_->plan(view_, budget, moves_), moves_.size());
    const std::size_t carried = carry_out({moves_.data(), proposed}, false);
    done += carried;
    // Where something is protected, only an answer that changes nothing says that nothing else can go.
    const bool more = carried != 0 && (proposed == moves_.size() || protection_.planning());
    if (more || protection_.again()) continue;
    if (!protection_.planning() || !protection_.yield(hopeless(starved, budget.now_ns))) break;
  }
  due_ns_.store(policy_->due_ns(), std::memory_order_relaxed);
  protection_.end();
  return done;
}

std::size_t Planner::make_room(TierIndex tier, std::uint32_t slots, bool may_forget,
                               const Newcomers* newcomers, Asker asker) noexcept {
  Newcomers waiting;
  if (newcomers != nullptr) waiting = *newcomers;
  MutexLock lock(mu_);
  drain();
  std::size_t freed = 0;
  protection_.begin(now(), true);
  if (protection_.planning()) {
    const TenantIndex tenant = tenant_of(asker);
    if (tenant != kUnlisted) protection_.shares().need(tenant, tier, slots);
  }
  while (freed < slots) {
    view_.refresh([this](TierIndex t) { return sink_.leaving(t); });
    std::array<std::uint32_t, kMaxTiers> want{};
    const std::array<std::uint32_t, kMaxTiers> none{};
    want[tier.value] = static_cast<std::uint32_t>(slots - freed);
    Budget budget;
    budget.now_ns = now();
    budget.want_free = {want.data(), residency_.tiers()};
    budget.may_write = {none.data(), residency_.tiers()};
    budget.at_once = true;
    budget.may_forget = may_forget;
    if (newcomers != nullptr) budget.newcomers = &waiting;
    waiting.granted = waiting.keys.size() - std::min(waiting.keys.size(), slots - freed);
    protection_.ask(0);
    const std::size_t wanted = std::min<std::size_t>(moves_.size(), slots - freed);
    const std::size_t proposed = std::min(policy_->plan(view_, budget, {moves_.data(), wanted}), wanted);
    const std::size_t carried = carry_out({moves_.data(), proposed}, true);
    freed += carried;
    // A policy that refuses newcomers has had its say: asked again it might change its mind.
    if (newcomers != nullptr && proposed < wanted) break;
    if (carried != 0) continue;
    // One that looks for clean copies only has not said that nothing else can go.
    const bool last_resort = may_forget && newcomers == nullptr && sink_.leaving(tier) == 0;
    if (!last_resort || !protection_.yield(1u << tier.value)) break;
  }
  protection_.end();
  return freed;
}

std::size_t Planner::carry_out(std::span<const Move> moves, bool drops_only) noexcept {
  std::size_t victims = 0;
  std::size_t handed = 0;
  for (const Move& move : moves) {
    if (move.block.value >= residency_.table().capacity() || move.from.value >= residency_.tiers()) {
      refused_.fetch_add(1, std::memory_order_relaxed);
    } else if (!move.to) {
      drop_or_demote(move, &victims, &handed);
    } else if (!drops_only && hand_over(move)) {
      ++handed;
    }
  }
  finish({victims_.data(), victims}, DropReason::kPolicy, After::kFree);
  return victims + handed;
}

void Planner::drop_or_demote(const Move& move, std::size_t* victims, std::size_t* handed) noexcept {
  const auto answer =
      protection_.planning() ? protection_.may_leave(move.block, move.from, true) : Protection::Answer::kMay;
  switch (answer) {
    case Protection::Answer::kMay:
      if (choose(move.block, move.from, &victims_[*victims])) ++*victims;
      return;
    case Protection::Answer::kDemote:
      if (hand_over({move.block, move.from, below(move.from), false, Urgency::kWriteBehind})) {
        ++*handed;
      } else {
        protection_.no_way_out(move.from);
      }
      return;
    case Protection::Answer::kMayNot: refused_.fetch_add(1, std::memory_order_relaxed); return;
  }
}

bool Planner::hand_over(const Move& move) noexcept {
  // Twice out of one tier would count as one: what is on its way already does not set out again.
  const bool sets_out = !move.keep_source && protection_.shares().any();
  const bool under_way = sets_out && (protection_.shares().leaving(move.block) >> move.from.value & 1) != 0;
  const bool legal =
      !under_way && move.to.value < residency_.tiers() && move.to != move.from &&
      move.urgency <= Urgency::kWriteBehind && residency_.online(move.to) &&
      !residency_.slots(move.to).adopted() && (residency_.readable(move.block) >> move.from.value & 1) != 0 &&
      (move.keep_source || protection_.may_leave(move.block, move.from, false) == Protection::Answer::kMay);
  const bool demotes = legal && move.to.value > move.from.value;
  WriteBudget& budget = budgets_[legal ? move.to.value : 0];
  const bool affordable = !demotes || budget.left(clock_()) != 0;
  if (legal && affordable && sink_.accept({move, residency_.table().record(move.block).key()})) {
    if (demotes) budget.take();
    if (sets_out) protection_.shares().set_out(move.block, move.from);
    return true;
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool Planner::choose(BlockId block, TierIndex tier, Victim* victim) noexcept {
  const Slot slot = residency_.table().record(block).copy(tier);
  if (!slot || !residency_.slots(tier).start_drop(slot, block)) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (protection_.shares().any()) protection_.shares().set_out(block, tier);
  *victim = {block, tier, slot};
  return true;
}

void Planner::count_drop(const Victim& victim, DropReason reason) noexcept {
  DropCounters& counters = drops_[victim.tier.value];
  if (reason == DropReason::kBroken) {
    counters.corrupt.fetch_add(1, std::memory_order_relaxed);
  } else if (residency_.readable(victim.block) != 0) {
    counters.clean.fetch_add(1, std::memory_order_relaxed);
  } else {
    counters.last.fetch_add(1, std::memory_order_relaxed);
  }
}

void Planner::finish(std::span<const Victim> victims, DropReason reason, After after) noexcept {
  if (victims.empty()) return;
  drain();
  for (const Victim& victim : victims) {
    if (after != After::kKept) count_drop(victim, reason);
    tell(EventKind::kLeave, victim.block, victim.tier);
    residency_.table().detach(victim.block, victim.tier, [this](BlockId block) KELVIN_NO_TSA {
      tell(EventKind::kForget, block, kNoTier);
    });
    SlotMap& slots = residency_.slots(victim.tier);
    switch (after) {
      case After::kFree: slots.free({&victim.slot, 1}); break;
      case After::kBad: slots.quarantine(victim.slot); break;
      case After::kKept: slots.keep(victim.slot); break;
    }
  }
}

std::size_t Planner::drop(std::span<const BlockId> blocks, TierIndex tier, DropReason reason,
                          bool quarantine) noexcept {
  MutexLock lock(mu_);
  const std::uint64_t now_ns = now();
  std::size_t dropped = 0;
  while (!blocks.empty()) {
    const std::size_t batch = std::min(blocks.size(), victims_.size());
    std::size_t victims = 0;
    for (const BlockId block : blocks.first(batch)) {
      const Slot slot = residency_.table().record(block).copy(tier);
      const bool free =
          reason >= DropReason::kEngine || (protection_.may_drop(block, tier, now_ns) &&
                                            (reason != DropReason::kDemoted || !protection_.shares().any() ||
                                             protection_.shares().may_go_after_move(block, tier)));
      if (slot && free && residency_.slots(tier).start_drop(slot, block))
        victims_[victims++] = {block, tier, slot};
    }
    finish({victims_.data(), victims}, reason, quarantine ? After::kBad : After::kFree);
    dropped += victims;
    blocks = blocks.subspan(batch);
  }
  return dropped;
}

void Planner::save_learned(std::vector<std::byte>& bytes) {
  MutexLock lock(mu_);
  drain();
  policy_->save(bytes);
}

Status Planner::load_learned(std::span<const std::byte> bytes) {
  MutexLock lock(mu_);
  return policy_->load(bytes);
}

void Planner::forgotten(BlockId block) noexcept {
  MutexLock lock(mu_);
  drain();
  tell(EventKind::kForget, block, kNoTier);
}

}  // namespace kelvin
