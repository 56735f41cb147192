// What ranked policies are made of, as one picture: newcomers and the fate of a victim. The containers have
// files of their own.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "policies/newcomer_queue.h"
#include "policies/plan.h"
#include "policy_fixture.h"

namespace kelvin::testing {
namespace {

TEST(NewcomersTest, AreGrantedInTurnAndRefusedDeepestFirst) {
  const std::array<BlockKey, 4> keys = {BlockKey{1, 1}, BlockKey{2, 2}, BlockKey{3, 3}, BlockKey{4, 4}};
  Newcomers asking;
  asking.keys = keys;
  asking.granted = 1;
  Budget budget;
  budget.newcomers = &asking;
  NewcomerQueue newcomers;
  newcomers.begin(budget);
  EXPECT_EQ(newcomers.granted().size(), 1u);
  ASSERT_NE(newcomers.next(), nullptr);
  EXPECT_EQ(*newcomers.next(), keys[1]);
  newcomers.grant();
  std::vector<BlockKey> refused;
  newcomers.refuse([&](const BlockKey& key) { refused.push_back(key); });
  EXPECT_EQ(refused, (std::vector<BlockKey>{keys[3], keys[2]}));
}

TEST(NewcomersTest, AreNobodyWhereTheBudgetNamesNone) {
  NewcomerQueue newcomers;
  newcomers.begin({});
  EXPECT_EQ(newcomers.next(), nullptr);
  EXPECT_TRUE(newcomers.granted().empty());
  newcomers.grant();
  EXPECT_EQ(newcomers.next(), nullptr);
}

class Fate : public ::testing::Test {
 protected:
  static constexpr BlockId kBlock{7};

  Fate() : names_{PlainTier("a"), PlainTier("b"), PlainTier("c")} {
    view_.tiers_.assign(3, TierState{});
    for (std::size_t t = 0; t < 3; ++t) view_.tiers_[t].info = &names_[t].info();
    budget_.may_write = may_write_;
  }
  Verdict verdict(std::uint32_t tiers, bool worth = true) {
    BlockState state;
    state.tiers = tiers;
    return evict(plan_, kFirst, kBlock, state, [worth](TierIndex) { return worth; });
  }

  std::array<PlainTier, 3> names_;
  ClaimedView view_;
  std::array<std::uint32_t, 3> may_write_ = {1, 1, 1};
  Budget budget_;
  std::array<Move, 2> moves_;
  Plan plan_{view_, budget_, moves_};
};

TEST_F(Fate, TheLastCopyIsDemotedToTheNextTierThatIsOnline) {
  view_.tiers_[1].online = false;
  EXPECT_EQ(verdict(1), Verdict::kProposed);
  EXPECT_EQ(moves_[0].to, kThird);
}

TEST_F(Fate, ACopyBelowMakesItADrop) {
  may_write_ = {};
  EXPECT_EQ(verdict(0b101), Verdict::kProposed);
  EXPECT_EQ(moves_[0].to, kNoTier);
}

TEST_F(Fate, WritesEndWithTheBudget) {
  EXPECT_EQ(verdict(1), Verdict::kProposed);
  EXPECT_EQ(verdict(1), Verdict::kLowerBusy);
  EXPECT_EQ(plan_.count, 1u);
}

TEST_F(Fate, WhatFindsNoBudgetOfWritesOrIsNotWorthOneIsForgotten) {
  EXPECT_EQ(verdict(1, false), Verdict::kProposed);
  EXPECT_EQ(moves_[0].to, kNoTier);
  budget_.spent = 0b10;
  EXPECT_EQ(verdict(1), Verdict::kProposed);
  EXPECT_EQ(moves_[1].to, kNoTier);
  EXPECT_TRUE(plan_.full());
}

TEST_F(Fate, AtOnceALastCopyGoesOnlyIfItMayBeForgotten) {
  budget_.at_once = true;
  EXPECT_EQ(verdict(1), Verdict::kNotNow);
  budget_.may_forget = true;
  EXPECT_EQ(verdict(1), Verdict::kProposed);
  EXPECT_EQ(moves_[0].to, kNoTier);
}

}  // namespace
}  // namespace kelvin::testing
