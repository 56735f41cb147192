// A device that hangs does not hang the space: who waits is answered, what it has in hand stays untouched,
// all else goes on.
#include <gtest/gtest.h>

#include <cstring>

#include "kelvin/space.h"
#include "space_hang_fixture.h"

namespace kelvin::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Threads, SpaceHang, ::testing::Values(0u, 1u), threads_name);

constexpr auto kAlmost = kDeadline - 1ms;

TEST_P(SpaceHang, ALoadEndsAtTheDeadlineAndNotBefore) {
  open_hanging_two();
  const auto chain = chain_of(1, 3);
  put(chain, {kFar});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(3));
  time.pass(kAlmost);
  drive();
  EXPECT_FALSE(ticket->done());
  EXPECT_TRUE(space->stats().tiers[1].online);
  time.pass(1ms);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
  EXPECT_EQ(ticket->take().size(), 0u);
  const Stats after = stats();
  EXPECT_FALSE(after.tiers[1].online);
  EXPECT_EQ(after.tiers[1].went_offline, 1u);
  EXPECT_EQ(after.load_failures, 3u);
  EXPECT_EQ(strays(), 3u);
}

TEST_P(SpaceHang, ALoadKeepsThePrefixThatArrived) {
  open_hanging_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .from = slot_of(chain, 2, kFar), .stuck = true});
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(1));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 2u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceHang, ALoadGoesOnFromACopyInAnotherTier) {
  open_hanging_three();
  const auto chain = chain_of(1, 3);
  put(chain, {kFar, kFarthest});
  hang("middle>dram");
  auto ticket = space->acquire(chain, kNear);
  auto again = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(3));
  time.pass(kDeadline);
  for (Ticket* waiting : {&*ticket, &*again}) {
    ASSERT_TRUE(done(*waiting));
    EXPECT_TRUE(waiting->status().ok()) << waiting->status().message();
    const Lease lease = waiting->take();
    EXPECT_EQ(lease.size(), 3u);
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  EXPECT_FALSE(stats().tiers[1].online);
  EXPECT_EQ(stats().load_failures, 0u);
  const auto kept = acquire_blocks(*space, chain);
  ASSERT_TRUE(recovers());
  EXPECT_TRUE(blocks_are(kept, chain)) << "what arrives late hits nobody's slot";
  expect_work_as_ever(kFarthest);
}

TEST_P(SpaceHang, WhatIsQueuedBehindEndsWithIt) {
  open_hanging(two_tiers(100, 100, GetParam()));
  const auto chain = chain_of(1, 90);
  put(chain, {kFar});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(comes_true([&] { return flights() > 0; }));
  drive();
  const auto set_out = flights();
  EXPECT_LT(set_out, 90u) << "no more than the link is deep";
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_FALSE(ticket->status().ok());
  EXPECT_TRUE(settled());
  EXPECT_LE(strays(), 64u);
  EXPECT_EQ(stats().tiers[0].free, 100u - strays()) << "only what the device has in hand is missing";
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u) << "nothing is known there any more";
  expect_work_as_ever(kNear);
}

TEST_P(SpaceHang, SlotsInTheDevicesHandsAreNobodysUntilItGivesThemBack) {
  for (const Trouble trouble : {Trouble::kNone, Trouble::kError, Trouble::kCorrupt, Trouble::kGone}) {
    SCOPED_TRACE(name_of(trouble));
    open_hanging_two();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar});
    hang("far>dram", trouble);
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(in_flight(3));
    time.pass(kDeadline);
    ASSERT_TRUE(done(*ticket));
    EXPECT_TRUE(settled());
    EXPECT_EQ(space->stats().tiers[0].free, 5u);
    EXPECT_EQ(space->stats().tiers[1].resident, 3u) << "the sources";
    EXPECT_EQ(space->allocate(6, kNear).status().code(), Code::kFull);
    const auto other = chain_of(2, 5);
    const Lease lease = publish_blocks(*space, other);
    ASSERT_EQ(lease.size(), 5u);
    ASSERT_TRUE(recovers());
    EXPECT_TRUE(blocks_are(lease, other));
    EXPECT_TRUE(settled());
    EXPECT_EQ(space->stats().tiers[0].free, 3u);
    EXPECT_EQ(space->stats().tiers[1].free, 8u);
    EXPECT_EQ(space->stats().tiers[0].quarantined + space->stats().tiers[1].quarantined, 0u);
    EXPECT_EQ(link("far>dram").strays, 0u);
    EXPECT_EQ(link("far>dram").failures, 3u);
  }
}

