// Moves that wait for room which other waiting moves would make: somebody gives way, nobody waits for ever.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

using SpaceStuck = SpaceFault;
INSTANTIATE_TEST_SUITE_P(Threads, SpaceStuck, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceStuck, LoadsThatCouldTakeEveryMoveLeaveSomeToTheDemotionsTheyWaitFor) {
  Config config = two_tiers(32, 64, GetParam());
  config.mover.queue = 16;
  open(config);
  const auto below = chain_of(1, 24);
  const auto above = chain_of(2, 32);
  store_blocks(*space, below, kFar);
  store_blocks(*space, above);
  Status status;
  const Lease lease = acquire_blocks(*space, below, kNear, &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(lease.size(), 24u);
  EXPECT_TRUE(blocks_are(lease, below));
  EXPECT_EQ(space->match(above).blocks, 32u) << "what made room went below";
}

TEST_P(SpaceStuck, ACascadeOfDemotionsThroughFullTiersInAShortQueueLosesNothing) {
  Config config = three_tiers(16);
  config.tiers[2].capacity_bytes = 128 * kBlockBytes;
  config.mover.queue = 16;
  open(config);
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto chain = chain_of(seed, 14);
    auto lease = space->allocate(14, kNear, wait);
    ASSERT_TRUE(lease.ok()) << seed << ": " << lease.status().message();
    for (std::size_t i = 0; i < 14; ++i) write_block(*lease, i, chain[i]);
    ASSERT_TRUE(space->publish(*lease, chain, 0).ok());
  }
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto chain = chain_of(seed, 14);
    const Lease lease = acquire_blocks(*space, chain);
    EXPECT_EQ(lease.size(), 14u) << seed;
    EXPECT_TRUE(blocks_are(lease, chain));
  }
}

TEST_P(SpaceStuck, TwoFullTiersThatWouldSwapBlocksDoNotWaitForEachOther) {
  Parts parts = faults.parts();
  parts.policy = std::make_unique<SwapOnExpect>(Urgency::kPrefetch, false);
  space = open_space(two_tiers(4, 4, GetParam()), std::move(parts));
  const auto above = chain_of(1, 4);
  const auto below = chain_of(2, 4);
  store_blocks(*space, above);
  store_blocks(*space, below, kFar);
  space->expect(above, 1ms);
  space->expect(below, 1ms);
  EXPECT_TRUE(settled());
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, above), above));
  EXPECT_EQ(space->match(above).blocks, 4u);
  EXPECT_EQ(space->match(below).blocks, 4u);
}

}  // namespace
}  // namespace kelvin::testing
