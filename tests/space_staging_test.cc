// A space whose tiers no link joins: blocks go through host memory between them, and are as safe there as
// anywhere.
#include <gtest/gtest.h>

#include "registry.h"
#include "space_staging_fixture.h"

namespace kelvin::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(MoverThreads, SpaceStaging, ::testing::Values(0U, 1U));

TEST_P(SpaceStaging, JoinsTiersThatNoLinkJoins) {
  open(config({tier_of("near", "fake", kSlots), drive("drive")}));
  EXPECT_EQ(links(), (std::vector<std::string>{"drive>near", "near>drive"}));
  store_blocks(*space_, chain_);
  ASSERT_EQ(acquire_blocks(*space_, chain_, kFar).size(), kSlots);
  ASSERT_TRUE(space_->settle(10s).ok());
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(blocks_are(back, chain_));
}

TEST_P(SpaceStaging, TakesNoOtherWayWhereHostMemoryIsATier) {
  open(config({tier_of("near", "fake", kSlots), tier_of("dram", "dram", kSlots), drive("drive")}));
  EXPECT_EQ(links(), (std::vector<std::string>{"dram>drive", "dram>near", "drive>dram", "near>dram"}));
}

TEST_P(SpaceStaging, GoesStraightToTheFirstTierFromEach) {
  open(config({tier_of("near", "fake", kSlots), drive("fast"), drive("large")}));
  EXPECT_EQ(links(), (std::vector<std::string>{"fast>large", "fast>near", "large>near", "near>fast"}));
  store_blocks(*space_, chain_);
  ASSERT_EQ(acquire_blocks(*space_, chain_, kFarthest).size(), kSlots);
  ASSERT_TRUE(space_->settle(10s).ok());
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  ASSERT_TRUE(space_->drop(chain_, kFar).ok());
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(blocks_are(back, chain_));
}

TEST_P(SpaceStaging, BlocksAreFoundAgainAfterARestart) {
  const Config two = config({tier_of("near", "fake", kSlots), drive("drive")});
  open(two);
  store_blocks(*space_, chain_);
  ASSERT_TRUE(space_->save(10s).ok());
  open(two);
  EXPECT_EQ(space_->match(chain_).blocks, kSlots) << "their keys and parents were recorded";
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(blocks_are(back, chain_));
}

TEST_P(SpaceStaging, ABlockThatRottedIsAMiss) {
  open(config({tier_of("near", "fake", kSlots), drive("drive")}));
  store_blocks(*space_, chain_);
  const Lease below = acquire_blocks(*space_, chain_, kFar);
  ASSERT_EQ(below.size(), kSlots);
  ASSERT_TRUE(space_->settle(10s).ok());
  rot(below, 5);
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  Status status;
  const Lease back = acquire_blocks(*space_, chain_, kNear, &status);
  EXPECT_EQ(back.size(), 5U);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_TRUE(blocks_are(back, chain_));
}

TEST_P(SpaceStaging, ADeviceThatFailsShortensThePrefixAndLeaksNothing) {
  open(config({tier_of("near", "fake", kSlots), drive("drive")}));
  store_blocks(*space_, chain_);
  ASSERT_EQ(acquire_blocks(*space_, chain_, kFar).size(), kSlots);
  ASSERT_TRUE(space_->settle(10s).ok());
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  faults_.add({.link = "drive>near", .trouble = Trouble::kError, .skip = 7});
  Status status;
  Lease back = acquire_blocks(*space_, chain_, kNear, &status);
  EXPECT_EQ(back.size(), 7U);
  EXPECT_FALSE(status.ok());
  ASSERT_TRUE(back.release().ok());
  ASSERT_TRUE(space_->settle(10s).ok());
  EXPECT_TRUE(nothing_leaked(*space_));
}

// No checksum is made in host memory that is the block's last stop: it has to be made on the way.
TEST_P(SpaceStaging, ABlockThatRottedDoesNotReachAGpu) {
  if (find_tier_factory("hbm") == nullptr) GTEST_SKIP() << "this build has no tiers in GPU memory";
  open(config({tier_of("near", "hbm", kSlots, {{"device", "emulated:0"}}), drive("drive")}));
  SlotAccess& gpu = *space_->tier_info(kNear)->access;
  auto fresh = space_->allocate(kSlots, kNear);
  ASSERT_TRUE(fresh.ok());
  for (std::size_t i = 0; i < kSlots; ++i) {
    ASSERT_TRUE(gpu.write(fresh->slot(i), pattern(content_of(chain_[i]), kBlockBytes)).ok());
  }
  ASSERT_TRUE(space_->publish(*fresh, chain_, 0).ok());
  ASSERT_TRUE(fresh->release().ok());
  {
    const Lease below = acquire_blocks(*space_, chain_, kFar);
    ASSERT_EQ(below.size(), kSlots);
    ASSERT_TRUE(space_->settle(10s).ok());
    rot(below, 5);
  }
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  Status status;
  const Lease back = acquire_blocks(*space_, chain_, kNear, &status);
  EXPECT_EQ(back.size(), 5U);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  std::vector<std::byte> block(kBlockBytes);
  for (std::size_t i = 0; i < back.size(); ++i) {
    ASSERT_TRUE(gpu.read(back.slot(i), block).ok());
    EXPECT_EQ(block, pattern(content_of(chain_[i]), kBlockBytes)) << i;
  }
}

TEST_P(SpaceStaging, MayCloseWithBlocksOnTheirWay) {
  const Config two = config({tier_of("near", "fake", kSlots), drive("drive")});
  open(two);
  store_blocks(*space_, chain_);
  auto ticket = space_->acquire(chain_, kFar);
  ASSERT_TRUE(ticket.ok());
  if (GetParam() == 0) {
    ASSERT_TRUE(space_->poll().ok());
  }
  space_.reset();
  EXPECT_TRUE(ticket->done());
}

TEST_P(SpaceStaging, SaysWhatToMendWhereThereIsTooLittleMemoryForIt) {
  Config two = config({tier_of("near", "fake", kSlots), drive("drive")});
  two.mover.staging_bytes = 1ULL << 50;
  std::string why;
  EXPECT_FALSE(Space::open(two, &why).ok());
  EXPECT_NE(why.find("mover.staging"), std::string::npos) << why;
}

}  // namespace
}  // namespace kelvin::testing