TEST_P(SpaceHang, AWriteBehindHoldsUpNothingButItsOwnSource) {
  Config config = two_tiers(8, 16, GetParam());
  config.tiers[0].free_ahead = 0.5;
  open_hanging(config);
  hang("dram>far");
  const auto chain = chain_of(1, 8);
  store_blocks(*space, chain);
  ASSERT_TRUE(comes_true([&] { return flights() >= 4; }));
  time.pass(kDeadline);
  ASSERT_TRUE(goes_offline(kFar));
  EXPECT_TRUE(settled());
  const std::uint64_t held = strays();
  EXPECT_GE(held, 4u);
  EXPECT_EQ(space->stats().tiers[0].leased, held) << "sources stay as they are";
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  const std::uint32_t rest = 8 - static_cast<std::uint32_t>(held);
  EXPECT_EQ(space->allocate(rest + 1, kNear, wait).status().code(), Code::kFull) << "at once, not after 10 s";
  if (rest != 0) {
    auto lease = space->allocate(rest, kNear);
    EXPECT_TRUE(lease.ok()) << "who forgets is served";
  }
  Status status;
  const Lease lease = acquire_blocks(*space, std::span(chain).first(1), kNear, &status);
  EXPECT_TRUE(blocks_are(lease, chain));
  ASSERT_TRUE(recovers());
  EXPECT_TRUE(settled());
  EXPECT_TRUE(space->allocate(7, kNear).ok());
}

TEST_P(SpaceHang, AStoreThatACallerAskedForEndsInTime) {
  open_hanging_two();
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain);
  hang("dram>far");
  auto ticket = space->acquire(chain, kFar);
  ASSERT_TRUE(in_flight(3));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 3u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceHang, TheOtherTiersServeOnMeanwhile) {
  open_hanging_three(16);
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  hang("middle>dram");
  hang("dram>middle");
  hang("middle>far");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(2));
  const auto other = chain_of(2, 3);
  store_blocks(*space, other);
  EXPECT_EQ(acquire_blocks(*space, other, kFarthest).size(), 3u);
  EXPECT_TRUE(comes_true([&] { return space->drop(other, kNear).ok(); })) << "once its move has ended";
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, other), other));
  EXPECT_EQ(space->match(other).in_tier[0], 3u);
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->take().size(), 0u);
  expect_work_as_ever(kFarthest);
  store_blocks(*space, chain);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain));
}

TEST_P(SpaceHang, ABlockThatIsInTheDevicesHandsCanBeMadeAnew) {
  open_hanging_two();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(2));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(space->match(chain).blocks, 0u);
  {
    auto lease = space->allocate(2, kNear);
    ASSERT_TRUE(lease.ok());
    std::memset(lease->address(0).pointer, 0x11, kBlockBytes);  // a GPU may round differently twice
    std::memset(lease->address(1).pointer, 0x22, kBlockBytes);
    ASSERT_TRUE(space->publish(*lease, chain, 0).ok());
  }
  ASSERT_TRUE(recovers());
  ASSERT_TRUE(settled());
  const Lease lease = acquire_blocks(*space, chain);
  ASSERT_EQ(lease.size(), 2u) << "they are shared, not the publisher's alone";
  EXPECT_EQ(*bytes_of(lease, 0), std::byte{0x11});
  EXPECT_EQ(*bytes_of(lease, 1), std::byte{0x22});
  EXPECT_TRUE(space->bring_back(kFar).ok());
  EXPECT_EQ(acquire_blocks(*space, chain, kFar).size(), 2u);
}

TEST_P(SpaceHang, ADeviceThatFailsOneCopyAndHangsOnTheOthersIsLeftAtOnce) {
  open_hanging_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kGone, .from = slot_of(chain, 3, kFar)});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(done(*ticket)) << "no deadline has passed";
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
  EXPECT_EQ(strays(), 3u);
}

TEST_P(SpaceHang, CopiesThatEndWhenCanceledAreGivenBackAtOnce) {
  open_hanging_two();
  const auto chain = chain_of(1, 3);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .held = true});
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(3));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_TRUE(comes_true([&] { return flights() == 0; }));
}

