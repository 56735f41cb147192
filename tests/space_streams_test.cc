// Streams: kernels of the engine, and what the space does, come in the right order, and no thread waits for
// it.
#include <gtest/gtest.h>
#include <poll.h>

#include "space_streams_fixture.h"

namespace kelvin::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Threads, SpaceStreams, ::testing::Values(0u, 1u), threads_name);

// --- publish_on ---

TEST_P(SpaceStreams, WhatIsPublishedOnAStreamIsMatchableAtOnceAndHadWhenItIsWritten) {
  open_device();
  const auto chain = chain_of(1, 3);
  const Lease lease = publish_on(chain);
  EXPECT_EQ(space->match(chain).blocks, 3u);
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(ticket.ok());
  EXPECT_TRUE(still_waits(*ticket));
  write_all(lease, chain);
  streams().run(kPrefill);
  ASSERT_TRUE(done(*ticket));
  EXPECT_TRUE(ticket->status().ok()) << ticket->status().message();
  const Lease got = ticket->take();
  EXPECT_EQ(got.size(), 3u);
  EXPECT_TRUE(blocks_are(got, chain));
}

TEST_P(SpaceStreams, AnEventTellsWhenTheyAreWritten) {
  open_device();
  const auto chain = chain_of(1, 2);
  const Lease lease = publish_on(chain);
  auto ticket = space->acquire(chain, kNear);
  const auto fd = ticket->event_fd();
  ASSERT_TRUE(fd.ok());
  pollfd poll{*fd, POLLIN, 0};
  EXPECT_EQ(::poll(&poll, 1, 0), 0);
  streams().run(kPrefill);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(::poll(&poll, 1, 1000), 1);
}

TEST_P(SpaceStreams, APrefixIsHadWhenTheSlowestOfItsStreamsIsDone) {
  open_device();
  const auto chain = chain_of(1, 2);
  const Lease first = publish_on(std::span(chain).first(1), kPrefill);
  auto second = space->allocate(1, kNear);
  ASSERT_TRUE(space->publish_on(*second, kDecode, chain, 1).ok());
  auto ticket = space->acquire(chain, kNear);
  streams().run(kDecode);  // the newer mark passes first
  EXPECT_TRUE(still_waits(*ticket));
  streams().run(kPrefill);
  EXPECT_TRUE(done(*ticket));
}

TEST_P(SpaceStreams, ALeaseThatEndsKeepsItsSlotsUntilTheyAreWritten) {
  for (const bool destroyed : {false, true}) {
    open_device(4);
    const auto chain = chain_of(1, 3);
    Lease lease = publish_on(chain);
    if (destroyed) {
      lease = Lease();
    } else {
      EXPECT_TRUE(lease.release().ok());
    }
    EXPECT_EQ(space->stats().leases, 1u);
    EXPECT_EQ(space->drop(chain, kNear).code(), Code::kBusy);
    EXPECT_EQ(space->allocate(2, kNear).status().code(), Code::kBusy) << "not kFull: they will go";
    streams().run(kPrefill);
    ASSERT_TRUE(comes_true([&] { return space->stats().leases == 0; }));
    EXPECT_EQ(space->match(chain).blocks, 3u);
    EXPECT_TRUE(space->allocate(4, kNear).ok());
  }
}

TEST_P(SpaceStreams, ADuplicateKeepsItsOwnSlotForKernelsWriteIntoIt) {
  open_device();
  const auto chain = chain_of(1, 2);
  store_blocks(*space, chain);
  const Lease lease = publish_on(chain);
  EXPECT_EQ(stats().duplicates, 2u);
  const Lease there = acquire_blocks(*space, chain);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NE(lease.slot(i), there.slot(i));
  EXPECT_TRUE(blocks_are(there, chain)) << "what was there is as it was";
}

TEST_P(SpaceStreams, BytesThatAreNotThereYetAreComparedWithNothing) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_far(chain);
  const Lease lease = publish_on(chain);
  EXPECT_EQ(space->match(chain).in_tier[1], 2u) << "they stay the publisher's own";
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kFar), chain));
}

TEST_P(SpaceStreams, ACopyOutSetsOutWhenItsSourceIsWritten) {
  open_device();
  const auto chain = chain_of(1, 3);
  const Lease lease = publish_on(chain);
  auto ticket = space->acquire(chain, kFar);
  EXPECT_TRUE(still_waits(*ticket));
  EXPECT_EQ(flights(), 0u) << "nor does it hold up others meanwhile";
  write_all(lease, chain);
  streams().run(kPrefill);
  ASSERT_TRUE(loads(*ticket));
  const Lease got = ticket->take();
  EXPECT_EQ(got.size(), 3u);
  EXPECT_TRUE(blocks_are(got, chain));
}

