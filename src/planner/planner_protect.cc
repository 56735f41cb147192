// The planner's part in protection: for whose sake a plan is made, pins, and figures. See planner.h.
#include <algorithm>

#include "planner/planner.h"

namespace kelvin {

TenantIndex Planner::tenant_of(const Asker& asker) const noexcept {
  const Shares& shares = protection_.shares();
  if (!shares.any()) return kUnlisted;
  if (asker.block.value < residency_.table().capacity()) return shares.tenant(asker.block);
  return asker.tenant < shares.tenants() ? asker.tenant : kUnlisted;
}

// The next tier down that is in use and that Kelvin may fill.
TierIndex Planner::below(TierIndex tier) const noexcept {
  for (std::size_t t = tier.value + 1u; t < residency_.tiers(); ++t) {
    const TierIndex lower(static_cast<std::uint8_t>(t));
    if (residency_.online(lower) && !residency_.slots(lower).adopted()) return lower;
  }
  return kNoTier;
}

// Bit t: something may be demoted out of tier t now.
std::uint32_t Planner::ways_down(const Wants& wants) const noexcept {
  std::uint32_t ways = 0;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const TierIndex lower = below(TierIndex(t));
    if (lower && wants.room[lower.value] != 0) ways |= 1u << t;
  }
  return ways;
}

void Planner::note_needs(std::span<const std::uint32_t> starved,
                         std::span<const BlockId> starved_for) noexcept {
  Shares& shares = protection_.shares();
  if (!shares.any()) return;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    for (std::size_t n = 1; n < waiting_.size(); ++n) {
      const std::uint32_t slots = waiting_[n][t].load(std::memory_order_relaxed);
      if (slots != 0) shares.need(static_cast<TenantIndex>(n), TierIndex(t), slots);
    }
    if (t >= starved.size() || starved[t] == 0 || t >= starved_for.size()) continue;
    const TenantIndex tenant = tenant_of({kUnlisted, starved_for[t]});
    if (tenant != kUnlisted) shares.need(tenant, TierIndex(t), starved[t]);
  }
}

// Bit t: tier t still lacks slots, none is about to come, and it is not for want of room below.
std::uint32_t Planner::hopeless(std::span<const std::uint32_t> starved, std::uint64_t now_ns) noexcept {
  const Wants wants = look(starved, now_ns);
  std::uint32_t tiers = 0;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const TierIndex lower = below(TierIndex(t));
    const bool paced = lower && wants.room[lower.value] == 0 && (wants.spent >> lower.value & 1) == 0;
    if (wants.free[t] != 0 && sink_.leaving(TierIndex(t)) == 0 && !paced) tiers |= 1u << t;
  }
  return tiers;
}

void Planner::moves_ended(std::span<const BlockId> blocks, TierIndex tier) noexcept {
  if (waiting_.empty()) return;  // no tenants: nobody counts what leaves
  MutexLock lock(mu_);
  for (const BlockId block : blocks) protection_.shares().stay(block, tier);
}

Status Planner::pin(std::span<const BlockId> blocks, TierIndex tier, std::uint64_t duration_s) noexcept {
  MutexLock lock(mu_);
  drain();
  for (const BlockId block : blocks) {
    const std::uint32_t tiers = residency_.readable(block);
    if (tier ? (tiers >> tier.value & 1) == 0 : tiers == 0)
      return Status(Code::kNotFound, "pin: a block has no copy there; acquire it first");
  }
  return protection_.pins().pin(blocks, tier, duration_s, now());
}

void Planner::unpin(std::span<const BlockId> blocks) noexcept {
  MutexLock lock(mu_);
  for (const BlockId block : blocks) protection_.pins().unpin(block);
}

std::uint32_t Planner::pinned() noexcept {
  MutexLock lock(mu_);
  return protection_.pins().count(now());
}

void Planner::count_tenants(std::span<TenantStats> tenants) noexcept {
  MutexLock lock(mu_);
  drain();
  const Shares& shares = protection_.shares();
  for (std::size_t n = 0; n < std::min(tenants.size(), shares.tenants()); ++n) {
    const auto tenant = static_cast<TenantIndex>(n);
    tenants[n].hits = shares.hits(tenant);
    for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
      tenants[n].blocks[t] = shares.copies(tenant, TierIndex(t));
      tenants[n].share[t] = shares.share(tenant, TierIndex(t));
    }
  }
}

}  // namespace kelvin
