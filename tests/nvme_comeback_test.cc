// A drive that did not answer for a while, and what it holds: nothing of it is lost, and nothing of it is
// old.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "nvme_fixture.h"
#include "space_hang_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 32;

// dram over a file of blocks, both of kSlots; the links of the file can be held up.
struct NvmeComeback : SpaceHang {
  nvme::ScratchDirectory directory;
  const std::string path = directory.file("blocks");

  Config config() const {
    Config config = config_of(
        {tier_of("dram", "dram", kSlots), tier_of("far", "nvme", 0, {{"path", path}, {"direct", "auto"}})},
        GetParam());
    config.tiers[1].capacity_bytes = nvme::kDataAlignment + kSlots * kBlockBytes;
    return config;
  }
  void SetUp() override {
    ASSERT_FALSE(directory.path().empty());
    open_hanging(config());
  }
  void reopen() {
    space.reset();
    open_hanging(config());
  }
  // The drive hangs on a load of `chain`, and answers again when its tier is offline.
  void hang_for_a_while(std::span<const BlockKey> chain) {
    hang("far>dram");
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(in_flight(chain.size()));
    time.pass(kDeadline);
    ASSERT_TRUE(done(*ticket));
    ASSERT_TRUE(recovers());
    ASSERT_TRUE(settled());
    ASSERT_FALSE(stats().tiers[kFar.value].online);
    EXPECT_EQ(space->match(chain).blocks, 0u);
  }
  // One copy to the drive, which is what its trial is.
  Status prove(std::uint64_t seed = 900) {
    const auto chain = chain_of(seed, 1);
    store_blocks(*space, chain);
    Status status;
    acquire_blocks(*space, chain, kFar, &status);
    EXPECT_TRUE(settled());
    return status;
  }
  void come_back() {
    ASSERT_TRUE(space->bring_back(kFar).ok());
    ASSERT_TRUE(prove().ok());
  }
  void expect_there(std::span<const BlockKey> chain) {
    EXPECT_EQ(space->match(chain).in_tier[kFar.value], chain.size());
    const Lease lease = acquire_blocks(*space, chain);
    EXPECT_EQ(lease.size(), chain.size());
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  TierStats far() const { return stats().tiers[kFar.value]; }
};
INSTANTIATE_TEST_SUITE_P(Threads, NvmeComeback, ::testing::Values(0u, 1u), threads_name);

TEST_P(NvmeComeback, WithAllItsBlocksOnceACopyHasProvenIt) {
  const auto chain = chain_of(1, 20);
  put(chain, {kFar});
  hang_for_a_while(std::span(chain).first(3));
  EXPECT_EQ(far().kept, 20u);
  ASSERT_TRUE(space->bring_back(kFar).ok());
  EXPECT_EQ(space->match(chain).blocks, 0u) << "on trial";
  ASSERT_TRUE(prove().ok());
  EXPECT_EQ(far().kept, 0u);
  EXPECT_EQ(far().recovered, 20u);
  expect_there(chain);
}

TEST_P(NvmeComeback, AnOrderlyEndWhileItIsOfflineLeavesThemThere) {
  const auto chain = chain_of(1, 20);
  put(chain, {kFar});
  hang_for_a_while(chain);
  reopen();
  EXPECT_EQ(far().recovered, 20u);
  expect_there(chain);
}

TEST_P(NvmeComeback, AnOrderlyEndWhileItIsOnTrialLeavesThemThere) {
  const auto chain = chain_of(1, 20);
  put(chain, {kFar});
  hang_for_a_while(chain);
  ASSERT_TRUE(space->bring_back(kFar).ok());
  reopen();
  expect_there(chain);
}

TEST_P(NvmeComeback, AFullDriveToo) {
  const auto chain = chain_of(1, kSlots);
  put(chain, {kFar});
  ASSERT_EQ(far().free, 0u);
  hang_for_a_while(std::span(chain).first(1));
  come_back();
  EXPECT_EQ(far().recovered, kSlots - 1) << "one slot had to take the copy that proved it";
  EXPECT_EQ(far().resident, kSlots);
  EXPECT_EQ(far().kept, 0u);
}

TEST_P(NvmeComeback, AFailedTrialChangesNothing) {
  const auto chain = chain_of(1, 20);
  put(chain, {kFar});
  hang_for_a_while(chain);
  for (std::uint64_t round = 0; round < 3; ++round) {
    ASSERT_TRUE(space->bring_back(kFar).ok());
    faults.add({.link = "dram>far", .trouble = Trouble::kError});
    EXPECT_FALSE(prove(800 + round).ok());
    EXPECT_FALSE(far().online);
    EXPECT_EQ(far().kept, 20u);
    faults.clear();
  }
  come_back();
  expect_there(chain);
}

// Its bytes were computed anew meanwhile, and differ in rounding: those are what the key means now.
TEST_P(NvmeComeback, ABlockThatWasPublishedWithOtherBytesIsForgottenThere) {
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  hang_for_a_while(chain);
  auto lease = space->allocate(2, kNear);
  ASSERT_TRUE(lease.ok());
  write_block(*lease, 0, chain[0]);
  write_block(*lease, 1, BlockKey{4711, 4711});
  ASSERT_TRUE(space->publish(*lease, std::span(chain).first(2), 0).ok());
  ASSERT_TRUE(lease->release().ok());
  ASSERT_TRUE(space->bring_back(kFar).ok());
  ASSERT_TRUE(prove().ok());
  EXPECT_EQ(far().kept, 0u);
  EXPECT_EQ(far().recovered, 2u);
  ASSERT_EQ(space->match(chain).blocks, 4u);
  const Lease found = acquire_blocks(*space, chain);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_TRUE(block_is(found, 0, chain[0]));
  EXPECT_TRUE(block_is(found, 1, BlockKey{4711, 4711}));
  EXPECT_TRUE(block_is(found, 2, chain[2]));
}

TEST_P(NvmeComeback, ABlockWhoseBytesAreTheSameElsewhereHasBothCopies) {
  const auto chain = chain_of(1, 6);
  put(chain, {kNear, kFar});
  const auto below = chain_of(2, 2);
  put(below, {kFar});
  hang_for_a_while(below);
  EXPECT_EQ(space->match(chain).in_tier[kNear.value], 6u);
  come_back();
  EXPECT_EQ(far().recovered, 8u);
  ASSERT_TRUE(space->drop(chain, kNear).ok());
  expect_there(chain);
  expect_there(below);
}

TEST_P(NvmeComeback, PrefixesGoOnWhereTheyWere) {
  const auto chain = chain_of(1, 12);
  put(std::span(chain).first(8), {kFar});
  hang_for_a_while(std::span(chain).first(8));
  come_back();
  store_blocks(*space, chain, kNear, 8);
  EXPECT_EQ(space->match(chain).blocks, 12u);
  reopen();
  EXPECT_EQ(space->match(chain).blocks, 8u);
}

// All that was there is dropped as ever, and the slots are used again.
TEST_P(NvmeComeback, WhatCameBackMakesRoomLikeAnythingElse) {
  const auto old = chain_of(1, 20);
  put(old, {kFar});
  hang_for_a_while(std::span(old).first(1));
  come_back();
  for (std::uint64_t round = 0; round < 4; ++round) {
    const auto chain = chain_of(100 + round, 16);
    put(chain, {kFar});
    expect_there(chain);
    ASSERT_TRUE(settled());  // a load is done a moment before its move lets go
    ASSERT_TRUE(space->drop(chain, kNear).ok());
  }
  EXPECT_LT(space->match(old).blocks, 20u);
}

}  // namespace
}  // namespace kelvin::testing
