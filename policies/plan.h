// Plan: the moves of one call of Policy::plan, and what becomes of a victim.
//
// Thread contract: that of Policy; lives during one call of plan.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kelvin/policy.h"

namespace kelvin {

struct Plan {
  const View& view;
  const Budget& budget;
  std::span<Move> moves;
  std::size_t count = 0;
  std::array<std::uint32_t, kMaxTiers> written{};

  bool full() const noexcept { return count == moves.size(); }
  bool may_write(TierIndex tier) const noexcept { return written[tier.value] < budget.may_write[tier.value]; }
  bool spent(TierIndex tier) const noexcept { return (budget.spent >> tier.value & 1) != 0; }

  // The next tier down that is in use and that Kelvin may fill.
  TierIndex below(TierIndex tier) const noexcept {
    const std::span<const TierState> tiers = view.tiers();
    for (std::size_t t = tier.value + 1u; t < tiers.size(); ++t) {
      if (tiers[t].online && !tiers[t].info->adopted) return TierIndex(static_cast<std::uint8_t>(t));
    }
    return kNoTier;
  }

  // Precondition: not full.
  void drop(BlockId block, TierIndex from) noexcept { moves[count++] = {block, from, kNoTier}; }
  void demote(BlockId block, TierIndex from, TierIndex to, bool keep_source) noexcept {
    ++written[to.value];
    moves[count++] = {block, from, to, keep_source, Urgency::kWriteBehind};
  }
  void promote(BlockId block, TierIndex from, TierIndex to) noexcept {
    ++written[to.value];
    moves[count++] = {block, from, to, true, Urgency::kPrefetch};
  }
};

enum class Verdict : std::uint8_t {
  kProposed,
  kNotNow,     // its last copy, and the caller does not want it forgotten
  kLowerBusy,  // the next lower tier takes no more for now
};

// Proposes what becomes of a victim that has an unleased copy in `tier`: dropped where a lower tier has a
// copy, where none would take it, or where the budget of writes is spent; else demoted to the next lower
// tier. `worth(lower)`: is that tier a place for it? Precondition: the plan is not full.
template <class Worth>
Verdict evict(Plan& plan, TierIndex tier, BlockId block, const BlockState& state, Worth&& worth) noexcept {
  const bool clean = state.tiers >> tier.value >> 1 != 0;
  const TierIndex lower = plan.below(tier);
  const bool no_way = !lower || plan.spent(lower) || !worth(lower);
  if (clean || no_way || (plan.budget.at_once && plan.budget.may_forget)) {
    plan.drop(block, tier);
    return Verdict::kProposed;
  }
  if (plan.budget.at_once) return Verdict::kNotNow;
  if (!plan.may_write(lower)) return Verdict::kLowerBusy;
  plan.demote(block, tier, lower, false);
  return Verdict::kProposed;
}

}  // namespace kelvin
