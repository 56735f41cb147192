// What a space does for its callers: match, acquire, allocate, publish, release, drop, expect, stats.
#include "kelvin/space.h"

#include <gtest/gtest.h>

#include "space_fixture.h"

namespace kelvin::testing {
namespace {

TEST(Space, MatchFindsTheLongestKnownPrefixAndPinsNothing) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 4);
  store_blocks(*space, std::span(chain).first(3));
  const Match match = space->match(chain);
  EXPECT_EQ(match.blocks, 3u);
  EXPECT_EQ(match.in_tier[0], 3u);
  EXPECT_GT(match.recompute_ns, 0u);
  EXPECT_EQ(space->stats().tiers[0].leased, 0u);
  EXPECT_TRUE(space->drop(chain).ok());
  EXPECT_EQ(space->match(chain).blocks, 0u);
}

TEST(Space, MatchCountsABlockInItsNearestTier) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain, kFar);
  acquire_blocks(*space, std::span(chain).first(1));
  const Match match = space->match(chain);
  EXPECT_EQ(match.in_tier[0], 1u);
  EXPECT_EQ(match.in_tier[1], 2u);
}

TEST(Space, AcquireLeasesTheLongestKnownPrefix) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 4);
  store_blocks(*space, std::span(chain).first(2));
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(ticket.ok());
  EXPECT_TRUE(ticket->done());
  EXPECT_TRUE(ticket->status().ok());
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 2u);
  EXPECT_EQ(lease.tier(), kNear);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(space->stats().tiers[0].leased, 2u);
}

TEST(Space, AcquireLoadsWhatIsInALowerTierOnly) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain, kFar);
  const Lease lease = acquire_blocks(*space, chain);
  ASSERT_EQ(lease.size(), 3u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(space->stats().tiers[1].hits, 3u);
  EXPECT_EQ(space->stats().tiers[1].resident, 3u) << "copies below stay";
}

TEST(Space, AcquireOfNothingKnownIsAnEmptyLease) {
  auto space = open_space(two_tiers(2, 2));
  Status status(Code::kBusy, "not asked");
  const Lease lease = acquire_blocks(*space, chain_of(1, 2), kNear, &status);
  EXPECT_EQ(lease.size(), 0u);
  EXPECT_TRUE(status.ok());
}

TEST(Space, TwoAcquiresOfTheSameBlocksShareOneLoad) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 2);
  store_blocks(*space, chain, kFar);
  auto one = space->acquire(chain, kNear);
  auto two = space->acquire(chain, kNear);
  ASSERT_TRUE(one->wait(10s).ok());
  ASSERT_TRUE(two->wait(10s).ok());
  const Lease a = one->take();
  const Lease b = two->take();
  ASSERT_EQ(a.size(), 2u);
  ASSERT_EQ(b.size(), 2u);
  EXPECT_EQ(a.slot(0), b.slot(0));
  EXPECT_EQ(space->stats().tiers[0].resident, 2u);
}

TEST(Space, AnAcquireOfMoreBlocksThanTheQueueHoldsMovesIsServed) {
  Config config = two_tiers(64, 64);
  config.mover.queue = 16;
  auto space = open_space(config);
  const auto chain = chain_of(1, 60);
  store_blocks(*space, chain, kFar);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 60u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST(Space, UnpublishedSlotsAreFreeAgainOnRelease) {
  auto space = open_space(two_tiers(4, 4));
  auto lease = space->allocate(3, kNear);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(space->stats().tiers[0].free, 1u);
  EXPECT_TRUE(lease->release().ok());
  EXPECT_EQ(space->stats().tiers[0].free, 4u);
}

TEST(Space, PublishedBlocksStayAfterRelease) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain);
  EXPECT_EQ(space->match(chain).blocks, 3u);
  EXPECT_EQ(space->stats().published, 3u);
}

TEST(Space, PublishOfAKnownBlockMovesTheLeaseToItAndFreesTheSlot) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 2);
  const Lease first = publish_blocks(*space, chain);
  const Lease second = publish_blocks(*space, chain);
  EXPECT_EQ(first.slot(0), second.slot(0));
  EXPECT_EQ(first.slot(1), second.slot(1));
  EXPECT_EQ(space->stats().tiers[0].free, 2u);
  EXPECT_EQ(space->stats().duplicates, 2u);
}

// The block goes to the lower tier alone, by a move, which makes its checksum.
void demote(Space& space, std::span<const BlockKey> chain) {
  store_blocks(space, chain);
  ASSERT_EQ(acquire_blocks(space, chain, kFar).size(), chain.size());
  ASSERT_TRUE(space.drop(chain, kNear).ok());
  ASSERT_EQ(space.match(chain).in_tier[1], chain.size());
}