TEST_P(SpaceHang, OnTheSecondHopKeepsWhatTheFirstOneBrought) {
  faults.detour("dram>far");
  faults.detour("far>dram");
  open_hanging_three();
  const auto chain = chain_of(1, 2);
  put(chain, {kNear});
  hang("middle>far");
  auto ticket = space->acquire(chain, kFarthest);
  ASSERT_TRUE(in_flight(2));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable);
  EXPECT_FALSE(stats().tiers[2].online) << "of two the farther one is blamed";
  EXPECT_TRUE(stats().tiers[1].online);
  EXPECT_EQ(space->match(chain).in_tier[0], 2u);
  EXPECT_EQ(stats().tiers[1].resident, 2u);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kFar), chain));
}

TEST_P(SpaceHang, ASlotOfTheEnginesIsItsOwnAgainOnlyWhenTheDeviceGivesItBack) {
  std::vector<std::byte> memory(4 * kBlockBytes);
  Parts parts;
  parts.adopted.push_back({"engine", {{memory.data()}, kBlockBytes, kBlockBytes, 4}});
  open_hanging(
      config_of({tier_of("engine", "adopted", 0), tier_of("dram", "dram", 8), tier_of("far", "fake", 8)},
                GetParam()),
      std::move(parts));
  const auto chain = chain_of(1, 2);
  store_blocks(*space, chain, kFar);
  ASSERT_EQ(acquire_blocks(*space, chain, kFarthest).size(), 2u);
  hang("dram>engine");
  hang("far>engine");  // whichever is the faster way
  AcquireOptions options;
  const std::vector<Slot> into = {Slot(1), Slot(3)};
  options.into = into;
  auto ticket = space->acquire(chain, kNear, options);
  ASSERT_TRUE(in_flight(2)) << ticket->status().message();
  EXPECT_EQ(space->reclaim(kNear, into).code(), Code::kBusy);
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kUnavailable) << ticket->status().message();
  EXPECT_EQ(space->reclaim(kNear, into).code(), Code::kBusy) << "the device may still write there";
  ASSERT_TRUE(recovers());
  EXPECT_TRUE(space->reclaim(kNear, into).ok());
  EXPECT_EQ(stats().tiers[0].free, 4u);
}

TEST_P(SpaceHang, NoDeadlineMeansThatItIsWaitedFor) {
  Config config = two_tiers(8, 8, GetParam());
  open_hanging(config);
  close();
  config.mover.deadline_ns = 0;
  Parts parts = faults.parts();
  parts.clock = time.clock();
  space = open_space(config, std::move(parts));
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(2));
  time.pass(1h);
  drive();
  EXPECT_FALSE(ticket->done());
  ASSERT_TRUE(recovers());
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(ticket->take().size(), 2u);
}

TEST_P(SpaceHang, ClosingEndsTicketsAndWaitsForNoDeviceThatIsToldToCancel) {
  for (const bool late : {false, true}) {
    open_hanging_two();
    const auto chain = chain_of(1, 4);
    put(chain, {kFar});
    faults.add({.link = "far>dram", .held = true});
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(in_flight(4));
    if (late) time.pass(kDeadline);
    space.reset();
    ASSERT_TRUE(ticket->done());
    EXPECT_EQ(ticket->take().size(), 0u);
  }
}

TEST_P(SpaceHang, ClosingIsBoundedThoughTheDeviceNeverGivesBackAnything) {
  for (const bool late : {false, true}) {
    Config config = two_tiers(8, 8, GetParam());
    config.mover.deadline_ns = 20'000'000;  // of real time, when closing
    Parts parts = faults.parts();
    parts.clock = time.clock();
    space = open_space(config, std::move(parts));
    const auto chain = chain_of(1, 4);
    put(chain, {kFar});
    const auto near = chain_of(2, 2);
    Lease lease = publish_blocks(*space, near);
    hang("far>dram");
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(in_flight(4));
    if (late) {
      time.pass(1s);
      ASSERT_TRUE(done(*ticket));
    }
    space.reset();
    ASSERT_TRUE(ticket->done());
    EXPECT_EQ(ticket->status().code(), late ? Code::kUnavailable : Code::kCanceled);
    EXPECT_EQ(ticket->take().size(), 0u);
    EXPECT_TRUE(blocks_are(lease, near));
    EXPECT_TRUE(lease.release().ok());
    faults.clear();
  }
}

}  // namespace
}  // namespace kelvin::testing
