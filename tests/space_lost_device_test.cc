// The device of tier 0 is lost: the space serves on from the other tiers, and nobody waits for what ran
// there.
#include <gtest/gtest.h>

#include "space_streams_fixture.h"

namespace kelvin::testing {
namespace {

struct LostDevice : SpaceStreams {
  // As a failing copy finds out.
  ::testing::AssertionResult lose_it() {
    streams().lose();
    const auto known = chain_of(900, 1);
    store_blocks(*space, known, kFar);
    auto ticket = space->acquire(known, kNear);
    const auto gone = comes_true([&] {
      time.pass(100us);
      return ticket->done() && !space->stats().tiers[0].online;
    });
    if (gone) {
      EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
    }
    return gone;
  }
  // Blocks in both tiers.
  void put_both(std::span<const BlockKey> chain) {
    put_far(chain);
    ASSERT_EQ(acquire_blocks_slowly(chain).size(), chain.size());
  }
};

INSTANTIATE_TEST_SUITE_P(Threads, LostDevice, ::testing::Values(0u, 1u), threads_name);

TEST_P(LostDevice, TheOtherTiersServeOn) {
  open_device();
  const auto both = chain_of(1, 3);
  const auto near_only = chain_of(2, 2);
  put_both(both);
  store_blocks(*space, near_only);
  ASSERT_TRUE(lose_it());
  const Match match = space->match(both);
  EXPECT_EQ(match.blocks, 3u);
  EXPECT_EQ(match.in_tier[0], 0u);
  EXPECT_EQ(match.in_tier[1], 3u);
  EXPECT_EQ(match.load_ns, 0u) << "the nearest tier there is has them";
  EXPECT_EQ(space->match(near_only).blocks, 0u);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, both, kFar), both));
  const auto fresh = chain_of(3, 2);
  store_blocks(*space, fresh, kFar);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, fresh, kFar), fresh));
  store_blocks(*space, near_only, kFar);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, near_only, kFar), near_only)) << "they can be made anew";
  EXPECT_EQ(stats().tiers[0].went_offline, 1u);
}

TEST_P(LostDevice, TheLostTierAnswersThatItIsUnavailable) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_both(chain);
  auto before = space->allocate(2, kNear);
  auto also = space->allocate(1, kNear);
  ASSERT_TRUE(lose_it());
  EXPECT_EQ(space->allocate(1, kNear).status().code(), Code::kUnavailable);
  EXPECT_EQ(space->publish(*before, chain_of(2, 2), 0).code(), Code::kUnavailable);
  EXPECT_EQ(space->publish_on(*also, kPrefill, chain_of(3, 1), 0).code(), Code::kUnavailable);
  EXPECT_EQ(space->acquire_on(chain, kNear, kPrefill).status().code(), Code::kUnavailable);
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
  EXPECT_EQ(ticket->take().size(), 0u);
  EXPECT_TRUE(before->release().ok());
  EXPECT_TRUE(also->release_on(kPrefill).ok()) << "nobody runs there any more";
}

TEST_P(LostDevice, LeasesOnItEndThoughKernelsNeverDid) {
  open_device();
  const auto chain = chain_of(1, 2);
  Lease held = publish_on(chain);
  Lease used = publish_on(chain_of(2, 2));
  Lease parted = publish_on(chain_of(3, 1));
  auto waiting = space->acquire(chain, kNear);
  auto out = space->acquire(chain, kFar);
  ASSERT_TRUE(parted.release().ok());
  drive();
  streams().lose();
  ASSERT_TRUE(done(*waiting));
  EXPECT_EQ(waiting->status().code(), Code::kUnavailable) << waiting->status().message();
  EXPECT_EQ(waiting->take().size(), 0u);
  ASSERT_TRUE(goes_offline(kNear));
  ASSERT_TRUE(loads(*out));
  EXPECT_EQ(out->take().size(), 0u);
  EXPECT_TRUE(held.release().ok());
  EXPECT_TRUE(used.release_on(kPrefill).ok());
  EXPECT_TRUE(comes_true([&] { return space->stats().leases == 0; }));
  EXPECT_TRUE(settled());
  EXPECT_EQ(stats().tiers[0].free, 8u);
}

