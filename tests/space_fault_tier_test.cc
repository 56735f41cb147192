// A whole tier gone, and failures on either hop of a route over two links.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

using SpaceTierGone = SpaceFault;
INSTANTIATE_TEST_SUITE_P(Threads, SpaceTierGone, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceTierGone, TakesItsBlocksAlongAndNothingElse) {
  open_two();
  const auto below = chain_of(1, 3);
  const auto both = chain_of(2, 2);
  put(below, {kFar});
  put(both, {kFar, kNear});
  const Lease held = acquire_blocks(*space, both);
  faults.add({.link = "far>dram", .trouble = Trouble::kGone});
  Status status;
  EXPECT_EQ(acquire_blocks(*space, below, kNear, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  const Stats after = stats();
  EXPECT_TRUE(after.tiers[0].online);
  EXPECT_FALSE(after.tiers[1].online);
  EXPECT_EQ(after.tiers[1].resident, 0u) << "its copies are given up";
  EXPECT_EQ(after.tiers[1].dropped_corrupt, 5u);
  EXPECT_EQ(after.tiers[1].quarantined, 0u);
  EXPECT_GE(after.load_failures, 1u);
  EXPECT_EQ(space->match(below).blocks, 0u);
  EXPECT_EQ(space->match(both).in_tier[0], 2u);
  EXPECT_TRUE(blocks_are(held, both));
}

TEST_P(SpaceTierGone, IsRefusedToWhoAsksForIt) {
  open_two();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  auto writable = space->allocate(2, kFar);
  ASSERT_TRUE(writable.ok());
  faults.add({.link = "far>dram", .trouble = Trouble::kGone});
  acquire_blocks(*space, chain);
  ASSERT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(space->allocate(1, kFar).status().code(), Code::kUnavailable);
  EXPECT_EQ(space->publish(*writable, chain, 0).code(), Code::kUnavailable);
  EXPECT_TRUE(writable->release().ok());
  store_blocks(*space, chain);
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kFar, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain)) << "near, all is well";
}

TEST_P(SpaceTierGone, IsReplacedByCopiesInAnother) {
  open_three();
  const auto chain = chain_of(1, 3);
  put(chain, {kFar, kFarthest});
  faults.add({.link = "middle>dram", .trouble = Trouble::kGone});
  Status status;
  const Lease lease = acquire_blocks(*space, chain, kNear, &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(lease.size(), 3u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(stats().load_failures, 0u);
  expect_work_as_ever(kFarthest);
}

TEST_P(SpaceTierGone, AfterSoManyFailuresInARowButNotWhileSomethingSucceeds) {
  Config config = two_tiers(16, 16, GetParam());
  config.mover.demand_retries = 0;
  config.mover.offline_after = 3;
  open(config);
  const auto fail = [&](std::uint64_t seed) {
    const auto chain = chain_of(seed, 1);
    put(chain, {kFar});
    faults.add({.link = "far>dram", .trouble = Trouble::kError, .times = 1});
    Status status;
    acquire_blocks(*space, chain, kNear, &status);
    EXPECT_EQ(status.code(), Code::kIo);
  };
  for (std::uint64_t seed = 1; seed <= 4; ++seed) fail(seed);  // each is preceded by a store that succeeds
  EXPECT_TRUE(stats().tiers[1].online);
  const auto chain = chain_of(9, 3);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kTimeout, .times = 3});
  EXPECT_EQ(acquire_blocks(*space, chain).size(), 0u);
  EXPECT_FALSE(stats().tiers[1].online);
}

// One bad place, tried again and again, says nothing of the tier.
TEST_P(SpaceTierGone, NotByTriesOfTheSameCopies) {
  Config config = two_tiers(16, 16, GetParam());
  config.mover.demand_retries = 5;
  config.mover.offline_after = 3;
  open(config);
  const auto bad = chain_of(1, 2);
  const auto good = chain_of(2, 3);
  put(bad, {kFar});
  put(good, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kError, .times = 12});
  EXPECT_EQ(acquire_blocks(*space, bad).size(), 0u);
  EXPECT_EQ(link("far>dram").failures, 12u);
  EXPECT_TRUE(stats().tiers[1].online);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, good), good));
}

TEST_P(SpaceTierGone, NotWhereOneOfItsDevicesIsLost) {
  Config config = two_tiers(16, 16, GetParam());
  config.mover.demand_retries = 0;
  config.mover.offline_after = 3;
  open(config);
  const auto lost = chain_of(1, 6);
  const auto well = chain_of(2, 3);
  put(lost, {kFar});
  put(well, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kLost, .times = 6});
  Status status;
  EXPECT_EQ(acquire_blocks(*space, lost, kNear, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kIo) << status.message();
  EXPECT_TRUE(stats().tiers[1].online);
  EXPECT_EQ(stats().tiers[1].quarantined, 6u) << "none of its slots is handed out again";
  EXPECT_EQ(space->match(lost).blocks, 0u);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, well), well));
  faults.add({.link = "dram>far", .trouble = Trouble::kLost, .times = 2});
  const auto written = chain_of(3, 2);
  store_blocks(*space, written);
  EXPECT_EQ(acquire_blocks(*space, written, kFar, &status).size(), 0u);
  EXPECT_TRUE(stats().tiers[1].online);
  EXPECT_EQ(stats().tiers[1].quarantined, 8u);
  expect_work_as_ever();
}

