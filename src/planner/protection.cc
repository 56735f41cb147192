// See protection.h.
#include "planner/protection.h"

#include <algorithm>
#include <bit>

namespace kelvin {

Status Protection::open(const ProtectionSetup& setup) noexcept {
  const std::uint32_t blocks = residency_.table().capacity();
  if (const Status status = retention_.open(blocks); !status.ok()) return status;
  if (const Status status = shares_.open(blocks, setup.shares, setup.share_slots); !status.ok())
    return status;
  return pins_.open(blocks, setup.pin_limit, last_tier());
}

TierIndex Protection::last_tier() const noexcept {
  for (std::size_t t = residency_.tiers(); t-- > 0;) {
    const TierIndex tier(static_cast<std::uint8_t>(t));
    if (residency_.online(tier) && !residency_.slots(tier).adopted()) return tier;
  }
  return kNoTier;
}

// --- what happens to blocks ---

void Protection::take_note(std::span<const Event> events) noexcept {
  for (const Event& event : events) {
    const bool wish =
        event.retain_s != 0 && (event.kind == EventKind::kPublish || event.kind == EventKind::kRelease);
    if (wish) retention_.retain(event.block, event.priority, event.retain_s, event.time_ns);
    observe_one(event);
  }
}

void Protection::observe_one(const Event& event) noexcept {
  switch (event.kind) {
    case EventKind::kHit:
      if (shares_.any()) shares_.hit(event.block);
      break;
    case EventKind::kPublish:
      if (shares_.any()) publish(event);
      break;
    case EventKind::kArrive:
      if (shares_.any()) shares_.came(event.block, event.tier);
      break;
    case EventKind::kLeave:
      if (shares_.any()) shares_.left(event.block, event.tier);
      // A pin on a tier ends with the copy there, which only a fault or the engine took.
      if (pins_.any() && pins_.pinned(event.block, 0) && pins_.tier(event.block) == event.tier)
        pins_.unpin(event.block);
      break;
    case EventKind::kForget:
      if (shares_.any()) shares_.forget(event.block);
      if (retention_.any()) retention_.forget(event.block);
      if (pins_.any()) pins_.unpin(event.block);
      break;
    case EventKind::kRelease:
    case EventKind::kExpect: break;
  }
}

// A prefix is one tenant's: who does not say whose a block is means the tenant of the one before.
void Protection::publish(const Event& event) noexcept {
  auto tenant = static_cast<TenantIndex>(event.tenant);
  const BlockId parent(residency_.table().record(event.block).parent.load(std::memory_order_relaxed));
  if (tenant == kUnlisted && parent) tenant = shares_.tenant(parent);
  shares_.begin(event.block, tenant < shares_.tenants() ? tenant : kUnlisted);
  shares_.came(event.block, event.tier);
}

// --- one plan ---

void Protection::begin(std::uint64_t now_ns, bool at_once) noexcept {
  planning_ = any();
  now_ns_ = now_ns;
  at_once_ = at_once;
  shut_ = 0;
  floor_.fill(Retention::kEveryone);
}

void Protection::ask(std::uint32_t ways) noexcept {
  ways_ = at_once_ ? 0 : ways & ~shut_;
  again_ = false;
  hidden_retained_ = hidden_shares_ = 0;
}

void Protection::end() noexcept {
  if (planning_) shares_.end_needs();
  planning_ = false;
}

bool Protection::yield(std::uint32_t tiers) noexcept {
  if (!planning_) return false;
  if ((hidden_shares_ & tiers) != 0 && shares_.insist(hidden_shares_ & tiers)) return true;
  bool more = false;
  for (std::uint32_t mask = hidden_retained_ & tiers; mask != 0; mask &= mask - 1) {
    int& floor = floor_[static_cast<std::size_t>(std::countr_zero(mask))];
    const int next = retention_.next(floor);
    more = more || next != floor;
    floor = next;
  }
  return more;
}

// --- one block ---

std::uint32_t Protection::kept_by_pin(BlockId block, std::uint32_t tiers) const noexcept {
  if (!pins_.any() || !pins_.pinned(block, now_ns_)) return 0;
  if (const TierIndex tier = pins_.tier(block)) return tiers & 1u << tier.value;
  return std::has_single_bit(tiers) ? tiers : 0;
}

// Bit t: the copy in tier t stays, though it might be dropped or moved but for that.
std::uint32_t Protection::kept(BlockId block, std::uint32_t tiers) const noexcept {
  std::uint32_t kept = 0;
  if (retention_.any()) {
    for (std::uint32_t mask = tiers; mask != 0; mask &= mask - 1) {
      const int t = std::countr_zero(mask);
      if (retention_.holds(block, now_ns_, floor_[static_cast<std::size_t>(t)])) kept |= 1u << t;
    }
    hidden_retained_ |= kept;
  }
  if (shares_.any()) {
    const std::uint32_t guarded = shares_.guarded(block) & tiers;
    hidden_shares_ |= guarded;
    kept |= guarded;
  }
  return kept;
}

void Protection::show(BlockId block, BlockState& state) const noexcept {
  const std::uint32_t pinned = kept_by_pin(block, state.tiers);
  const bool loose = pinned != 0 && !pins_.tier(block);
  state.kept = (kept(block, state.tiers) | (loose ? pinned & ~ways_ : pinned)) & ~state.leased;
  state.leased |= state.kept | (shares_.any() ? shares_.leaving(block) & state.tiers : 0);
}

Protection::Answer Protection::may_leave(BlockId block, TierIndex tier, bool by_drop) noexcept {
  if (!planning_) return Answer::kMay;
  const std::uint32_t bit = 1u << tier.value;
  const std::uint32_t tiers = residency_.readable(block);
  const bool pinned = (kept_by_pin(block, tiers) & bit) != 0;
  const bool bound = pinned && pins_.tier(block);
  if (bound || (kept(block, tiers) & bit) != 0) return Answer::kMayNot;
  if (!pinned || !by_drop) return Answer::kMay;
  return (ways_ & bit) != 0 ? Answer::kDemote : Answer::kMayNot;
}

bool Protection::may_drop(BlockId block, TierIndex tier, std::uint64_t now_ns) const noexcept {
  if (!pins_.any() || !pins_.pinned(block, now_ns)) return true;
  const std::uint32_t bit = 1u << tier.value;
  const TierIndex where = pins_.tier(block);
  return where ? where != tier : (residency_.readable(block) & ~bit) != 0;
}

}  // namespace kelvin
