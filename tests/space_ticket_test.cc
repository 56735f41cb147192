// Tickets and leases over time: done, wait, event_fd, abandoning, outliving the space; poll, settle, stats.
#include <gtest/gtest.h>
#include <poll.h>

#include <optional>

#include "kelvin/space.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

const std::vector<Option> kSlow = {{"latency", "1ms"}};

// A space on virtual time, driven by poll(), whose far tier answers after 1 ms and holds `chain`.
struct SlowSpace {
  VirtualClock time;
  std::vector<BlockKey> chain = chain_of(1, 3);
  std::unique_ptr<Space> space;

  SlowSpace() {
    Parts parts;
    parts.clock = time.clock();
    space = open_space(two_tiers(4, 4, 0, kSlow), std::move(parts));
    store_blocks(*space, chain, kFar);
  }
  void poll_until_idle() {
    for (;;) {
      const auto did = space->poll();
      ASSERT_TRUE(did.ok());
      if (*did == 0) return;
    }
  }
};

bool readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

TEST(Ticket, IsDoneWhenTheLoadsHaveEndedAndNotBefore) {
  SlowSpace s;
  auto ticket = s.space->acquire(s.chain, kNear);
  ASSERT_TRUE(ticket.ok());
  s.poll_until_idle();
  EXPECT_FALSE(ticket->done());
  EXPECT_EQ(ticket->status().code(), Code::kBusy);
  EXPECT_FALSE(ticket->take());
  s.time.pass(1ms);
  s.poll_until_idle();
  EXPECT_TRUE(ticket->done());
  EXPECT_TRUE(ticket->status().ok());
  EXPECT_TRUE(blocks_are(ticket->take(), s.chain));
  EXPECT_TRUE(ticket->done()) << "empty now";
}

TEST(Ticket, WaitTimesOutAndCanBeCalledAgain) {
  SlowSpace s;
  auto ticket = s.space->acquire(s.chain, kNear);
  EXPECT_EQ(ticket->wait(1ms).code(), Code::kTimeout);
  s.time.pass(1ms);
  EXPECT_TRUE(ticket->wait(10s).ok());
  EXPECT_EQ(ticket->take().size(), 3u);
}

TEST(Ticket, EventFdIsReadableExactlyWhenDone) {
  SlowSpace s;
  for (int round = 0; round < 3; ++round) {  // the descriptor is used again
    auto ticket = s.space->acquire(s.chain, kNear);
    const auto fd = ticket->event_fd();
    ASSERT_TRUE(fd.ok());
    s.poll_until_idle();
    EXPECT_FALSE(readable(*fd));
    s.time.pass(1ms);
    s.poll_until_idle();
    EXPECT_TRUE(readable(*fd));
    ASSERT_TRUE(ticket->done());
    ASSERT_TRUE(ticket->take().release().ok());
    ASSERT_TRUE(s.space->drop(s.chain, kNear).ok());
  }
}

TEST(Ticket, EventFdOfOneThatIsDoneAlreadyIsReadable) {
  SlowSpace s;
  auto ticket = s.space->acquire(s.chain, kFar);
  const auto fd = ticket->event_fd();
  ASSERT_TRUE(fd.ok());
  EXPECT_TRUE(readable(*fd));
}

