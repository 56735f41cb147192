// UnsavedBlocks: the blocks of an adopted tier that have no copy below yet, oldest first. They are copied
// down at once, as the engine may take its slots back at any time.
//
// Thread contract: that of Policy.
#pragma once

#include <cstdint>

#include "policies/plan.h"
#include "policies/recency_list.h"

namespace kelvin {

class UnsavedBlocks {
 public:
  explicit UnsavedBlocks(std::uint32_t blocks) : links_(blocks) {}
  UnsavedBlocks(const UnsavedBlocks&) = delete;  // the list names the links
  UnsavedBlocks& operator=(const UnsavedBlocks&) = delete;

  void arrive(std::uint32_t block) noexcept {
    leave(block);
    list_.push(block);
  }
  void leave(std::uint32_t block) noexcept {
    if (list_.contains(block)) list_.remove(block);
  }

  void save(Plan& plan, TierIndex tier) noexcept {
    const TierIndex lower = plan.below(tier);
    if (!lower) return;
    OldestFirst walk;
    walk.begin(list_);
    while (!plan.full() && plan.may_write(lower)) {
      const std::uint32_t block = walk.next(list_);
      if (block == RecencyList::kNone) return;
      const BlockState state = plan.view.block(BlockId(block));
      if (state.tiers >> tier.value >> 1 != 0) {
        list_.remove(block);
      } else if ((state.tiers >> tier.value & 1) != 0) {
        plan.demote(BlockId(block), tier, lower, true);
      }
    }
  }

 private:
  RecencyLinks links_;
  RecencyList list_{links_};
};

}  // namespace kelvin
