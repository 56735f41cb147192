// Stores over a link that fails: write-behind, demotion and copies asked for lose nothing that is near.
#include <gtest/gtest.h>

#include <iterator>

#include "kelvin/space.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

using SpaceStoreFault = SpaceFault;
INSTANTIATE_TEST_SUITE_P(Threads, SpaceStoreFault, ::testing::Values(0u, 1u), threads_name);

// dram keeps half of its slots free: what is stored beyond that goes below by itself, coldest first.
Config demoting(std::uint32_t threads, std::uint32_t slots = 8) {
  Config config = two_tiers(slots, 2 * slots, threads);
  config.tiers[0].free_ahead = 0.5;
  return config;
}

TEST_P(SpaceStoreFault, ADemotionThatFailsAtFirstIsTriedAgain) {
  for (const Trouble trouble : {Trouble::kError, Trouble::kShort, Trouble::kTimeout, Trouble::kLate}) {
    SCOPED_TRACE(name_of(trouble));
    open(demoting(GetParam()));
    faults.add({.link = "dram>far", .trouble = trouble, .times = 2});
    const auto chain = chain_of(1, 8);
    store_blocks(*space, chain);
    const Stats after = stats();
    EXPECT_GE(after.tiers[0].free, 4u);
    EXPECT_EQ(after.tiers[0].dropped_last, 0u);
    EXPECT_EQ(after.tiers[1].quarantined, 0u);
    EXPECT_EQ(space->match(chain).blocks, 8u);
    const Lease lease = acquire_blocks(*space, chain);
    EXPECT_EQ(lease.size(), 8u);
    EXPECT_TRUE(blocks_are(lease, chain));
  }
}

TEST_P(SpaceStoreFault, ASlotThatCannotBeWrittenIsQuarantinedAndAnotherIsTaken) {
  open_two();
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain);
  // All attempts of one copy.
  const Slot source = slot_of(chain, 1, kNear);
  faults.add({.link = "dram>far", .trouble = Trouble::kError, .times = 3, .from = source});
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kFar, &status).size(), 1u);
  EXPECT_EQ(status.code(), Code::kIo) << status.message();
  EXPECT_EQ(stats().tiers[1].quarantined, 1u);
  EXPECT_EQ(stats().tiers[0].resident, 3u) << "the source is good";
  EXPECT_EQ(stats().tiers[0].dropped_corrupt, 0u);
  const Lease lease = acquire_blocks(*space, chain, kFar, &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(lease.size(), 3u);
  EXPECT_EQ(stats().tiers[1].quarantined, 1u);
}

TEST_P(SpaceStoreFault, QuarantinedSlotsAreNeverGivenOutAgain) {
  Config config = two_tiers(8, 4, GetParam());
  config.mover.demand_retries = 0;
  open(config);
  const auto chain = chain_of(1, 4);
  store_blocks(*space, chain);
  faults.add({.link = "dram>far", .trouble = Trouble::kShort, .times = 2});
  EXPECT_EQ(acquire_blocks(*space, chain, kFar).size(), 0u);
  ASSERT_EQ(stats().tiers[1].quarantined, 2u);
  ASSERT_TRUE(space->drop(chain, kFar).ok());
  EXPECT_EQ(space->allocate(3, kFar).status().code(), Code::kFull);
  EXPECT_TRUE(space->allocate(2, kFar).ok());
  EXPECT_TRUE(stats().tiers[1].online);
}

TEST_P(SpaceStoreFault, ADeviceWithoutSpaceIsNeitherBadNorGone) {
  open(demoting(GetParam()));
  const auto below = chain_of(9, 2);
  put(below, {kFar});
  faults.add({.link = "dram>far", .trouble = Trouble::kFull});
  const auto chain = chain_of(1, 8);
  store_blocks(*space, chain);
  for (int i = 0; i < 20; ++i) {  // far more often than offline_after
    const auto asked = std::span(chain).last(2);
    acquire_blocks(*space, asked, kFar);
    ASSERT_TRUE(settled());
  }
  const Stats after = stats();
  EXPECT_TRUE(after.tiers[1].online);
  EXPECT_EQ(after.tiers[1].quarantined, 0u);
  EXPECT_EQ(after.tiers[0].resident, 8u) << "what finds no place below stays";
  EXPECT_EQ(space->match(chain).in_tier[0], 8u);
  EXPECT_EQ(acquire_blocks(*space, below, kFar).size(), 2u);
  faults.clear();
}