TEST(Space, PublishOfABlockThatIsBelowMakesItsSlotACopyWhereTheBytesAreTheSame) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 1);
  demote(*space, chain);
  store_blocks(*space, chain);
  EXPECT_EQ(space->match(chain).in_tier[0], 1u);
  EXPECT_EQ(space->stats().tiers[0].resident, 1u);
  EXPECT_EQ(space->stats().tiers[1].resident, 1u);
}

TEST(Space, PublishOfABlockThatIsBelowWithOtherBytesKeepsTheSlotPrivate) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 1);
  demote(*space, chain);
  auto lease = space->allocate(1, kNear);
  write_block(*lease, 0, BlockKey{9, 9});
  ASSERT_TRUE(space->publish(*lease, chain, 0).ok());
  EXPECT_TRUE(block_is(*lease, 0, BlockKey{9, 9})) << "readable until release";
  EXPECT_EQ(space->match(chain).in_tier[1], 1u);
  EXPECT_TRUE(lease->release().ok());
  EXPECT_EQ(space->stats().tiers[0].free, 4u);
  const Lease loaded = acquire_blocks(*space, chain);
  EXPECT_TRUE(blocks_are(loaded, chain));
}

TEST(Space, ALeasedBlockIsNeverDroppedOrMoved) {
  auto space = open_space(two_tiers(4, 2));
  const auto chain = chain_of(1, 4);
  const Lease held = publish_blocks(*space, std::span(chain).first(3));
  ASSERT_EQ(held.size(), 3u);
  for (std::uint64_t i = 0; i < 5; ++i) store_blocks(*space, chain_of(100 + i, 1));
  EXPECT_EQ(space->allocate(2, kNear).status().code(), Code::kFull);
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 5ms;
  EXPECT_EQ(space->allocate(2, kNear, wait).status().code(), Code::kFull);
  EXPECT_EQ(space->drop(chain).code(), Code::kBusy);
  EXPECT_TRUE(blocks_are(held, chain));
  EXPECT_EQ(space->match(chain).in_tier[0], 3u);
}

TEST(Space, AllocateForgetsTheColdestBlocksWhenAskedTo) {
  auto space = open_space(two_tiers(4, 4));
  store_blocks(*space, chain_of(1, 2));
  store_blocks(*space, chain_of(2, 2));
  EXPECT_TRUE(space->allocate(2, kNear).ok());
  EXPECT_EQ(space->match(chain_of(1, 2)).blocks, 0u);
  EXPECT_EQ(space->match(chain_of(2, 2)).blocks, 2u);
}

// A policy that names nothing. Whenever it is asked for room at once, somebody else gives slots back.
class NamesNothing final : public Policy {
 public:
  explicit NamesNothing(Lease* others) : others_(others) {}
  void observe(const View& /*view*/, std::span<const Event> /*events*/) noexcept override {}
  std::size_t plan(const View& /*view*/, const Budget& budget, std::span<Move> /*moves*/) noexcept override {
    if (budget.at_once && *others_) {
      EXPECT_TRUE(others_->release().ok());
    }
    return 0;
  }

 private:
  Lease* const others_;
};

TEST(Space, AllocateTakesWhatOthersFreedWhileItAskedForRoom) {
  Lease others;
  Parts parts;
  parts.policy = std::make_unique<NamesNothing>(&others);
  auto space = open_space(two_tiers(4, 4), std::move(parts));
  others = std::move(space->allocate(2, kNear)).value();
  const auto lease = space->allocate(3, kNear);
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_EQ(lease->size(), 3u);
  EXPECT_EQ(space->allocate(2, kNear).status().code(), Code::kFull);
}

TEST(Space, AllocateThatMayWaitLosesNothing) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 4);
  store_blocks(*space, chain);
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  EXPECT_TRUE(space->allocate(3, kNear, wait).ok());
  EXPECT_EQ(space->match(chain).blocks, 4u);
  EXPECT_EQ(space->stats().tiers[0].dropped_last, 0u);
}

TEST(Space, LoadsIntoAFullTierForgetColdBlocksWhereNothingBelowTakesThem) {
  for (const std::uint32_t threads : {0u, 1u}) {
    auto space = open_space(two_tiers(4, 4, threads));
    const auto below = chain_of(1, 4);
    store_blocks(*space, below, kFar);
    store_blocks(*space, chain_of(2, 4));
    Status status;
    const Lease lease = acquire_blocks(*space, below, kNear, &status);
    EXPECT_EQ(lease.size(), 4u) << status.message();
    EXPECT_TRUE(blocks_are(lease, below));
  }
}