TEST(Ticket, EventFdWakesAnEventLoopOfAnotherThread) {
  auto space = open_space(two_tiers(4, 4, 1, kSlow));
  const auto chain = chain_of(1, 3);
  store_blocks(*space, chain, kFar);
  auto ticket = space->acquire(chain, kNear);
  const auto fd = ticket->event_fd();
  ASSERT_TRUE(fd.ok());
  pollfd p{*fd, POLLIN, 0};
  ASSERT_EQ(::poll(&p, 1, 10'000), 1);
  EXPECT_TRUE(ticket->done());
  EXPECT_TRUE(blocks_are(ticket->take(), chain));
}

TEST(Ticket, DestroyedWhileLoadingLetsTheLoadEndAndKeepsTheBlocks) {
  SlowSpace s;
  { auto ticket = s.space->acquire(s.chain, kNear); }
  EXPECT_EQ(s.space->stats().leases, 1u) << "until the loads end";
  s.poll_until_idle();
  s.time.pass(1ms);
  EXPECT_TRUE(s.space->settle(10s).ok());
  EXPECT_EQ(s.space->match(s.chain).in_tier[0], 3u);
  EXPECT_TRUE(nothing_leaked(*s.space));
}

TEST(Ticket, DestroyedWhenDoneReleasesItsBlocks) {
  SlowSpace s;
  { auto ticket = s.space->acquire(s.chain, kFar); }
  EXPECT_TRUE(nothing_leaked(*s.space));
}

TEST(Ticket, MovedOverAnotherGivesThatOneUp) {
  SlowSpace s;
  auto one = s.space->acquire(s.chain, kFar);
  auto two = s.space->acquire(s.chain, kFar);
  *one = std::move(*two);
  EXPECT_EQ(s.space->stats().leases, 1u);
  EXPECT_EQ(one->take().size(), 3u);
}

TEST(Ticket, PendingWhenTheSpaceEndsIsDoneAndCanceled) {
  for (const std::uint32_t threads : {0u, 1u}) {
    VirtualClock time;
    Parts parts;
    parts.clock = time.clock();
    auto space = open_space(two_tiers(4, 4, threads, kSlow), std::move(parts));
    store_blocks(*space, chain_of(1, 3), kFar);
    auto ticket = space->acquire(chain_of(1, 3), kNear);
    space.reset();
    EXPECT_TRUE(ticket->done());
    EXPECT_EQ(ticket->wait(0ms).code(), Code::kCanceled);
    EXPECT_EQ(ticket->take().size(), 0u);
  }
}

TEST(Lease, OutlivesItsSpace) {
  for (const std::uint32_t threads : {0u, 1u}) {
    auto space = open_space(two_tiers(4, 4, threads));
    const auto chain = chain_of(1, 2);
    Lease held = publish_blocks(*space, chain);
    auto writable = space->allocate(1, kNear);
    space.reset();
    EXPECT_TRUE(blocks_are(held, chain));
    EXPECT_TRUE(held.release().ok());
    write_block(*writable, 0, chain[0]);
    EXPECT_TRUE(writable->release().ok());
  }
}

TEST(Lease, MovedOverAnotherReleasesThatOne) {
  auto space = open_space(two_tiers(4, 4));
  Lease lease = publish_blocks(*space, chain_of(1, 2));
  lease = publish_blocks(*space, chain_of(2, 1));
  EXPECT_EQ(space->stats().leases, 1u);
  EXPECT_EQ(space->stats().tiers[0].leased, 1u);
}

TEST(Stats, CountLeasesAndTheAgeOfTheOldest) {
  SlowSpace s;
  EXPECT_EQ(s.space->stats().leases, 0u);
  EXPECT_EQ(s.space->stats().oldest_lease_ns, 0u);
  std::optional<Lease> first = acquire_blocks(*s.space, s.chain, kFar);
  s.time.pass(5s);
  const Lease second = acquire_blocks(*s.space, s.chain, kFar);
  s.time.pass(2s);
  EXPECT_EQ(s.space->stats().leases, 2u);
  EXPECT_EQ(s.space->stats().oldest_lease_ns, 7'000'000'000u);
  first.reset();
  EXPECT_EQ(s.space->stats().oldest_lease_ns, 2'000'000'000u);
}

TEST(Stats, CountWhatEachLinkMovedAndMeasureItsLatency) {
  SlowSpace s;
  auto ticket = s.space->acquire(s.chain, kNear);
  s.poll_until_idle();
  s.time.pass(1ms);
  ASSERT_TRUE(ticket->wait(10s).ok());
  for (const LinkStats& link : s.space->stats().links) {
    if (link.name != "far>dram") continue;
    EXPECT_EQ(link.copies, 3u);
    EXPECT_EQ(link.bytes, 3 * kBlockBytes);
    EXPECT_EQ(link.latency_ns, 1'000'000u);
    EXPECT_EQ(link.in_flight, 0u);
  }
}

TEST(Poll, IsMisuseWhereAMoverThreadPolls) {
  auto space = open_space(two_tiers(4, 4, 1));
  EXPECT_EQ(space->poll().status().code(), Code::kMisuse);
}

TEST(Poll, SaysZeroWhenThereIsNothingToDo) {
  SlowSpace s;
  s.poll_until_idle();
  EXPECT_EQ(*s.space->poll(), 0u);
}

TEST(Settle, TimesOutWhileMovesAreUnderWay) {
  SlowSpace s;
  auto ticket = s.space->acquire(s.chain, kNear);
  EXPECT_EQ(s.space->settle(1ms).code(), Code::kTimeout);
  s.time.pass(1ms);
  EXPECT_TRUE(s.space->settle(10s).ok());
  EXPECT_TRUE(ticket->done());
}

}  // namespace
}  // namespace kelvin::testing
