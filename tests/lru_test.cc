// Policy "lru": who goes first, where to, and what it leaves alone. A long random run beside a naive one is
// in lru_reference_test.cc.
#include "policies/lru.h"

#include <gtest/gtest.h>

#include <numeric>

#include "policy_fixture.h"

namespace kelvin::testing {
namespace {

class Lru : public PolicyFixture {
 protected:
  Lru() { begin(kLruPolicy, 1); }
};

// --- the order ---

TEST_F(Lru, WhatWasReleasedLongestAgoGoesFirst) {
  publish({1, 2, 3, 4}, 0);
  for (const std::uint32_t block : {3u, 1u, 4u, 2u}) release({block}, 0);
  EXPECT_EQ(victims(4), (Ids{3, 1, 4, 2}));
  release({3}, 0);
  EXPECT_EQ(victims(2), (Ids{1, 4}));
}

TEST_F(Lru, TheDeepestOfAPrefixGoesFirst) {
  publish_chain({1, 2, 3, 4}, 0);
  release({4, 3, 2, 1}, 0);
  publish_chain({1, 2, 9}, 0);  // a branch, released later
  release({9, 2, 1}, 0);
  EXPECT_EQ(victims(5), (Ids{4, 3, 9, 2, 1}));
}

TEST_F(Lru, ReleasingAnEndRenewsWhatComesBeforeIt) {
  publish_chain({1, 2, 3, 4}, 0);
  publish({9}, 0);
  release({4, 3, 2, 1}, 0);
  release({9}, 0);
  release({4, 3}, 0);  // a lease of the end only: nobody holds 1 and 2 any more
  EXPECT_EQ(victims(5), (Ids{9, 4, 3, 2, 1}));
}

TEST_F(Lru, WhatSomebodyElseStillHoldsIsRenewedByThatLeasesEnd) {
  publish_chain({1, 2, 3}, 0);
  publish({9}, 0);
  release({3, 2, 1}, 0);
  release({9}, 0);
  lease({1, 2}, 0);
  release({3}, 0);
  unlease({1, 2});
  EXPECT_EQ(victims(4), (Ids{2, 1, 9, 3}));
  release({2, 1}, 0);
  EXPECT_EQ(victims(4), (Ids{9, 3, 2, 1}));
}

TEST_F(Lru, OnlyAReleaseRenews) {
  publish({1, 2, 3}, 0);
  release({1}, 0);
  release({2}, 0);
  release({3}, 0);
  tell(EventKind::kHit, {1}, 0);
  tell(EventKind::kExpect, {1}, 0);
  tell(EventKind::kArrive, {1}, 0);
  tell(EventKind::kPublish, {1}, 0);
  tell(EventKind::kExpect, {1}, TierIndex::kNone);
  EXPECT_EQ(victims(1), Ids{1});
}

TEST_F(Lru, ALeaseThatNeverWasReportedReleasedIsNotRenewed) {
  publish({1, 2}, 0);
  EXPECT_EQ(victims(2), (Ids{1, 2})) << "in the order they were made";
}

TEST_F(Lru, LeasedBlocksAreLeftAloneAndKeepTheirOrder) {
  publish({1, 2, 3, 4}, 0);
  for (const std::uint32_t block : {1u, 2u, 3u, 4u}) release({block}, 0);
  lease({1, 2}, 0);
  EXPECT_EQ(victims(4), (Ids{3, 4}));
  unlease({1, 2});
  EXPECT_EQ(victims(4), (Ids{3, 4, 1, 2})) << "what was in use is more recent than what was not";
}

TEST_F(Lru, EndsThoughEverythingIsLeased) {
  publish({1, 2, 3}, 0);
  lease({1, 2, 3}, 0);
  EXPECT_EQ(victims(3), Ids{});
  unlease({1, 2, 3});
  EXPECT_EQ(victims(3), (Ids{1, 2, 3}));
}

// --- only what it was told ---

TEST_F(Lru, ProposesNothingUnasked) {
  publish({1, 2, 3}, 0);
  release({3, 2, 1}, 0);
  EXPECT_EQ(victims(0), Ids{});
}

TEST_F(Lru, ProposesNoMoreThanAskedForAndNoMoreThanThereIsRoomFor) {
  for (std::uint32_t block = 0; block < 20; ++block) publish({block}, 0);
  EXPECT_EQ(victims(7).size(), 7u);
  EXPECT_EQ(victims(100).size(), 20u);
  EXPECT_EQ(plan(3).size(), 3u);
  EXPECT_EQ(plan(0).size(), 0u);
}

TEST_F(Lru, ForgetsWhatLeft) {
  publish({1, 2, 3, 4}, 0);
  leave({2}, 0);
  state(3).tiers = 0;
  tell(EventKind::kForget, {3}, TierIndex::kNone);
  EXPECT_EQ(victims(4), (Ids{1, 4}));
  leave({1}, 0);
  leave({4}, 0);
  EXPECT_EQ(victims(4), Ids{});
  publish({3, 1}, 0);  // ids are used again
  EXPECT_EQ(victims(4), (Ids{3, 1}));
}

TEST_F(Lru, PassesOverWhatHasNoReadableCopyWhateverItHeard) {
  publish({1, 2}, 0);
  state(1).tiers = 0;  // being dropped: the event is on its way
  EXPECT_EQ(victims(2), Ids{2});
}

TEST_F(Lru, NeverProposesWhatItWasNotToldOf) {
  for (std::uint32_t block = 0; block < 50; ++block) state(block).tiers = 1;
  publish({7}, 0);
  EXPECT_EQ(victims(50), Ids{7});
}

// --- several tiers ---

TEST_F(Lru, TheLastTierForgetsAndTheOthersDemote) {
  begin(kLruPolicy, 3);
  publish({1}, 0);
  publish({2}, 1);
  publish({3}, 2);
  want_ = {1, 1, 1};
  const auto moves = plan();
  ASSERT_EQ(moves.size(), 3u);
  EXPECT_EQ(moves[0].block, BlockId(3)) << "the farthest first: what is freed there is what is moved into";
  EXPECT_EQ(moves[0].to, kNoTier);
  EXPECT_EQ(moves[1].block, BlockId(2));
  EXPECT_EQ(moves[1].to, kThird);
  EXPECT_EQ(moves[2].block, BlockId(1));
  EXPECT_EQ(moves[2].to, kSecond);
  EXPECT_FALSE(moves[2].keep_source);
  EXPECT_EQ(moves[2].urgency, Urgency::kWriteBehind);
}

TEST_F(Lru, WhatLiesBelowAsWellIsDroppedAndCostsNoWrite) {
  begin(kLruPolicy, 3);
  publish({1, 2}, 0);
  arrive({1}, 2);
  may_write_ = {0, 0, 0};
  want_ = {2, 0, 0};
  const auto moves = plan();
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].block, BlockId(1));
  EXPECT_EQ(moves[0].to, kNoTier);
}

