// Policy "cost": beside a naive one, and by itself.
#include "policies/cost.h"

#include <gtest/gtest.h>

#include <map>

#include "policy_fixture.h"
#include "textbook_cache.h"

namespace kelvin::testing {
namespace {

// Greedy-Dual-Size-Frequency over items of one size and one cost: worth = age + uses, the least goes, and age
// is what it was worth. Of equals any may go: here the policy's choice is looked up.
class NaiveGdsf {
 public:
  explicit NaiveGdsf(std::size_t slots) : slots_(slots) {}

  // True: `gone` is what may go for `item`.
  bool access(std::uint32_t item, BlockId gone) {
    if (!worth_.contains(item) && worth_.size() == slots_) {
      if (!gone || !worth_.contains(gone.value)) return false;
      for (const auto& [_, worth] : worth_) {
        if (worth < worth_[gone.value]) return false;
      }
      age_ = worth_[gone.value];
      worth_.erase(gone.value);
      uses_.erase(gone.value);
    } else if (gone) {
      return false;
    }
    worth_[item] = age_ + ++uses_[item];
    return true;
  }

 private:
  const std::size_t slots_;
  double age_ = 0;
  std::map<std::uint32_t, double> worth_;
  std::map<std::uint32_t, int> uses_;
};

TEST(CostReference, TakesAVictimThatTheNaiveOneWouldTake) {
  constexpr std::uint32_t kSlots = 30;
  TextbookCache cache(kCostPolicy, 400, kSlots);
  NaiveGdsf naive(kSlots);
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const std::uint32_t spread = random() % 2 == 0 ? 20 : 400;
    const auto item = static_cast<std::uint32_t>(random() % spread);
    ASSERT_TRUE(naive.access(item, cache.access(item))) << "step " << step;
  }
}

class Cost : public PolicyFixture {
 protected:
  Cost() { begin(kCostPolicy, 1); }
  void make(std::uint32_t block, std::uint32_t depth) {
    state(block).depth = depth;
    publish({block}, 0);
    release({block}, 0);
  }
};

TEST_F(Cost, WhatIsDeeperIsDearer) {
  make(1, 200);
  make(2, 0);
  make(3, 100);
  EXPECT_EQ(victims(3), (Ids{2, 3, 1}));
}

TEST_F(Cost, WhatWasUsedMoreOftenStays) {
  make(1, 0);
  make(2, 0);
  release({1}, 0);
  EXPECT_EQ(victims(2), (Ids{2, 1}));
}

TEST_F(Cost, OldMeritsFade) {
  make(1, 0);
  for (int i = 0; i < 9; ++i) release({1}, 0);
  std::uint32_t next = 10;
  make(next, 0);
  Ids victim;
  for (int i = 0; i < 20 && victim != Ids{1}; ++i) {
    victim = victims(1);
    leave(victim, 0);  // each that goes makes those worthier that come later
    make(++next, 0);
  }
  EXPECT_EQ(victim, Ids{1});
}

TEST_F(Cost, APrefixIsWorthMoreThanWhatBuildsOnIt) {
  for (std::uint32_t i = 0; i < 4; ++i) state(1 + i).depth = i;
  publish_chain({1, 2, 3, 4}, 0);
  release({4, 3, 2, 1}, 0);
  make(9, 300);
  EXPECT_EQ(victims(5), (Ids{4, 3, 2, 1, 9}));
}

TEST_F(Cost, NothingGoesWhereLoadingTakesLongerThanRecomputing) {
  begin(kCostPolicy, 2);
  state(1).depth = 0;
  state(2).depth = 2000;
  publish({1, 2}, 0);
  release({2, 1}, 0);
  want_ = {2, 0};
  view_.tiers_[1].load_ns = 80'000'000;  // a block of 512 tokens takes 64 ms at the beginning of a prompt
  const auto moves = plan();
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].block, BlockId(1));
  EXPECT_EQ(moves[0].to, kNoTier);
  EXPECT_EQ(moves[1].block, BlockId(2));
  EXPECT_EQ(moves[1].to, kSecond) << "so deep it would take 2 s";
}

}  // namespace
}  // namespace kelvin::testing
