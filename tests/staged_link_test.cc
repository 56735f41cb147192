// StagedLink: both halves of each copy, over links that do what a test says.
#include "staging/staged_link.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "checksum/crc32c.h"
#include "counted_new.h"
#include "staged_link_fixture.h"
#include "tiers/host/host_link.h"

namespace kelvin::testing {
namespace {

std::uint32_t sum_of(std::uint64_t seed) {
  const auto bytes = pattern(seed, kBlock);
  return crc32c(bytes.data(), bytes.size());
}

TEST_F(StagedCopies, GoThroughOneStagingSlotEach) {
  open();
  ASSERT_EQ(submit(0, 3), 3U);
  EXPECT_EQ(to_staging_.submits, (std::vector<std::size_t>{3})) << "one batch";
  EXPECT_TRUE(from_staging_.in_hand.empty());
  const std::uint32_t n = bring_halfway(1);
  ASSERT_EQ(from_staging_.in_hand.size(), 1U);
  EXPECT_EQ(from_staging_.in_hand[0].from, Slot(n));
  EXPECT_EQ(from_staging_.in_hand[0].to, Slot(41));
  out_->land(n);
  const auto done = poll();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].tag, 101U);
  EXPECT_TRUE(done[0].status.ok());
  EXPECT_EQ(done[0].checksum, sum_of(1));
  EXPECT_TRUE(slot_holds(*gpu_, Slot(41), 1));
}

TEST_F(StagedCopies, LetBlocksArriveWhileOthersLeave) {
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  bring_halfway(0);
  EXPECT_EQ(to_staging_.in_hand.size(), 3U);
  EXPECT_EQ(from_staging_.in_hand.size(), 1U);
}

TEST_F(StagedCopies, AreAsManyAsThereAreStagingSlots) {
  open();
  EXPECT_EQ(link_->info().depth, kStaging);
  EXPECT_EQ(submit(0, 6), kStaging);
  EXPECT_EQ(submit(6, 1), 0U);
}

TEST_F(StagedCopies, WaitWhereAnInnerLinkIsFull) {
  to_staging_.depth = 2;
  from_staging_.depth = 1;
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  EXPECT_EQ(to_staging_.in_hand.size(), 2U);
  const std::uint32_t a = bring_halfway(0);
  const std::uint32_t b = bring_halfway(1);
  EXPECT_EQ(to_staging_.in_hand.size(), 2U) << "the next ones have followed";
  ASSERT_EQ(from_staging_.in_hand.size(), 1U);
  out_->land(a);
  EXPECT_EQ(poll().size(), 1U);
  EXPECT_TRUE(poll().empty());
  ASSERT_EQ(from_staging_.in_hand.size(), 1U);
  out_->land(b);
  EXPECT_EQ(poll().size(), 1U);
}

TEST_F(StagedCopies, TellTheLinkThatRecordsThemWhatTheyAre) {
  open();
  std::atomic<std::uint32_t> arrived{0};
  Copy known = copy(0);
  known.checksum = false;
  known.known_checksum = 77;
  known.key = {1, 2};
  known.parent = {3, 4};
  known.has_parent = true;
  known.depth = 5;
  known.arrived = &arrived;
  Copy summed = copy(1);
  ASSERT_TRUE(fill_slot(*disk_, Slot(1), 1));
  ASSERT_EQ(link_->submit(std::array{known, summed}), 2U);
  EXPECT_FALSE(to_staging_.in_hand[0].checksum);
  EXPECT_TRUE(to_staging_.in_hand[1].checksum) << "made on the way in";
  EXPECT_EQ(to_staging_.in_hand[0].arrived, nullptr) << "nothing arrives where it is waited for";
  bring_halfway(0);
  bring_halfway(1);
  ASSERT_EQ(from_staging_.in_hand.size(), 2U);
  const Copy& recorded = from_staging_.in_hand[0];
  EXPECT_EQ(recorded.known_checksum, 77U);
  EXPECT_EQ(recorded.key, (BlockKey{1, 2}));
  EXPECT_EQ(recorded.parent, (BlockKey{3, 4}));
  EXPECT_TRUE(recorded.has_parent);
  EXPECT_EQ(recorded.depth, 5U);
  EXPECT_EQ(recorded.arrived, &arrived);
  EXPECT_FALSE(from_staging_.in_hand[1].checksum) << "known on the way out";
  EXPECT_EQ(from_staging_.in_hand[1].known_checksum, sum_of(1));
}

TEST_F(StagedCopies, AreSlowerThanEitherHalf) {
  open();
  EXPECT_EQ(link_->info().name, "disk>gpu");
  EXPECT_EQ(link_->info().from, disk_.get());
  EXPECT_EQ(link_->info().to, gpu_.get());
  EXPECT_EQ(link_->info().latency_ns, 2000U);
  EXPECT_EQ(link_->info().bytes_per_second, 1'000'000'000U);
}

TEST_F(StagedCopies, ArePolledForWhereOneHalfHasNothingToWaitFor) {
  open();
  EXPECT_EQ(link_->info().wake_fd, -1);
}

TEST_F(StagedCopies, WakeWhoeverWaitsForEitherHalf) {
  to_staging_.depth = 1;
  open(true);
  ASSERT_GE(link_->info().wake_fd, 0);
  ASSERT_EQ(submit(0, 1), 1U);
  EXPECT_FALSE(is_readable());
  const std::uint32_t first = staged(0);
  in_->land(first);
  EXPECT_TRUE(is_readable());
  EXPECT_TRUE(poll().empty());
  EXPECT_FALSE(is_readable());
  out_->land(first);
  EXPECT_TRUE(is_readable());
  EXPECT_TRUE(poll(0).empty());
  EXPECT_TRUE(is_readable()) << "there was no room for the completion";
  EXPECT_EQ(poll().size(), 1U);
  EXPECT_FALSE(is_readable());
  ASSERT_EQ(submit(1, 2), 2U);
  link_->cancel_all();
  EXPECT_TRUE(is_readable()) << "one had not even begun";
}

TEST(StagedLink, TakesNoMoreThanItsHalvesCanHaveInHand) {
  const auto near = memory("near", 1);
  const auto far = memory("far", 1);
  auto staging = memory("staging", 1000);
  auto in = std::make_unique<HostLink>(*far, *staging);
  auto out = std::make_unique<HostLink>(*staging, *near);
  const StagedLink link(std::move(staging), std::move(in), std::move(out));
  EXPECT_EQ(link.info().depth, 2 * HostLink::kDepth) << "the rest waits where what is urgent goes first";
}

TEST(StagedLink, AllocatesNothingOnceItIsMade) {
  if (!kAllocationsCounted) GTEST_SKIP() << "allocations cannot be counted under this sanitizer";
  const auto near = memory("near", kSlots);
  const auto far = memory("far", kSlots);
  auto staging = memory("staging", 8);
  auto in = std::make_unique<HostLink>(*far, *staging);
  auto out = std::make_unique<HostLink>(*staging, *near);
  StagedLink link(std::move(staging), std::move(in), std::move(out));
  std::array<Copy, kSlots> copies;
  for (std::uint32_t i = 0; i < kSlots; ++i) copies[i] = across(i);
  std::array<Completion, 16> done;
  const std::uint64_t before = allocations();
  std::size_t ended = 0;
  for (std::size_t at = 0; ended < kSlots;) {
    at += link.submit(std::span(copies).subspan(at));
    ended += link.poll(done);
    if (at == kSlots / 2) link.cancel_all();
  }
  EXPECT_EQ(allocations(), before);
}

}  // namespace
}  // namespace kelvin::testing