TEST_F(Lru, ACopyAboveDoesNotMakeTheOneBelowWorthless) {
  begin(kLruPolicy, 3);
  publish({1}, 0);
  arrive({1}, 1);
  want_ = {0, 1, 0};
  const auto moves = plan();
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].from, kSecond);
  EXPECT_EQ(moves[0].to, kThird);
}

TEST_F(Lru, WritesNoMoreThanItMay) {
  begin(kLruPolicy, 2);
  publish({1, 2, 3, 4}, 0);
  may_write_ = {0, 2};
  EXPECT_EQ(victims(4), (Ids{1, 2}));
}

TEST_F(Lru, TiersThatAreOfflineOrTheEnginesAreNoPlaceToGo) {
  begin(kLruPolicy, 4, 0b0100);
  view_.tiers_[1].online = false;
  publish({1}, 0);
  want_ = {1, 0, 0, 0};
  ASSERT_EQ(plan().size(), 1u);
  EXPECT_EQ(plan()[0].to, TierIndex(3));
  view_.tiers_[3].online = false;
  EXPECT_EQ(plan()[0].to, kNoTier) << "nobody below would take it";
}

TEST_F(Lru, AReleaseCountsInEveryTierThatHoldsTheBlock) {
  begin(kLruPolicy, 2);
  publish({1, 2}, 1);
  arrive({1, 2}, 0);
  release({1}, 0);
  EXPECT_EQ(victims(2, 1), (Ids{2, 1}));
  EXPECT_EQ(victims(2, 0), (Ids{2, 1}));
  release({2}, 1);
  EXPECT_EQ(victims(2, 0), (Ids{1, 2}));
}

TEST_F(Lru, ALeaveConcernsOneTierAndAForgetAll) {
  begin(kLruPolicy, 2);
  publish({1, 2}, 1);
  arrive({1, 2}, 0);
  leave({1}, 0);
  EXPECT_EQ(victims(2, 0), Ids{2});
  EXPECT_EQ(victims(2, 1), (Ids{1, 2}));
  tell(EventKind::kForget, {2}, TierIndex::kNone);
  EXPECT_EQ(victims(2, 0), Ids{});
  EXPECT_EQ(victims(2, 1), Ids{1});
}

TEST_F(Lru, ALeaseInOneTierDoesNotHoldTheCopyInAnother) {
  begin(kLruPolicy, 2);
  publish({1}, 1);
  arrive({1}, 0);
  lease({1}, 0);
  EXPECT_EQ(victims(1, 0), Ids{});
  EXPECT_EQ(victims(1, 1), Ids{1});
}

