// What the policy may look at: see kelvin/policy.h.
//
// Thread contract: the planner's, under its lock.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kelvin/policy.h"
#include "planner/protection.h"
#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin {

class SpaceView final : public View {
 public:
  SpaceView(const Residency& residency, const Topology& topology, const Protection& protection) noexcept
      : residency_(residency), topology_(topology), protection_(protection) {
    for (std::size_t t = 0; t < residency.tiers(); ++t) {
      states_[t].info = &topology.tier(TierIndex(static_cast<std::uint8_t>(t))).info();
    }
    for (const auto& edge : topology.edges()) {
      if (edge->takes_source) states_[edge->from.value].exclusive = true;
    }
  }

  // Brings the numbers of tiers() up to date; `leaving(tier)` counts the moves that will free a slot there;
  // slots that are still coming count as leaving, so that nothing goes for room that will be there.
  template <class Leaving>
  void refresh(Leaving&& leaving) noexcept {
    const TierIndex near = residency_.first_online();
    for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
      const TierIndex tier(t);
      states_[t].free_slots = residency_.slots(tier).free_count();
      states_[t].leaving = leaving(tier) + residency_.slots(tier).coming();
      states_[t].load_ns = topology_.move_ns(tier, near);
      states_[t].online = residency_.online(tier);
    }
  }

  std::span<const TierState> tiers() const noexcept override { return {states_.data(), residency_.tiers()}; }
  // Of an id that no record has (a policy may follow a parent that is none): nothing anywhere.
  BlockState block(BlockId block) const noexcept override {
    if (block.value >= residency_.table().capacity()) return BlockState{};
    if (!protection_.planning()) return residency_.state(block);
    BlockState state = residency_.state(block);
    protection_.show(block, state);
    return state;
  }

 private:
  const Residency& residency_;
  const Topology& topology_;
  const Protection& protection_;
  std::array<TierState, kMaxTiers> states_{};
};

}  // namespace kelvin
