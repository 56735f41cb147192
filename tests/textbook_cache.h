// TextbookCache: one policy over one memory, driven as papers on eviction picture it: items are asked for one
// at a time, a miss takes the place of one victim, and nothing is leased.
//
// Thread contract: one thread.
// Invariant: `used_` of `slots` places are taken, by the blocks whose state says that they have a copy.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core_parts.h"
#include "kelvin/plugin.h"

namespace kelvin::testing {

class TextbookCache final : private View {
 public:
  TextbookCache(const PolicyFactory& factory, std::uint32_t blocks, std::uint32_t slots,
                const std::vector<Option>& given = {})
      : tier_("memory", slots), slots_(slots), blocks_(blocks) {
    const std::array<const TierInfo*, 1> infos = {&tier_.info()};
    const SpaceConfig space;
    std::string why;
    const Options options = made(Options::bind(factory.options, given, "textbook", &why));
    policy_ = made(factory.make({infos, blocks, space}, options, &why));
    states_[0].info = infos[0];
    for (std::uint32_t b = 0; b < blocks; ++b) blocks_[b].key = {b, ~std::uint64_t{b}};
  }

  // What a block builds on; before it is asked for. Else it is an item by itself.
  void describe(std::uint32_t block, BlockId parent, std::uint32_t depth) {
    blocks_[block].parent = parent;
    blocks_[block].depth = depth;
  }
  bool holds(std::uint32_t block) const noexcept { return blocks_[block].tiers != 0; }
  std::uint32_t used() const noexcept { return used_; }

  // Asks for a block. Returns what went for it: none if it was there or there was room.
  BlockId access(std::uint32_t block) {
    BlockId gone;
    if (!holds(block)) {
      if (used_ == slots_) gone = make_room_for(block);
      if (used_ == slots_) return gone;
      ++used_;
      blocks_[block].tiers = 1;
      tell(EventKind::kPublish, BlockId(block));
    }
    tell(EventKind::kRelease, BlockId(block));
    return gone;
  }

 private:
  std::span<const TierState> tiers() const noexcept override { return states_; }
  BlockState block(BlockId block) const noexcept override { return blocks_[block.value]; }

  BlockId make_room_for(std::uint32_t block) {
    constexpr std::array<std::uint32_t, 1> kOne = {1};
    constexpr std::array<std::uint32_t, 1> kNothing = {0};
    Budget budget;
    budget.want_free = kOne;
    budget.may_write = kNothing;
    budget.at_once = true;
    budget.may_forget = true;
    budget.newcomers = {&blocks_[block].key, 1};
    std::array<Move, 1> move;
    const bool proposed = policy_->plan(*this, budget, move) == 1;
    EXPECT_TRUE(proposed) << "no victim though nothing is leased";
    if (!proposed) return {};
    const BlockId gone = move[0].block;
    EXPECT_TRUE(holds(gone.value) && move[0].from == kFirst && !move[0].to) << gone.value;
    tell(EventKind::kLeave, gone);
    blocks_[gone.value].tiers = 0;
    tell(EventKind::kForget, gone);
    --used_;
    return gone;
  }

  void tell(EventKind kind, BlockId block) {
    Event event;
    event.kind = kind;
    event.tier = kFirst;
    event.block = block;
    event.time_ns = ++now_ns_;
    policy_->observe(*this, {&event, 1});
  }

  const PlainTier tier_;
  const std::uint32_t slots_;
  std::array<TierState, 1> states_;
  std::vector<BlockState> blocks_;
  std::unique_ptr<Policy> policy_;
  std::uint32_t used_ = 0;
  std::uint64_t now_ns_ = 0;
};

// Asks the policy and a naive one for the same items, at random: a few that are wanted often and change
// slowly, many that are wanted now and then, and scans of what is wanted once. `Naive::access(item)` returns
// what went for it.
template <class Naive>
void expect_same_victims(const PolicyFactory& factory, Naive& naive, std::uint32_t slots, std::uint32_t seed,
                         const std::vector<Option>& given = {}) {
  constexpr std::uint32_t kItems = 4000;
  constexpr std::uint32_t kSteps = 20000;
  TextbookCache cache(factory, kItems, slots, given);
  std::mt19937 random(seed);
  std::uint32_t scan = 0;
  std::uint32_t evictions = 0;
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    std::uint32_t item = 0;
    switch (random() % 4) {
      case 0: item = static_cast<std::uint32_t>(random() % (slots / 2)) + step / 1000 * 3; break;
      case 1: item = 200 + static_cast<std::uint32_t>(random() % (slots * 3)); break;
      case 2:
        item = 200 + static_cast<std::uint32_t>(random() % (slots * 3) * (random() % slots) / slots);
        break;
      default: item = 1000 + scan++ % 3000; break;
    }
    const BlockId expected = naive.access(item);
    ASSERT_EQ(cache.access(item), expected) << "step " << step << ", item " << item << ", seed " << seed;
    if (expected) ++evictions;
  }
  EXPECT_GT(evictions, kSteps / 10);
}

}  // namespace kelvin::testing
