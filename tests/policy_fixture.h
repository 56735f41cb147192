// A policy by itself, over blocks and tiers that are only claimed to exist.
//
// Thread contract: one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core_parts.h"
#include "kelvin/plugin.h"

namespace kelvin::testing {

// What the policy may look at; a test says what is there.
class ClaimedView final : public View {
 public:
  std::span<const TierState> tiers() const noexcept override { return tiers_; }
  BlockState block(BlockId block) const noexcept override {
    ++looks;
    return blocks_[block.value];
  }

  std::vector<TierState> tiers_;
  std::vector<BlockState> blocks_;
  mutable std::uint64_t looks = 0;
};

class PolicyFixture : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kBlocks = 6000;
  using Ids = std::vector<std::uint32_t>;

  // `adopted`: bit t for tier t. Each tier has `slots`.
  void begin(const PolicyFactory& factory, std::size_t tiers, std::uint32_t adopted = 0,
             std::uint32_t slots = 100, const std::vector<Option>& options = {}) {
    names_.clear();
    std::vector<const TierInfo*> infos;
    for (std::size_t t = 0; t < tiers; ++t)
      names_.push_back(std::make_unique<PlainTier>(std::to_string(t), slots, (adopted >> t & 1) != 0));
    view_.tiers_.assign(tiers, TierState{});
    for (std::size_t t = 0; t < tiers; ++t) infos.push_back(view_.tiers_[t].info = &names_[t]->info());
    view_.blocks_.assign(kBlocks, BlockState{});
    for (std::uint32_t b = 0; b < kBlocks; ++b) view_.blocks_[b].key = {b, ~std::uint64_t{b}};
    const SpaceConfig space;
    std::string why;
    const Options bound = made(Options::bind(factory.options, options, "the policy", &why));
    policy_ = made(factory.make({infos, kBlocks, space}, bound, &why));
    want_.assign(tiers, 0);
    may_write_.assign(tiers, 1000);
  }

  BlockState& state(std::uint32_t block) { return view_.blocks_[block]; }
  static TierIndex tier(std::uint8_t t) { return TierIndex(t); }

  void tell(EventKind kind, std::initializer_list<std::uint32_t> blocks, std::uint8_t t) {
    tell(kind, Ids(blocks), t);
  }
  void tell(EventKind kind, const Ids& blocks, std::uint8_t t) {
    std::vector<Event> events(blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      events[i].kind = kind;
      events[i].tier = tier(t);
      events[i].block = BlockId(blocks[i]);
    }
    policy_->observe(view_, events);
  }

  // What a space does when it does so; a lease's blocks are named from the deepest on.
  void publish(const Ids& blocks, std::uint8_t t) {
    for (const std::uint32_t block : blocks) state(block).tiers |= 1u << t;
    tell(EventKind::kPublish, blocks, t);
  }
  void publish_chain(const Ids& blocks, std::uint8_t t) {
    for (std::size_t i = 1; i < blocks.size(); ++i) state(blocks[i]).parent = BlockId(blocks[i - 1]);
    publish(blocks, t);
  }
  void release(const Ids& blocks, std::uint8_t t) { tell(EventKind::kRelease, blocks, t); }
  void arrive(const Ids& blocks, std::uint8_t t) {
    for (const std::uint32_t block : blocks) state(block).tiers |= 1u << t;
    tell(EventKind::kArrive, blocks, t);
  }
  void leave(const Ids& blocks, std::uint8_t t) {
    for (const std::uint32_t block : blocks) state(block).tiers &= ~(1u << t);
    tell(EventKind::kLeave, blocks, t);
  }
  void lease(const Ids& blocks, std::uint8_t t) {
    for (const std::uint32_t block : blocks) state(block).leased |= 1u << t;
  }
  void unlease(const Ids& blocks) {
    for (const std::uint32_t block : blocks) state(block).leased = 0;
  }

  std::vector<Move> plan(std::size_t room = 128, bool at_once = false, bool may_forget = false) {
    Budget budget;
    budget.want_free = want_;
    budget.may_write = may_write_;
    budget.at_once = at_once;
    budget.may_forget = may_forget;
    std::vector<Move> moves(room);
    moves.resize(policy_->plan(view_, budget, moves));
    return moves;
  }
  // The blocks proposed when so many slots of tier `t` are wanted.
  Ids victims(std::uint32_t wanted, std::uint8_t t = 0) {
    std::fill(want_.begin(), want_.end(), 0u);
    want_[t] = wanted;
    Ids blocks;
    for (const Move& move : plan()) {
      EXPECT_EQ(move.from, tier(t));
      blocks.push_back(move.block.value);
    }
    return blocks;
  }

  ClaimedView view_;
  std::unique_ptr<Policy> policy_;
  std::vector<std::uint32_t> want_, may_write_;

 private:
  std::vector<std::unique_ptr<PlainTier>> names_;
};

}  // namespace kelvin::testing