TEST_P(SpaceStoreFault, BytesThatRotBelowAreFoundOutWhenReadAndNeverHandedOut) {
  open(demoting(GetParam(), 4));
  faults.add({.link = "dram>far", .trouble = Trouble::kRot, .times = 1});
  const auto chain = chain_of(1, 4);
  store_blocks(*space, chain);
  ASSERT_TRUE(settled());
  ASSERT_GE(space->match(chain).in_tier[1], 2u);
  Status status;
  Lease lease = acquire_blocks(*space, chain, kNear, &status);
  EXPECT_EQ(status.code(), Code::kCorrupt) << status.message();
  EXPECT_LT(lease.size(), 4u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(stats().load_failures, 1u);
  EXPECT_EQ(stats().tiers[1].dropped_corrupt, 1u);
  EXPECT_EQ(stats().tiers[1].quarantined, 0u);
  EXPECT_EQ(space->match(chain).blocks, lease.size());
}

TEST_P(SpaceStoreFault, ATierThatGoesWhileBlocksAreDemotedCostsOnlyWhatWasThere) {
  open(demoting(GetParam()));
  const auto below = chain_of(9, 2);
  put(below, {kFar});
  faults.add({.link = "dram>far", .trouble = Trouble::kGone, .skip = 1});
  const auto chain = chain_of(1, 8);
  store_blocks(*space, chain);
  const Stats after = stats();
  EXPECT_FALSE(after.tiers[1].online);
  EXPECT_EQ(after.tiers[1].resident, 0u);
  EXPECT_EQ(space->match(below).blocks, 0u);
  EXPECT_GE(after.tiers[0].resident, 3u) << "free_ahead is kept by dropping now, and costs no more than that";
  store_blocks(*space, chain_of(2, 8));
  EXPECT_TRUE(settled());
  const auto small = chain_of(3, 4);
  store_blocks(*space, small);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, small), small));
}

TEST_P(SpaceStoreFault, AllocateThatWaitsForDemotionsEndsThoughTheyFail) {
  for (const Trouble trouble : {Trouble::kError, Trouble::kTimeout, Trouble::kFull, Trouble::kGone}) {
    SCOPED_TRACE(name_of(trouble));
    open_two(4, 8);
    store_blocks(*space, chain_of(1, 4));
    faults.add({.link = "dram>far", .trouble = trouble});
    AllocateOptions wait;
    wait.when_full = WhenFull::kWait;
    wait.timeout = 200ms;
    auto lease = space->allocate(2, kNear, wait);
    if (!lease.ok()) {
      EXPECT_TRUE(lease.status().code() == Code::kBusy || lease.status().code() == Code::kFull)
          << lease.status().message();
    }
    if (lease.ok()) {
      EXPECT_TRUE(lease->release().ok());
    }
    EXPECT_TRUE(settled());
    EXPECT_TRUE(space->allocate(4, kNear).ok()) << "who forgets is served";
  }
}

TEST_P(SpaceStoreFault, ASourceThatIsLeasedWhileItsDemotionIsLateIsNotDropped) {
  open(demoting(GetParam(), 4));
  faults.add({.link = "dram>far", .held = true});
  const auto chain = chain_of(1, 4);
  store_blocks(*space, chain);
  if (GetParam() == 0) {
    while (*space->poll() != 0) continue;
  }
  const Lease lease = acquire_blocks(*space, chain);
  ASSERT_EQ(lease.size(), 4u) << "a copy that is being read by a move is as good as any";
  faults.let_go();
  EXPECT_TRUE(settled());
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(space->match(chain).in_tier[0], 4u);
}

TEST_P(SpaceStoreFault, WhatCannotGoToTheMiddleGoesToTheFarthest) {
  Config config = three_tiers();
  config.tiers[0].free_ahead = 0.5;
  open(config);
  faults.add({.link = "dram>middle", .trouble = Trouble::kGone});
  const auto chain = chain_of(1, 8);
  store_blocks(*space, chain);
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(space->match(chain).blocks, 8u);
  EXPECT_GE(space->match(chain).in_tier[2], 4u);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 8u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceStoreFault, WhereTheOnlyWayDownIsGoneDemotionsAreRefusedAndNothingSpins) {
  faults.detour("dram>far");
  faults.detour("far>dram");
  Config config = three_tiers();
  config.tiers[0].free_ahead = 0.5;
  open(config);
  faults.add({.link = "dram>middle", .trouble = Trouble::kGone});
  const auto chain = chain_of(1, 8);
  store_blocks(*space, chain);
  EXPECT_TRUE(settled());
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(space->match(chain).in_tier[0], 8u);
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  EXPECT_EQ(space->allocate(2, kNear, wait).status().code(), Code::kFull) << "at once, not after 10 s";
  EXPECT_TRUE(space->allocate(2, kNear).ok());
}

TEST_P(SpaceStoreFault, AStoreOverTwoHopsThatFailsOnEitherKeepsWhatArrived) {
  for (const char* hop : {"dram>middle", "middle>far"}) {
    for (const Trouble trouble : {Trouble::kError, Trouble::kFull}) {
      SCOPED_TRACE(std::string(hop) + " " + name_of(trouble));
      open_chain();
      const auto chain = chain_of(1, 2);
      store_blocks(*space, chain);
      faults.add({.link = hop, .trouble = trouble, .times = trouble == Trouble::kError ? 6u : 2u});
      Status status;
      EXPECT_EQ(acquire_blocks(*space, chain, kFarthest, &status).size(), 0u);
      EXPECT_EQ(status.code(), code_of(trouble)) << status.message();
      const bool second = std::string(hop) == "middle>far";
      EXPECT_EQ(stats().tiers[0].resident, 2u);
      EXPECT_EQ(stats().tiers[1].resident, second ? 2u : 0u);
      EXPECT_EQ(stats().tiers[second ? 2 : 1].quarantined, trouble == Trouble::kError ? 2u : 0u);
      const Lease lease = acquire_blocks(*space, chain, kFarthest);
      EXPECT_EQ(lease.size(), 2u) << "well again";
      EXPECT_TRUE(blocks_are(lease, chain));
    }
  }
}

}  // namespace
}  // namespace kelvin::testing