TEST_P(LostDevice, OneThatAStreamIsAskedOfGoesOfflineBeforeAnyCopyFails) {
  for (const int call : {0, 1, 2}) {
    open_device();
    const auto chain = chain_of(1, 1);
    store_blocks(*space, chain);
    auto lease = space->allocate(1, kNear);
    streams().lose();
    switch (call) {
      case 0:
        EXPECT_EQ(space->publish_on(*lease, kPrefill, chain_of(2, 1), 0).code(), Code::kUnavailable);
        break;
      case 1: EXPECT_EQ(space->acquire_on(chain, kNear, kPrefill).status().code(), Code::kUnavailable); break;
      default: EXPECT_TRUE(lease->release_on(kPrefill).ok()); break;
    }
    EXPECT_TRUE(goes_offline(kNear)) << call;
    *lease = Lease();
  }
}

TEST_P(LostDevice, AStreamThatWaitsForATicketIsToldInTime) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_far(chain);
  hang("dram>gpu");
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  ASSERT_TRUE(ticket->wait_on_stream().ok());
  ASSERT_TRUE(in_flight(2));
  streams().run(kPrefill);
  EXPECT_TRUE(streams().waits(kPrefill));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_FALSE(stats().tiers[0].online) << "a device that hangs is left";
  streams().run(kPrefill);
  EXPECT_FALSE(streams().waits(kPrefill));
}

TEST_P(LostDevice, OneThatFailsTimeAndAgainGoesOffline) {
  Config config = config_of({device_of(8), tier_of("dram", "dram", 16)}, GetParam());
  config.mover.offline_after = 4;
  open_hanging(config);
  const auto chain = chain_of(1, 8);
  put_far(chain);
  faults.add({.link = "dram>gpu", .trouble = Trouble::kError});
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(loads(*ticket));
  EXPECT_TRUE(goes_offline(kNear));
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kFar), chain));
}

TEST_P(LostDevice, ItComesBackWhenItIsThereAgain) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_both(chain);
  Lease held = acquire_blocks_slowly(chain);
  ASSERT_TRUE(lose_it());
  std::string why;
  EXPECT_EQ(space->bring_back(kNear, &why).code(), Code::kUnavailable);
  EXPECT_NE(why.find("lost its device"), std::string::npos) << why;
  streams().find_again();
  EXPECT_EQ(space->bring_back(kNear, &why).code(), Code::kBusy) << "copies there are leased";
  ASSERT_TRUE(held.release().ok());
  ASSERT_TRUE(space->bring_back(kNear, &why).ok()) << why;
  EXPECT_EQ(space->match(chain).in_tier[0], 0u) << "it comes back empty";
  EXPECT_TRUE(blocks_are(acquire_blocks_slowly(chain), chain));
  const auto fresh = chain_of(2, 2);
  Lease lease = publish_on(fresh);
  write_all(lease, fresh);
  streams().run(kPrefill);
  EXPECT_TRUE(blocks_are(acquire_blocks_slowly(fresh), fresh));
}

TEST_P(LostDevice, ItComesBackByItselfAndOnlyOnceItIsThereAgain) {
  Config config = config_of({device_of(8), tier_of("dram", "dram", 16)}, GetParam());
  config.mover.retry_offline_ns = 1'000'000'000;
  open_hanging(config);
  ASSERT_TRUE(lose_it());
  time.pass(3s);
  drive();
  EXPECT_FALSE(stats().tiers[0].online);
  streams().find_again();
  EXPECT_TRUE(comes_true([&] { return space->stats().tiers[0].online; }));
}

TEST_P(LostDevice, NothingIsPlannedTowardIt) {
  Parts parts;
  parts.policy = std::make_unique<SwapOnExpect>(Urgency::kPrefetch, true);
  open_hanging(config_of({device_of(8), tier_of("dram", "dram", 16)}, GetParam()), std::move(parts));
  const auto chain = chain_of(1, 3);
  ASSERT_TRUE(lose_it());
  put_far(chain);
  space->expect(chain, 1ms);
  EXPECT_TRUE(comes_true([&] { return space->stats().moves_refused >= 3; }));
  EXPECT_EQ(flights(), 0u);
}

TEST_P(LostDevice, WhatLiesBelowGoesBetweenTheTiersThatAreLeft) {
  open_hanging(
      config_of({device_of(8), tier_of("dram", "dram", 8), tier_of("far", "fake", 16, {{"latency", "1ms"}})},
                GetParam()));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain, kFarthest);
  ASSERT_TRUE(lose_it());
  EXPECT_GT(space->match(chain).load_ns, 0u);
  auto up = space->acquire(chain, kFar);
  ASSERT_TRUE(loads(*up));
  EXPECT_TRUE(blocks_are(up->take(), chain));
  const auto more = chain_of(2, 8);
  store_blocks(*space, more, kFar);
  EXPECT_EQ(space->match(more).blocks, 8u);
  EXPECT_TRUE(space->settle(10s).ok());
}

}  // namespace
}  // namespace kelvin::testing