TEST_P(SpaceStreams, AKernelThatNeverEndsIsWaitedForNoLongerThanTheDeadline) {
  open_device();
  const auto chain = chain_of(1, 3);
  const auto rest = std::span(chain).subspan(1);
  store_blocks(*space, std::span(chain).first(1));
  auto lease = space->allocate(2, kNear);
  ASSERT_TRUE(space->publish_on(*lease, kPrefill, chain, 1).ok());
  auto near = space->acquire(chain, kNear);
  auto far = space->acquire(rest, kFar);
  EXPECT_TRUE(still_waits(*near));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*near));
  ASSERT_TRUE(done(*far));
  EXPECT_EQ(near->status().code(), Code::kUnavailable) << near->status().message();
  EXPECT_EQ(near->take().size(), 1u) << "what was written before";
  EXPECT_EQ(far->status().code(), Code::kUnavailable);
  EXPECT_TRUE(stats().tiers[0].online) << "the device is well";
}

// --- release_on ---

TEST_P(SpaceStreams, SlotsThatKernelsUseStillAreNobodysUntilTheyAreDone) {
  open_device(4);
  const auto chain = chain_of(1, 2);
  Lease read = publish_blocks(*space, chain);
  auto written = space->allocate(2, kNear);
  ASSERT_TRUE(read.release_on(kPrefill).ok());
  ASSERT_TRUE(written->release_on(kDecode).ok());
  EXPECT_FALSE(read || *written) << "empty at once";
  EXPECT_EQ(read.release_on(kPrefill).code(), Code::kMisuse);
  drive();
  EXPECT_EQ(space->stats().tiers[0].free, 0u);
  EXPECT_EQ(space->allocate(1, kNear).status().code(), Code::kBusy);
  streams().run(kDecode);
  EXPECT_TRUE(free_slots(2));
  EXPECT_EQ(space->drop(chain, kNear).code(), Code::kBusy);
  streams().run(kPrefill);
  EXPECT_TRUE(comes_true([&] { return space->drop(chain, kNear).ok(); }));
}

TEST_P(SpaceStreams, WhoReadsHoldsUpNoOtherReader) {
  open_device();
  const auto chain = chain_of(1, 2);
  Lease first = publish_blocks(*space, chain);
  ASSERT_TRUE(first.release_on(kPrefill).ok());
  auto ticket = space->acquire_on(chain, kNear, kDecode);
  ASSERT_TRUE(ticket.ok());
  std::atomic<bool> ran{false};
  streams().put(kDecode, &ran);
  streams().run(kDecode);
  EXPECT_TRUE(ran);
  auto plain = space->acquire(chain, kNear);
  EXPECT_TRUE(plain->done());
}

TEST_P(SpaceStreams, WhereTheDeviceTakesNoMoreMarksTheLeaseStaysAsItWas) {
  open_device(4);
  for (std::size_t i = 0; i < FakeStreams::kMarks; ++i) ASSERT_TRUE(streams().follow(kDecode, {}).ok());
  const auto chain = chain_of(1, 2);
  auto lease = space->allocate(2, kNear);
  EXPECT_EQ(space->publish_on(*lease, kPrefill, chain, 0).code(), Code::kBusy);
  EXPECT_EQ(space->match(chain).blocks, 0u);
  EXPECT_EQ(lease->release_on(kPrefill).code(), Code::kBusy);
  ASSERT_EQ(lease->size(), 2u);
  streams().run(kDecode);
  write_all(*lease, chain);
  EXPECT_TRUE(space->publish_on(*lease, kPrefill, chain, 0).ok());
  EXPECT_TRUE(lease->release_on(kPrefill).ok());
}

TEST_P(SpaceStreams, WhoWaitsForRoomGetsTheSlotsOfKernelsThatEnd) {
  open_device(2);
  auto lease = space->allocate(2, kNear);
  ASSERT_TRUE(lease->release_on(kPrefill).ok());
  std::thread device([&] {
    std::this_thread::sleep_for(5ms);
    streams().run(kPrefill);
  });
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 20s;
  const auto got = space->allocate(2, kNear, wait);
  EXPECT_TRUE(got.ok()) << got.status().message();
  device.join();
}

