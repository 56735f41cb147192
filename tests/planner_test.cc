// Planner: what it asks the policy for, and what it carries out. What it refuses is in
// planner_refusal_test.cc, what it tells in planner_events_test.cc.
#include "planner/planner.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "planner_fixture.h"

namespace kelvin::testing {
namespace {

using Counts = std::vector<std::uint32_t>;

class PlannerTest : public PlannerFixture {};

// --- what it asks for ---

TEST_F(PlannerTest, AsksForNothingWhereEnoughIsFree) {
  begin({40, 0, 0});
  for (std::uint64_t n = 0; n < 60; ++n) put(n, kFirst);
  planner_->plan({});
  ASSERT_EQ(policy_->asked.size(), 1u);
  EXPECT_EQ(policy_->asked[0].want_free, (Counts{0, 0, 0}));
}

TEST_F(PlannerTest, BelowTheMarkItAsksForAQuarterMore) {
  begin({40, 0, 20});
  for (std::uint64_t n = 0; n < 65; ++n) put(n, kFirst);
  for (std::uint64_t n = 100; n < 181; ++n) put(n, kThird);
  planner_->plan({});
  EXPECT_EQ(policy_->asked.at(0).want_free, (Counts{15, 0, 6}));
}

TEST_F(PlannerTest, WhatIsLeavingAlreadyIsNotAskedForAgain) {
  begin({40, 0, 0});
  for (std::uint64_t n = 0; n < 65; ++n) put(n, kFirst);
  sink_.leavings[0] = 4;
  planner_->plan({});
  EXPECT_EQ(policy_->asked.at(0).want_free, (Counts{11, 0, 0}));
  sink_.leavings[0] = 5;
  planner_->plan({});
  EXPECT_EQ(policy_->asked.at(1).want_free, (Counts{0, 0, 0}));
}

TEST_F(PlannerTest, MovesAndCallersThatWaitAreAskedForToo) {
  for (std::uint64_t n = 0; n < kSlots; ++n) put(n, kFirst);
  planner_->demand(kFirst, 3);
  const std::array<std::uint32_t, 2> starved = {2, 1000};
  planner_->plan(starved);
  EXPECT_EQ(policy_->asked.at(0).want_free, (Counts{5, 900, 0}));
  planner_->withdraw(kFirst, 3);
  planner_->plan({});
  EXPECT_EQ(policy_->asked.at(1).want_free, (Counts{0, 0, 0}));
}

TEST_F(PlannerTest, ShortOfSaysWhenThereIsSomethingToPlan) {
  begin({40, 0, 0});
  for (std::uint64_t n = 0; n < 60; ++n) put(n, kFirst);
  EXPECT_FALSE(planner_->short_of(kFirst, 0));
  put(60, kFirst);
  EXPECT_TRUE(planner_->short_of(kFirst, 0));
  EXPECT_FALSE(planner_->short_of(kFirst, 1));
  planner_->demand(kSecond, kSlots + 1);
  EXPECT_TRUE(planner_->short_of(kSecond, 0));
}

TEST_F(PlannerTest, SaysHowMuchMayBeWrittenAndWhenItIs) {
  now_ns_ = 4711;
  planner_->plan({});
  const Asked& asked = policy_->asked.at(0);
  EXPECT_EQ(asked.may_write, (Counts{11, 12, 13}));
  EXPECT_EQ(asked.now_ns, 4711u);
  EXPECT_FALSE(asked.at_once);
  EXPECT_FALSE(asked.may_forget);
}

TEST_F(PlannerTest, ShowsThePolicyTheTiersAsTheyAre) {
  put(1, kFirst);
  sink_.leavings = {1, 2, 3};
  planner_->take_offline(kSecond);
  std::vector<TierState> states;
  policy_->rule = [&](const View& view, const Budget&, std::span<Move>) {
    states.assign(view.tiers().begin(), view.tiers().end());
    return std::size_t{0};
  };
  planner_->plan({});
  ASSERT_EQ(states.size(), 3u);
  EXPECT_EQ(states[0].free_slots, kSlots - 1);
  EXPECT_EQ(states[2].leaving, 3u);
  EXPECT_EQ(states[0].load_ns, 0u);
  EXPECT_EQ(states[2].load_ns, 110u);
  EXPECT_TRUE(states[0].online);
  EXPECT_FALSE(states[1].online);
  EXPECT_EQ(states[1].info->name, "b");
}

TEST_F(PlannerTest, AFullBatchIsFollowedByAnother) {
  std::vector<Move> moves;
  for (std::uint64_t n = 0; n < 300; ++n) {
    const TierIndex tier(static_cast<std::uint8_t>(n % 3));
    moves.push_back(drop_of(put(n, tier), tier));
  }
  std::size_t next = 0;
  policy_->rule = [&](const View&, const Budget&, std::span<Move> out) {
    const std::size_t count = std::min(out.size(), moves.size() - next);
    std::copy_n(moves.begin() + static_cast<std::ptrdiff_t>(next), count, out.begin());
    next += count;
    return count;
  };
  EXPECT_EQ(planner_->plan({}), 300u);
  EXPECT_EQ(residency_->table().size(), 0u);
  EXPECT_GT(policy_->asked.size(), 1u);
}

// --- what it carries out ---

TEST_F(PlannerTest, ADropFreesTheSlotAndTellsThePolicy) {
  const BlockId block = put(1, kFirst);
  copy(block, kSecond);
  policy_->script = {{drop_of(block, kFirst)}};
  EXPECT_EQ(planner_->plan({}), 1u);
  EXPECT_EQ(used(kFirst), 0u);
  EXPECT_EQ(residency_->readable(block), 0b010u);
  EXPECT_EQ(kinds_seen(), std::vector{EventKind::kLeave});
  EXPECT_EQ(policy_->seen[0].block, block);
  EXPECT_EQ(policy_->seen[0].tier, kFirst);
  EXPECT_EQ(policy_->seen[0].time_ns, now_ns_);
  EXPECT_EQ(planner_->drops(kFirst).clean, 1u);
  EXPECT_EQ(planner_->drops(kFirst).last, 0u);
}

TEST_F(PlannerTest, TheLastCopysDropForgetsTheBlock) {
  const BlockId block = put(1, kSecond);
  policy_->script = {{drop_of(block, kSecond)}};
  EXPECT_EQ(planner_->plan({}), 1u);
  EXPECT_FALSE(known(1));
  EXPECT_EQ(kinds_seen(), (std::vector{EventKind::kLeave, EventKind::kForget}));
  EXPECT_EQ(policy_->seen[1].block, block);
  EXPECT_EQ(planner_->drops(kSecond).last, 1u);
  EXPECT_EQ(planner_->drops(kSecond).clean, 0u);
}

TEST_F(PlannerTest, AParentDroppedBeforeItsChildIsForgottenWithIt) {
  const BlockId parent = put(1, kFirst);
  const BlockId child = put(2, kFirst, parent);
  policy_->script = {{drop_of(parent, kFirst)}, {drop_of(child, kFirst)}};
  planner_->plan({});
  EXPECT_TRUE(known(1)) << "a ghost";
  EXPECT_EQ(kinds_seen(), std::vector{EventKind::kLeave});
  planner_->plan({});
  EXPECT_FALSE(known(1));
  EXPECT_EQ(kinds_seen(),
            (std::vector{EventKind::kLeave, EventKind::kLeave, EventKind::kForget, EventKind::kForget}));
  EXPECT_EQ(policy_->seen[2].block, child);
  EXPECT_EQ(policy_->seen[3].block, parent);
}

TEST_F(PlannerTest, LegalMovesGoToTheMoverAsTheyWereProposed) {
  const BlockId block = put(1, kFirst);
  policy_->script = {{{block, kFirst, kThird, true, Urgency::kPrefetch}}};
  EXPECT_EQ(planner_->plan({}), 1u);
  ASSERT_EQ(sink_.accepted.size(), 1u);
  EXPECT_EQ(sink_.accepted[0].key, key_of(1));
  EXPECT_EQ(sink_.accepted[0].move.block, block);
  EXPECT_EQ(sink_.accepted[0].move.from, kFirst);
  EXPECT_EQ(sink_.accepted[0].move.to, kThird);
  EXPECT_TRUE(sink_.accepted[0].move.keep_source);
  EXPECT_EQ(sink_.accepted[0].move.urgency, Urgency::kPrefetch);
  EXPECT_EQ(residency_->readable(block), 0b001u) << "the planner itself moves nothing";
  EXPECT_EQ(planner_->refused(), 0u);
}

TEST_F(PlannerTest, AMoverWithoutRoomRefuses) {
  const BlockId block = put(1, kFirst);
  sink_.full = true;
  policy_->script = {{{block, kFirst, kSecond}}};
  EXPECT_EQ(planner_->plan({}), 0u);
  EXPECT_EQ(planner_->refused(), 1u);
}

// --- making room at once ---

TEST_F(PlannerTest, RoomIsMadeByDropsAlone) {
  const BlockId one = put(1, kFirst);
  const BlockId two = put(2, kFirst);
  policy_->script = {{{one, kFirst, kSecond}, drop_of(two, kFirst)}};
  EXPECT_EQ(planner_->make_room(kFirst, 2, true), 1u);
  EXPECT_TRUE(sink_.accepted.empty());
  EXPECT_TRUE(known(1));
  EXPECT_FALSE(known(2));
  ASSERT_EQ(policy_->asked.size(), 2u) << "until nothing comes of it";
  EXPECT_EQ(policy_->asked[0].want_free, (Counts{2, 0, 0}));
  EXPECT_EQ(policy_->asked[1].want_free, (Counts{1, 0, 0}));
  EXPECT_EQ(policy_->asked[0].may_write, (Counts{0, 0, 0}));
  EXPECT_TRUE(policy_->asked[0].at_once);
  EXPECT_TRUE(policy_->asked[0].may_forget);
}

TEST_F(PlannerTest, RoomIsMadeOnlyAsMuchAsAskedFor) {
  for (std::uint64_t n = 0; n < 10; ++n) put(n, kFirst);
  policy_->rule = [&](const View&, const Budget&, std::span<Move> moves) {
    for (std::size_t i = 0; i < moves.size(); ++i)
      moves[i] = drop_of(residency_->table().find(key_of(i)), kFirst);
    return moves.size();
  };
  EXPECT_EQ(planner_->make_room(kFirst, 3, false), 3u);
  EXPECT_EQ(used(kFirst), 7u);
  EXPECT_FALSE(policy_->asked.at(0).may_forget);
  EXPECT_EQ(planner_->make_room(kFirst, 0, true), 0u);
}

TEST_F(PlannerTest, APolicyThatRefusesNewcomersIsAskedOnce) {
  const BlockId one = put(1, kFirst);
  put(2, kFirst);
  policy_->script = {{drop_of(one, kFirst)}, {drop_of(residency_->table().find(key_of(2)), kFirst)}};
  const std::array<BlockKey, 3> keys = {key_of(7), key_of(8), key_of(9)};
  Newcomers newcomers;
  newcomers.keys = keys;
  EXPECT_EQ(planner_->make_room(kFirst, 2, true, &newcomers), 1u);
  EXPECT_EQ(policy_->asked.size(), 1u);
  EXPECT_TRUE(known(2));
}

// --- drops of others than the policy ---

TEST_F(PlannerTest, ACallersDropCountsOnlyWhatCouldBeDropped) {
  const std::array blocks = {put(1, kFirst), put(2, kFirst), put(3, kSecond)};
  const Slot held = pin(2, kFirst);
  EXPECT_EQ(planner_->drop(blocks, kFirst, DropReason::kCaller), 1u);
  EXPECT_FALSE(known(1));
  EXPECT_TRUE(known(2));
  EXPECT_TRUE(known(3));
  residency_->slots(kFirst).unpin(held);
  EXPECT_EQ(planner_->drop(blocks, kFirst, DropReason::kCaller), 1u);
  EXPECT_EQ(planner_->drops(kFirst).last, 2u);
}

TEST_F(PlannerTest, ABrokenCopyIsCountedApartAndItsSlotMayBeQuarantined) {
  const std::array blocks = {put(1, kFirst), put(2, kFirst)};
  EXPECT_EQ(planner_->drop(std::span(blocks).first(1), kFirst, DropReason::kBroken, true), 1u);
  EXPECT_EQ(planner_->drop(std::span(blocks).last(1), kFirst, DropReason::kBroken, false), 1u);
  EXPECT_EQ(planner_->drops(kFirst).corrupt, 2u);
  EXPECT_EQ(planner_->drops(kFirst).last, 0u);
  EXPECT_EQ(residency_->slots(kFirst).quarantined(), 1u);
  EXPECT_EQ(used(kFirst), 1u);
}

TEST_F(PlannerTest, ATierTakenOfflineLosesItsCopiesAsSoonAsNobodyHoldsThem) {
  for (std::uint64_t n = 0; n < 80; ++n) copy(put(n, kFirst), kSecond);
  const Slot held = pin(7, kSecond);
  planner_->take_offline(kSecond);
  for (int i = 0; i < 10; ++i) planner_->plan({});
  EXPECT_EQ(used(kSecond), 1u);
  EXPECT_EQ(residency_->table().size(), 80u);
  residency_->slots(kSecond).unpin(held);
  now_ns_ += 10'000'000;  // what is pinned may be pinned for long: it is looked for now and then
  EXPECT_TRUE(planner_->sweep_due());
  for (int i = 0; i < 10; ++i) planner_->plan({});
  EXPECT_FALSE(planner_->sweep_due());
  EXPECT_EQ(used(kSecond), 0u);
  EXPECT_EQ(planner_->drops(kSecond).corrupt, 80u);
  EXPECT_EQ(used(kFirst), 80u);
}

TEST_F(PlannerTest, ATierComesBackEmptyAndOnTrialOnceNobodyHoldsACopyThere) {
  for (std::uint64_t n = 0; n < 80; ++n) copy(put(n, kFirst), kSecond);
  EXPECT_EQ(planner_->bring_back(kSecond).code(), Code::kMisuse);
  const Slot held = pin(7, kSecond);
  planner_->take_offline(kSecond);
  planner_->take_offline(kSecond);  // once is enough
  EXPECT_EQ(planner_->bring_back(kSecond).code(), Code::kBusy);
  EXPECT_EQ(planner_->sweep(), 79u);
  EXPECT_EQ(planner_->bring_back(kSecond).code(), Code::kBusy);
  residency_->slots(kSecond).unpin(held);
  EXPECT_EQ(planner_->sweep(), 1u) << "who asks for it need not wait";
  EXPECT_TRUE(planner_->bring_back(kSecond).ok());
  EXPECT_TRUE(residency_->online(kSecond));
  EXPECT_TRUE(planner_->on_trial(kSecond));
  EXPECT_EQ(used(kSecond), 0u);
  EXPECT_EQ(planner_->health(kSecond).went_offline, 1u);
  EXPECT_EQ(planner_->health(kSecond).came_back, 1u);
  planner_->take_offline(kSecond);
  EXPECT_FALSE(planner_->on_trial(kSecond));
}

}  // namespace
}  // namespace kelvin::testing