TEST_P(SpaceTierGone, ByItsOwnScriptInTheMiddleOfManyLoads) {
  open(two_tiers(32, 32, GetParam(), {{"faults", "gone@40 late/3"}}));
  const auto first = chain_of(1, 20);
  const auto second = chain_of(2, 30);
  put(first, {kFar});
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, first), first));
  put(first, {kFar});
  Status status;
  {
    Lease lease = publish_blocks(*space, second);
    ASSERT_EQ(lease.size(), 30u);
    const Lease below = acquire_blocks(*space, second, kFar, &status);
    EXPECT_LT(below.size(), 30u);
    EXPECT_TRUE(blocks_are(lease, second));
  }
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(space->match(second).in_tier[0], 30u);
}

using SpaceTwoHops = SpaceFault;
INSTANTIATE_TEST_SUITE_P(Threads, SpaceTwoHops, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceTwoHops, AFailureThatGoesAwayOnEitherHopIsTriedAgain) {
  for (const char* hop : {"far>middle", "middle>dram"}) {
    for (const Trouble trouble : {Trouble::kError, Trouble::kShort, Trouble::kCorrupt, Trouble::kLate}) {
      SCOPED_TRACE(std::string(hop) + " " + name_of(trouble));
      open_chain();
      const auto chain = chain_of(1, 3);
      put(chain, {kFarthest});
      faults.add({.link = hop, .trouble = trouble, .times = 1});
      Status status;
      const Lease lease = acquire_blocks(*space, chain, kNear, &status);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(lease.size(), 3u);
      EXPECT_TRUE(blocks_are(lease, chain));
      EXPECT_EQ(stats().load_failures, 0u);
      EXPECT_EQ(link("far>middle").copies, 3u) << "both hops were taken";
      EXPECT_EQ(link("middle>dram").copies, 3u);
    }
  }
}

TEST_P(SpaceTwoHops, AFailureThatStaysOnTheFirstHopEndsThePrefix) {
  for (const Trouble trouble : {Trouble::kError, Trouble::kCorrupt, Trouble::kFull}) {
    SCOPED_TRACE(name_of(trouble));
    open_chain();
    const auto chain = chain_of(1, 3);
    put(chain, {kFarthest});
    faults.add({.link = "far>middle", .trouble = trouble, .from = slot_of(chain, 2, kFarthest)});
    Status status;
    const Lease lease = acquire_blocks(*space, chain, kNear, &status);
    EXPECT_EQ(status.code(), code_of(trouble)) << status.message();
    EXPECT_EQ(lease.size(), 2u);
    EXPECT_TRUE(blocks_are(lease, chain));
    EXPECT_EQ(stats().load_failures, 1u);
    EXPECT_EQ(stats().tiers[1].resident, 2u);
    EXPECT_EQ(stats().tiers[1].quarantined, 0u);
    EXPECT_EQ(stats().tiers[2].quarantined, trouble == Trouble::kError ? 1u : 0u);
  }
}

TEST_P(SpaceTwoHops, AFailureThatStaysOnTheSecondHopEndsThePrefixAndKeepsTheGoodCopy) {
  for (const Trouble trouble : {Trouble::kError, Trouble::kCorrupt}) {
    SCOPED_TRACE(name_of(trouble));
    faults.detour("dram>far");
    faults.detour("far>dram");
    Config config = three_tiers();
    config.mover.offline_after = 100;
    open(config);
    const auto chain = chain_of(1, 1);
    put(chain, {kFarthest});
    faults.add({.link = "middle>dram", .trouble = trouble});
    Status status;
    EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u);
    EXPECT_EQ(status.code(), code_of(trouble)) << status.message();
    EXPECT_EQ(stats().load_failures, 1u);
    EXPECT_TRUE(stats().tiers[1].online);
    EXPECT_EQ(space->match(chain).in_tier[2], 1u);
    faults.clear();
    EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain));
    EXPECT_EQ(space->match(chain).in_tier[0], 1u);
  }
}

TEST_P(SpaceTwoHops, ABadCopyHalfWayIsMadeAnewFromTheFarOne) {
  for (const bool leased : {false, true}) {
    SCOPED_TRACE(leased);
    open_chain();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar, kFarthest});
    faults.add({.link = "middle>dram", .trouble = Trouble::kError, .from = slot_of(chain, 1, kFar)});
    Lease held;
    if (leased) held = acquire_blocks(*space, chain, kFar);
    Status status;
    Lease lease = acquire_blocks(*space, chain, kNear, &status);
    EXPECT_EQ(lease.size(), leased ? 1u : 3u) << "a leased copy stays where it is: no other gets past it";
    EXPECT_EQ(status.code(), leased ? Code::kIo : Code::kOk) << status.message();
    EXPECT_TRUE(blocks_are(lease, chain));
    EXPECT_TRUE(stats().tiers[1].online) << "one bad slot is no bad tier";
    EXPECT_EQ(stats().tiers[1].quarantined, leased ? 0u : 1u);
    EXPECT_EQ(stats().tiers[2].resident, 3u);
  }
}

TEST_P(SpaceTwoHops, AnOfflineTierHalfWayEndsLoadsThroughItThoughACopyThereIsLeased) {
  open_chain();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar, kFarthest});
  const Lease held = acquire_blocks(*space, chain, kFar);
  faults.add({.link = "middle>dram", .trouble = Trouble::kGone});
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u) << "also when it is known";
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  EXPECT_EQ(acquire_blocks(*space, chain, kFar, &status).size(), 0u) << "nobody gets a lease there";
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  EXPECT_TRUE(blocks_are(held, chain)) << "what was leased before stays put";
  EXPECT_EQ(space->match(chain).in_tier[2], 2u);
}

}  // namespace
}  // namespace kelvin::testing