TEST_P(SpaceStreams, ALoadGetsTheSlotsOfKernelsThatEnd) {
  open_device(2);
  const auto chain = chain_of(1, 2);
  put_far(chain);
  auto lease = space->allocate(2, kNear);
  ASSERT_TRUE(lease->release_on(kPrefill).ok());
  auto ticket = space->acquire(chain, kNear);
  EXPECT_TRUE(still_waits(*ticket));
  streams().run(kPrefill);
  ASSERT_TRUE(loads(*ticket));
  EXPECT_EQ(ticket->take().size(), 2u);
}

TEST_P(SpaceStreams, ATicketThatAStreamWaitsForWaitsForNoSlotOfThatStream) {
  open_device(2);
  const auto chain = chain_of(1, 2);
  put_far(chain);
  auto lease = space->allocate(2, kNear);
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  ASSERT_TRUE(ticket->wait_on_stream().ok());
  ASSERT_TRUE(lease->release_on(kPrefill).ok()) << "its mark lies behind the wait";
  ASSERT_TRUE(loads(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kFull) << ticket->status().message();
  streams().run(kPrefill);
  EXPECT_TRUE(free_slots(2));
}

// --- misuse, and the end ---

TEST_P(SpaceStreams, TiersWithoutStreamsSaySo) {
  open_device();
  const auto chain = chain_of(1, 1);
  auto lease = space->allocate(1, kFar);
  EXPECT_EQ(space->publish_on(*lease, kPrefill, chain, 0).code(), Code::kUnsupported);
  EXPECT_EQ(lease->release_on(kPrefill).code(), Code::kUnsupported);
  EXPECT_EQ(lease->size(), 1u);
  EXPECT_EQ(space->acquire_on(chain, kFar, kPrefill).status().code(), Code::kUnsupported);
  EXPECT_EQ(space->acquire_on(chain, TierIndex(5), kPrefill).status().code(), Code::kInvalid);
  Lease empty;
  EXPECT_EQ(space->publish_on(empty, kPrefill, chain, 0).code(), Code::kMisuse);
  auto near = space->allocate(1, kNear);
  EXPECT_EQ(space->publish_on(*near, kPrefill, chain, 1).code(), Code::kInvalid);
  EXPECT_EQ(streams().open_marks(), 0u);
  Ticket none;
  std::array<Slot, 1> slots;
  EXPECT_EQ(none.wait_on_stream().code(), Code::kMisuse);
  EXPECT_EQ(none.slots(slots).status().code(), Code::kMisuse);
  EXPECT_EQ(none.segments_ready(), 0u);
}

TEST_P(SpaceStreams, APlainTicketIsForTheHostAlone) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_far(chain);
  auto ticket = space->acquire(chain, kNear);
  std::array<Slot, 2> slots;
  EXPECT_EQ(ticket->wait_on_stream().code(), Code::kMisuse);
  EXPECT_EQ(ticket->slots(slots).status().code(), Code::kBusy);
  drive();
  time.pass(500us);
  drive();
  EXPECT_EQ(ticket->segments_ready(), 0u);
  ASSERT_TRUE(loads(*ticket));
  EXPECT_EQ(*ticket->slots(slots), 2u);
  EXPECT_EQ(ticket->segments_ready(), kSegments);
}

TEST_P(SpaceStreams, ClosingWaitsForNoKernel) {
  open_device();
  const auto chain = chain_of(1, 2);
  Lease lease = publish_on(chain);
  Lease released = publish_on(chain_of(2, 1));
  ASSERT_TRUE(released.release_on(kPrefill).ok());
  auto waiting = space->acquire(chain, kNear);
  drive();
  space.reset();
  ASSERT_TRUE(waiting->done());
  EXPECT_EQ(waiting->status().code(), Code::kCanceled);
  EXPECT_EQ(waiting->take().size(), 0u);
  EXPECT_TRUE(lease.release_on(kPrefill).ok());
}

// Leases that end while the space closes are ended by one of both.
TEST_P(SpaceStreams, ReleasingBesideClosingLosesNothing) {
  for (int round = 0; round < 50; ++round) {
    open_device();
    Lease one = publish_on(chain_of(1, 1));
    Lease other = publish_on(chain_of(2, 2), kDecode);
    std::thread releases([&] {
      EXPECT_TRUE(one.release().ok());
      EXPECT_TRUE(other.release().ok());
    });
    space.reset();
    releases.join();
  }
}

}  // namespace
}  // namespace kelvin::testing