TEST(Space, LoadsIntoATierWhoseEverySlotIsLeasedShortenThePrefixAndSayWhy) {
  auto space = open_space(two_tiers(2, 4));
  const auto below = chain_of(1, 3);
  store_blocks(*space, below, kFar);
  const Lease held = publish_blocks(*space, chain_of(2, 1));
  Status status;
  const Lease lease = acquire_blocks(*space, below, kNear, &status);
  EXPECT_EQ(lease.size(), 1u);
  EXPECT_EQ(status.code(), Code::kFull);
}

TEST(Space, SettleEndsThoughATierCannotBeFreedAhead) {
  for (const std::uint32_t threads : {0u, 1u}) {
    Config config = two_tiers(4, 2, threads);
    config.tiers[0].free_ahead = 0.5;
    auto space = open_space(config);
    const auto below = chain_of(1, 2);
    store_blocks(*space, below, kFar);
    const Lease held = acquire_blocks(*space, below, kFar);
    ASSERT_EQ(held.size(), 2u);
    store_blocks(*space, chain_of(2, 4));
    EXPECT_TRUE(space->settle(10s).ok());
    EXPECT_EQ(space->match(chain_of(2, 4)).blocks, 4u);
  }
}

TEST(Space, DropTakesCopiesOutOfOneTierOrOfAll) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 2);
  store_blocks(*space, chain, kFar);
  acquire_blocks(*space, chain);
  EXPECT_TRUE(space->drop(chain, kNear).ok());
  EXPECT_EQ(space->match(chain).in_tier[1], 2u);
  EXPECT_TRUE(space->drop(chain).ok());
  EXPECT_EQ(space->match(chain).blocks, 0u);
  EXPECT_EQ(space->stats().blocks, 0u);
  EXPECT_TRUE(space->drop(chain_of(9, 3)).ok()) << "unknown keys are no error";
}

TEST(Space, ABlockWhoseMiddleWasLostIsFoundAgainOnceTheMiddleIsBack) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain);
  ASSERT_TRUE(space->drop(std::span(chain).subspan(1, 1)).ok());
  EXPECT_EQ(space->match(chain).blocks, 1u);
  EXPECT_EQ(space->stats().blocks, 3u) << "the middle is a ghost";
  store_blocks(*space, std::span(chain).first(2), kNear, 1);
  EXPECT_EQ(space->match(chain).blocks, 3u);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain));
}

TEST(Space, ExpectOfKnownAndUnknownBlocksChangesNothingThatIsLeased) {
  auto space = open_space(two_tiers(4, 4));
  const auto chain = chain_of(1, 4);
  const Lease held = publish_blocks(*space, std::span(chain).first(2));
  space->expect(chain, 100ms);
  EXPECT_TRUE(space->settle(10s).ok());
  EXPECT_TRUE(blocks_are(held, chain));
}

TEST(Space, ThreeTiersServeInAnyOrderOfKinds) {
  const std::vector<std::vector<std::string>> orders = {
      {"dram", "fake", "dram"}, {"fake", "dram", "fake"}, {"dram", "dram", "fake"}, {"fake", "fake", "fake"}};
  for (const auto& kinds : orders) {
    auto space = open_space(config_of(
        {tier_of("a", kinds[0], 4, {}), tier_of("b", kinds[1], 4, {}), tier_of("c", kinds[2], 4, {})}));
    const auto chain = chain_of(1, 3);
    store_blocks(*space, chain, kFarthest);
    EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kFar), chain));
    EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kNear), chain));
    EXPECT_EQ(space->stats().tiers[0].resident, 3u);
    EXPECT_TRUE(space->drop(chain, kFarthest).ok());
    EXPECT_EQ(acquire_blocks(*space, chain, kFarthest).size(), 3u);
    EXPECT_TRUE(space->settle(10s).ok());
    EXPECT_TRUE(nothing_leaked(*space));
  }
}

TEST(Space, WhatATierCannotKeepGoesToTheNextOne) {
  auto space =
      open_space(config_of({tier_of("a", "dram", 2), tier_of("b", "fake", 4), tier_of("c", "fake", 32)}));
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const auto chain = chain_of(seed, 2);
    auto lease = space->allocate(2, kNear, wait);
    ASSERT_TRUE(lease.ok()) << lease.status().message();
    for (std::size_t i = 0; i < 2; ++i) write_block(*lease, i, chain[i]);
    ASSERT_TRUE(space->publish(*lease, chain, 0).ok());
  }
  EXPECT_TRUE(space->settle(10s).ok());
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const auto chain = chain_of(seed, 2);
    const Lease lease = acquire_blocks(*space, chain);
    EXPECT_EQ(lease.size(), 2u) << seed;
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  EXPECT_TRUE(nothing_leaked(*space));
}

}  // namespace
}  // namespace kelvin::testing