// --- at once ---

TEST_F(Lru, AtOnceOnlyWhatLiesBelowIsDropped) {
  begin(kLruPolicy, 2);
  publish({1, 2, 3}, 0);
  arrive({2}, 1);
  want_ = {3, 0};
  const auto moves = plan(128, true, false);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].block, BlockId(2));
  EXPECT_EQ(moves[0].to, kNoTier);
}

TEST_F(Lru, AtOnceWithLeaveToForgetTheColdestGo) {
  begin(kLruPolicy, 2);
  publish({1, 2, 3}, 0);
  arrive({3}, 1);
  want_ = {2, 0};
  const auto moves = plan(128, true, true);
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].block, BlockId(1));
  EXPECT_EQ(moves[1].block, BlockId(2));
  EXPECT_EQ(moves[0].to, kNoTier);
}

TEST_F(Lru, AtOnceItDoesNotLookAtEverything) {
  begin(kLruPolicy, 2);
  for (std::uint32_t block = 0; block < kBlocks; ++block) publish({block}, 0);
  want_ = {1, 0};
  view_.looks = 0;
  EXPECT_TRUE(plan(128, true, false).empty());
  EXPECT_LT(view_.looks, 1000u) << "a caller waits";
}

// --- what plans may not take ---

TEST_F(Lru, WhatIsKeptStandsAsideAndKeepsItsOrder) {
  begin(kLruPolicy, 1);
  publish({1, 2, 3, 4, 5, 6}, 0);
  for (const std::uint32_t block : {1u, 2u, 4u}) state(block).kept = state(block).leased = 1;
  EXPECT_EQ(victims(1), (Ids{3}));
  leave({3}, 0);
  EXPECT_EQ(victims(1), (Ids{5}));
  for (const std::uint32_t block : {1u, 2u, 4u}) state(block).kept = state(block).leased = 0;
  EXPECT_EQ(victims(9), (Ids{1, 2, 4, 5, 6})) << "older than those that were not kept";
}

TEST_F(Lru, WhatIsKeptAndUsedIsAsRecentAsAnyOther) {
  begin(kLruPolicy, 1);
  publish({1, 2, 3}, 0);
  state(1).kept = state(1).leased = 1;
  EXPECT_EQ(victims(1), (Ids{2}));
  state(1).kept = state(1).leased = 0;
  release({1}, 0);
  EXPECT_EQ(victims(9), (Ids{2, 3, 1}));
}

TEST_F(Lru, DoesNotLookAtAllThatIsKeptTimeAndAgain) {
  begin(kLruPolicy, 1);
  Ids all(5000);
  std::iota(all.begin(), all.end(), 0u);
  publish(all, 0);
  for (const std::uint32_t block : all) state(block).kept = state(block).leased = 1;
  publish({5000, 5001}, 0);
  EXPECT_EQ(victims(1), (Ids{5000}));
  leave({5000}, 0);
  view_.looks = 0;
  EXPECT_EQ(victims(1), (Ids{5001}));
  EXPECT_LT(view_.looks, 200u);
  leave({5001}, 0);
  state(2500).kept = state(2500).leased = 0;
  EXPECT_EQ(victims(1), (Ids{2500})) << "nothing else can go";
}

// --- the engine's slots ---

TEST_F(Lru, WhatIsInTheEnginesSlotsIsCopiedDownAtOnceAndStays) {
  begin(kLruPolicy, 2, 0b01);
  publish({1, 2}, 0);
  const auto moves = plan();
  ASSERT_EQ(moves.size(), 2u);
  for (const Move& move : moves) {
    EXPECT_EQ(move.from, kFirst);
    EXPECT_EQ(move.to, kSecond);
    EXPECT_TRUE(move.keep_source);
  }
  arrive({1}, 1);
  const auto rest = plan();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].block, BlockId(2));
  may_write_ = {0, 0};
  EXPECT_TRUE(plan().empty());
}

// --- children before their parents ---

TEST_F(Lru, AChainThatWasDemotedGoesDeepestFirst) {
  begin(kLruPolicy, 2);
  publish_chain({1, 2, 3}, 0);
  release({3, 2, 1}, 0);
  for (const std::uint32_t block : victims(3)) {
    arrive({block}, 1);
    leave({block}, 0);
  }
  EXPECT_EQ(victims(3, 1), (Ids{3, 2, 1}));
}

TEST_F(Lru, AChainWhosePartsOvertookEachOtherGoesDeepestFirst) {
  begin(kLruPolicy, 2);
  publish_chain({1, 2, 3}, 0);
  release({3, 2, 1}, 0);
  arrive({2, 1, 3}, 1);
  EXPECT_EQ(victims(3, 1), (Ids{3, 2, 1}));
}

}  // namespace
}  // namespace kelvin::testing
