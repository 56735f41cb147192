// Tickets that streams wait for: in order with what writes, told of layer by layer, and always answered.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <vector>

#include "space_streams_fixture.h"

namespace kelvin::testing {
namespace {

TEST_P(SpaceStreams, WhatIsThereIsInOrderOnTheStreamAndTheTicketDoneAtOnce) {
  open_device();
  const auto chain = chain_of(1, 2);
  const Lease lease = publish_on(chain, kPrefill);
  auto ticket = space->acquire_on(chain, kNear, kDecode);
  ASSERT_TRUE(ticket.ok());
  EXPECT_TRUE(ticket->done());
  EXPECT_TRUE(ticket->wait_on_stream().ok());
  EXPECT_EQ(ticket->segments_ready(), kSegments);
  std::atomic<bool> ran{false};
  streams().put(kDecode, &ran);
  streams().run(kDecode);
  EXPECT_FALSE(ran) << "before the kernels that write";
  streams().run_all();
  EXPECT_TRUE(ran);
  Lease got = ticket->take();
  EXPECT_EQ(got.size(), 2u);
  EXPECT_TRUE(got.release_on(kDecode).ok());
}

TEST_P(SpaceStreams, AStreamWaitsUntilWhatIsLoadedIsThere) {
  open_device();
  const auto chain = chain_of(1, 3);
  put_far(chain);
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  ASSERT_TRUE(ticket->wait_on_stream().ok());
  std::atomic<bool> ran{false};
  streams().put(kPrefill, &ran);
  drive();
  streams().run_all();
  EXPECT_FALSE(ran);
  ASSERT_TRUE(loads(*ticket));
  streams().run_all();
  EXPECT_TRUE(ran);
  EXPECT_TRUE(ticket->status().ok());
  EXPECT_TRUE(blocks_are(ticket->take(), chain));
}

TEST_P(SpaceStreams, AStreamGoesOnWhateverBecomesOfTheTicket) {
  enum class End { kFails, kHangs, kIsDropped, kCloses };
  for (const End end : {End::kFails, End::kHangs, End::kIsDropped, End::kCloses}) {
    SCOPED_TRACE(static_cast<int>(end));
    open_device();
    const auto chain = chain_of(1, 3);
    put_far(chain);
    if (end == End::kFails) faults.add({.link = "dram>gpu", .trouble = Trouble::kError});
    if (end == End::kHangs) hang("dram>gpu");
    auto ticket = space->acquire_on(chain, kNear, kPrefill);
    ASSERT_TRUE(ticket->wait_on_stream().ok());
    ASSERT_TRUE(ticket->wait_on_stream(1).ok());
    if (end == End::kHangs) {
      ASSERT_TRUE(in_flight(3));
    }
    drive();
    EXPECT_TRUE((streams().run(kPrefill), streams().waits(kPrefill)));
    FakeStreams& device = streams();
    if (end == End::kCloses) {
      Lease keeps_the_tiers = publish_blocks(*space, chain_of(2, 1));
      space.reset();
      device.run(kPrefill);
      EXPECT_FALSE(device.waits(kPrefill));
      *ticket = Ticket();
      continue;
    }
    if (end == End::kIsDropped) *ticket = Ticket();
    EXPECT_TRUE(comes_true([&] {
      time.pass(end == End::kHangs ? kDeadline : 100us);
      device.run(kPrefill);
      return !device.waits(kPrefill);
    }));
    if (end == End::kFails || end == End::kHangs) {
      ASSERT_TRUE(done(*ticket));
      EXPECT_EQ(ticket->take().size(), 0u);
    }
    *ticket = Ticket();
    ASSERT_TRUE(recovers());
    EXPECT_TRUE(comes_true([&] {
      time.pass(1ms);
      return flights() == 0 && space->stats().leases == 0;
    }));
  }
}

TEST_P(SpaceStreams, AWaitForAHoldThatIsUsedAnewIsOver) {
  open_device();
  const auto chain = chain_of(1, 2);
  put_far(chain);
  std::vector<std::uint32_t> before;
  for (int use = 0; use < 20; ++use) {
    auto ticket = space->acquire_on(chain, kNear, kPrefill);
    ASSERT_TRUE(ticket->wait_on_stream().ok());
    ASSERT_TRUE(loads(*ticket));
    ASSERT_TRUE(ticket->take().release().ok());
    ASSERT_TRUE(comes_true([&] { return space->drop(chain, kNear).ok(); }));
    streams().run(kPrefill);
    ASSERT_FALSE(streams().waits(kPrefill)) << "use " << use;
    std::vector<std::uint32_t> now;
    for (const auto& word : streams().words()) now.push_back(word.load());
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_GE(now[i], before[i]) << "they only rise";
    before = std::move(now);
  }
}

TEST_P(SpaceStreams, ATicketTellsWhereItsBlocksWillBeAndWhichSegmentsAreThere) {
  open_device();
  const auto chain = chain_of(1, 3);
  put_far(chain);
  const Lease near = acquire_blocks_slowly(std::span(chain).first(1));
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  std::array<Slot, 8> slots;
  EXPECT_EQ(ticket->segments_ready(), 0u);
  ASSERT_TRUE(comes_true([&] { return ticket->slots(slots).ok(); }));
  EXPECT_EQ(*ticket->slots(slots), 3u);
  EXPECT_EQ(slots[0], near.slot(0));
  EXPECT_EQ(ticket->slots(std::span(slots).first(2)).status().code(), Code::kInvalid);
  ASSERT_TRUE(in_flight(2));
  std::array<std::atomic<bool>, kSegments + 1> ran{};
  for (std::uint32_t s = 1; s <= kSegments; ++s) {
    ASSERT_TRUE(ticket->wait_on_stream(s).ok());
    streams().put(kPrefill, &ran[s]);
  }
  for (std::uint32_t s = 1; s < kSegments; ++s) {
    time.pass(250us);
    ASSERT_TRUE(comes_true([&] { return ticket->segments_ready() == s; }));
    EXPECT_FALSE(ticket->done());
    for (std::size_t i = 1; i < 3; ++i) {
      const auto expected = pattern(content_of(chain[i]), kBlockBytes);
      const Address at = space_address(slots[i]);
      EXPECT_EQ(std::memcmp(at.pointer, expected.data(), s * kBlockBytes / kSegments), 0);
    }
    streams().run(kPrefill);
    EXPECT_TRUE(ran[s]);
    EXPECT_FALSE(ran[s + 1]);
  }
  ASSERT_TRUE(loads(*ticket));
  EXPECT_EQ(ticket->segments_ready(), kSegments);
  streams().run(kPrefill);
  EXPECT_TRUE(ran[kSegments]);
  const Lease lease = ticket->take();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(lease.slot(i), slots[i]);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceStreams, ABlockWhoseFirstSegmentsWereSaidToBeThereIsNotCopiedAgainInSecret) {
  open_device(8, 16, "1ms", "error@3");
  const auto chain = chain_of(1, 3);
  put_far(chain);
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  ASSERT_TRUE(in_flight(3));
  time.pass(500us);
  ASSERT_TRUE(comes_true([&] { return ticket->segments_ready() == 2; }));
  ASSERT_TRUE(loads(*ticket));
  EXPECT_EQ(ticket->status().code(), Code::kBusy) << ticket->status().message();
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 2u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_EQ(acquire_blocks_slowly(chain).size(), 3u) << "asked again it is there";
}

TEST_P(SpaceStreams, ACopyThatFailsBeforeAnythingIsSaidOfItIsTriedAgain) {
  open_device(8, 16, "0us", "error@3");
  const auto chain = chain_of(1, 3);
  put_far(chain);
  auto ticket = space->acquire_on(chain, kNear, kPrefill);
  ASSERT_TRUE(loads(*ticket));
  EXPECT_TRUE(ticket->status().ok()) << ticket->status().message();
  EXPECT_EQ(ticket->take().size(), 3u);
}

}  // namespace
}  // namespace kelvin::testing
