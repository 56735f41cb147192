// Misuse and hard limits are answered with a Status, and leave everything as it was.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

struct SpaceMisuse : ::testing::Test {
  std::unique_ptr<Space> space = open_space(two_tiers(4, 4));
  std::vector<BlockKey> chain = chain_of(1, 2);
};

TEST_F(SpaceMisuse, ReleasingTwice) {
  Lease lease = publish_blocks(*space, chain);
  EXPECT_TRUE(lease.release().ok());
  EXPECT_EQ(lease.release().code(), Code::kMisuse);
}

TEST_F(SpaceMisuse, ALeaseThatWasMovedFromIsEmpty) {
  Lease lease = publish_blocks(*space, chain);
  const Lease other = std::move(lease);
  EXPECT_FALSE(lease);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(lease.size(), 0u);
  EXPECT_EQ(lease.tier(), kNoTier);
  EXPECT_FALSE(lease.slot(0));
  EXPECT_EQ(lease.address(0).pointer, nullptr);
  EXPECT_EQ(lease.release().code(), Code::kMisuse);
  EXPECT_EQ(space->publish(lease, chain, 0).code(), Code::kMisuse);
  EXPECT_EQ(other.size(), 2u);
}

TEST_F(SpaceMisuse, AnEmptyTicket) {
  Ticket ticket;
  EXPECT_TRUE(ticket.done());
  EXPECT_EQ(ticket.wait(1ms).code(), Code::kMisuse);
  EXPECT_EQ(ticket.status().code(), Code::kMisuse);
  EXPECT_EQ(ticket.event_fd().status().code(), Code::kMisuse);
  EXPECT_FALSE(ticket.take());
}

TEST_F(SpaceMisuse, AddressesBeyondTheLease) {
  const Lease lease = publish_blocks(*space, chain);
  EXPECT_EQ(lease.address(2).pointer, nullptr);
  EXPECT_EQ(lease.address(0, 1).pointer, nullptr);
  EXPECT_FALSE(lease.slot(2));
}

TEST_F(SpaceMisuse, PublishingTwice) {
  Lease lease = publish_blocks(*space, chain);
  EXPECT_EQ(space->publish(lease, chain, 0).code(), Code::kMisuse);
  EXPECT_EQ(space->match(chain).blocks, 2u);
}

TEST_F(SpaceMisuse, PublishingAnAcquiredLease) {
  store_blocks(*space, chain);
  Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(space->publish(lease, chain, 0).code(), Code::kMisuse);
}

TEST_F(SpaceMisuse, PublishingWithAChainOfAnotherLength) {
  auto lease = space->allocate(1, kNear);
  EXPECT_EQ(space->publish(*lease, chain, 0).code(), Code::kInvalid);
  EXPECT_EQ(space->publish(*lease, chain, 2).code(), Code::kInvalid);
  write_block(*lease, 0, chain[0]);
  EXPECT_TRUE(space->publish(*lease, std::span(chain).first(1), 0).ok()) << "the lease is still good";
}

TEST_F(SpaceMisuse, PublishingALeaseOfAnotherSpace) {
  auto other = open_space(two_tiers(4, 4));
  auto lease = other->allocate(2, kNear);
  EXPECT_EQ(space->publish(*lease, chain, 0).code(), Code::kMisuse);
  EXPECT_EQ(space->match(chain).blocks, 0u);
}

TEST_F(SpaceMisuse, TiersThatAreNotThere) {
  for (const TierIndex tier : {TierIndex(2), TierIndex(200), kNoTier}) {
    EXPECT_EQ(space->acquire(chain, tier).status().code(), Code::kInvalid);
    EXPECT_EQ(space->allocate(1, tier).status().code(), Code::kInvalid);
    EXPECT_EQ(space->tier_info(tier), nullptr);
    const Slot slot(0);
    EXPECT_EQ(space->reclaim(tier, {&slot, 1}).code(), Code::kInvalid);
  }
  EXPECT_EQ(space->drop(chain, TierIndex(2)).code(), Code::kInvalid);
  EXPECT_EQ(space->find_tier("nowhere"), kNoTier);
  EXPECT_EQ(space->find_tier("far"), kFar);
}

TEST_F(SpaceMisuse, NamingSlotsOfATierThatKelvinOwns) {
  const std::vector<Slot> slots = {Slot(0), Slot(1)};
  AcquireOptions into;
  into.into = slots;
  EXPECT_EQ(space->acquire(chain, kNear, into).status().code(), Code::kInvalid);
  AllocateOptions named;
  named.slots = slots;
  EXPECT_EQ(space->allocate(2, kNear, named).status().code(), Code::kInvalid);
  EXPECT_EQ(space->reclaim(kNear, slots).code(), Code::kInvalid);
}

TEST_F(SpaceMisuse, AskingForMoreSlotsThanTheTierHas) {
  EXPECT_EQ(space->allocate(5, kNear).status().code(), Code::kFull);
  EXPECT_EQ(space->stats().tiers[0].free, 4u);
}

TEST_F(SpaceMisuse, AskingForNoSlotsIsAnEmptyLease) {
  auto lease = space->allocate(0, kNear);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->size(), 0u);
  EXPECT_TRUE(lease->release().ok());
}

TEST(SpaceLimits, MoreLeasesThanMaxLeasesAreRefusedUntilOneEnds) {
  Config config = two_tiers(8, 8);
  config.space.max_leases = 2;
  auto space = open_space(config);
  auto one = space->allocate(1, kNear);
  auto two = space->allocate(1, kNear);
  EXPECT_EQ(space->allocate(1, kNear).status().code(), Code::kBusy);
  EXPECT_EQ(space->acquire(chain_of(1, 1), kNear).status().code(), Code::kBusy);
  EXPECT_TRUE(two->release().ok());
  EXPECT_TRUE(space->allocate(1, kNear).ok());
}

TEST(SpaceLimits, ABlockThatFindsNoRecordIsNotPublishedAndItsSlotGoesFree) {
  Config config = two_tiers(64, 1);
  config.space.ghosts_percent = 0;  // 65 slots and 16 records to spare
  auto space = open_space(config);
  // Long chains of which only the last block stays: the others live on as ghosts.
  Status status;
  for (std::uint64_t seed = 1; status.ok() && seed < 10; ++seed) {
    const auto chain = chain_of(seed, 20);
    auto lease = space->allocate(20, kNear);
    ASSERT_TRUE(lease.ok());
    status = space->publish(*lease, chain, 0);
    ASSERT_TRUE(lease->release().ok());
    if (status.ok()) status = space->drop(std::span(chain).first(19));
  }
  EXPECT_EQ(status.code(), Code::kFull);
  EXPECT_TRUE(nothing_leaked(*space));
}

TEST(SpaceLimits, AConfigThatCannotBeOpenedSaysWhatToMend) {
  Config config = two_tiers(4, 4);
  config.tiers[1].kind = "tape";
  std::string why;
  EXPECT_EQ(Space::open(config, &why).status().code(), Code::kInvalid);
  EXPECT_NE(why.find("tape"), std::string::npos) << why;
  EXPECT_FALSE(Space::open(config).ok()) << "nobody need ask why";
}

}  // namespace
}  // namespace kelvin::testing
