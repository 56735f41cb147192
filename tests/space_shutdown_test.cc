// Closing a space in the middle of everything: nothing hangs, tickets end as canceled, leases stay readable.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kelvin/space.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

struct SpaceShutdown : SpaceFault {
  // Everything below comes to a standstill, and a round is made where no thread makes them.
  void hold(const std::string& link) { faults.add({.link = link, .held = true}); }
  void drive() const {
    for (int i = 0; GetParam() == 0 && i < 3; ++i) {
      ASSERT_TRUE(space->poll().ok());
    }
  }
  // Until so many copies are in flight, or have been: then the ticket is done.
  void wait_for_flights(std::uint64_t count, const Ticket* theirs = nullptr) const {
    for (int i = 0; i < 10'000; ++i) {
      drive();
      if (theirs != nullptr && theirs->done()) return;
      std::uint64_t flights = 0;
      for (const LinkStats& stats : space->stats().links) flights += stats.in_flight;
      if (flights >= count) return;
      std::this_thread::sleep_for(1ms);
    }
    FAIL() << "no " << count << " copies in flight";
  }
};
INSTANTIATE_TEST_SUITE_P(Threads, SpaceShutdown, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceShutdown, WithLoadsInFlightCancelsTheirTickets) {
  open_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  hold("far>dram");
  auto one = space->acquire(chain, kNear);
  auto two = space->acquire(chain, kNear);
  wait_for_flights(4);
  space.reset();
  for (Ticket* ticket : {&*one, &*two}) {
    EXPECT_TRUE(ticket->done());
    EXPECT_EQ(ticket->wait(0ns).code(), Code::kCanceled);
    EXPECT_EQ(ticket->status().code(), Code::kCanceled);
    EXPECT_EQ(ticket->take().size(), 0u);
  }
}

TEST_P(SpaceShutdown, WithLoadsThatEndWellAllTheSameGivesTheTicketAllOrNothing) {
  open_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kLate});
  auto ticket = space->acquire(chain, kNear);
  wait_for_flights(4, &*ticket);
  space.reset();
  ASSERT_TRUE(ticket->done());
  EXPECT_TRUE(ticket->status().ok()) << ticket->status().message();
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 4u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceShutdown, WithSomeBlocksThereGivesTheTicketThosePrefixBlocks) {
  open_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  ASSERT_EQ(acquire_blocks(*space, std::span(chain).first(2)).size(), 2u);
  hold("far>dram");
  auto ticket = space->acquire(chain, kNear);
  wait_for_flights(2);
  space.reset();
  EXPECT_EQ(ticket->wait(0ns).code(), Code::kCanceled);
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 2u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceShutdown, RightAfterAnAcquireThatNobodyHasLookedAtYet) {
  for (int i = 0; i < 50; ++i) {
    open_two();
    const auto chain = chain_of(1, 4);
    put(chain, {kFar});
    auto ticket = space->acquire(chain, kNear);
    space.reset();
    ASSERT_TRUE(ticket->done());
    const Code code = ticket->status().code();
    EXPECT_TRUE(code == Code::kCanceled || (GetParam() == 1 && code == Code::kOk)) << code_name(code);
    const Lease lease = ticket->take();
    EXPECT_TRUE(blocks_are(lease, chain));
    EXPECT_EQ(lease.size() == 4, code == Code::kOk);
  }
}

TEST_P(SpaceShutdown, WithMoreLoadsThanTheQueueHoldsMoves) {
  Config config = two_tiers(64, 64, GetParam());
  config.mover.queue = 16;
  open(config);
  const auto chain = chain_of(1, 60);
  put(chain, {kFar});
  hold("far>dram");
  std::vector<Ticket> tickets;
  for (std::size_t i = 0; i < 20; ++i) {
    auto ticket = space->acquire(std::span(chain).first(60 - i), kNear);
    ASSERT_TRUE(ticket.ok());
    tickets.push_back(std::move(ticket).value());
  }
  wait_for_flights(8);  // half of the moves are for demand
  space.reset();
  for (Ticket& ticket : tickets) EXPECT_EQ(ticket.wait(0ns).code(), Code::kCanceled);
}

TEST_P(SpaceShutdown, WithATicketDestroyedBeforeItAndOneAfter) {
  open_two();
  const auto chain = chain_of(1, 4);
  put(chain, {kFar});
  hold("far>dram");
  {
    auto gone = space->acquire(chain, kNear);
    wait_for_flights(4);
  }
  auto kept = space->acquire(std::span(chain).first(2), kNear);
  space.reset();
}

TEST_P(SpaceShutdown, WithLeasesAliveTheirBytesStayAndOnlyReleaseWorks) {
  open_two();
  const auto chain = chain_of(1, 3);
  put(chain, {kFar, kNear});
  Lease near = acquire_blocks(*space, chain);
  Lease far = acquire_blocks(*space, chain, kFar);
  auto writable = space->allocate(2, kNear);
  ASSERT_TRUE(writable.ok());
  auto done = space->acquire(chain, kNear);
  space.reset();
  EXPECT_TRUE(blocks_are(near, chain));
  EXPECT_TRUE(blocks_are(far, chain));
  EXPECT_TRUE(near.release().ok());
  EXPECT_TRUE(done->wait(0ns).ok()) << "it was done before";
  EXPECT_TRUE(blocks_are(done->take(), chain));
  write_block(*writable, 1, chain[1]);
  EXPECT_TRUE(writable->release().ok());
  EXPECT_TRUE(blocks_are(far, chain));
  EXPECT_TRUE(far.release().ok());
  EXPECT_EQ(far.release().code(), Code::kMisuse);
}

TEST_P(SpaceShutdown, WithALeaseReleasedByAnotherThreadAtTheSameTime) {
  for (int i = 0; i < 50; ++i) {
    open_two();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar, kNear});
    Lease near = acquire_blocks(*space, chain);
    Lease far = acquire_blocks(*space, chain, kFar);
    std::thread other([&near, &far] {
      EXPECT_TRUE(near.release().ok());
      far = Lease();
    });
    space.reset();
    other.join();
  }
}

TEST_P(SpaceShutdown, WithWriteBehindQueuedAndInFlight) {
  Config config = two_tiers(64, 64, GetParam());
  config.tiers[0].free_ahead = 0.5;
  config.mover.write_depth = 4;
  open(config);
  hold("dram>far");
  const auto chain = chain_of(1, 64);
  Lease lease = publish_blocks(*space, chain);
  ASSERT_TRUE(lease.release().ok());
  wait_for_flights(4);
  Lease held = acquire_blocks(*space, std::span(chain).first(8));
  space.reset();
  EXPECT_TRUE(blocks_are(held, chain));
}

TEST_P(SpaceShutdown, WithPrefetchesQueuedAndInFlight) {
  for (const Urgency urgency : {Urgency::kPrefetch, Urgency::kWriteBehind}) {
    Parts parts = faults.parts();
    parts.policy = std::make_unique<SwapOnExpect>(urgency, true);
    close();
    faults.clear();
    Config config = two_tiers(32, 32, GetParam());
    config.mover.queue = 16;
    space = open_space(config, std::move(parts));
    const auto chain = chain_of(1, 24);
    store_blocks(*space, chain, kFar);
    hold("far>dram");
    space->expect(chain, 10ms);
    wait_for_flights(4);  // a quarter of the moves is for what is planned into one of two tiers
    auto ticket = space->acquire(chain, kNear);
    drive();
    space.reset();
    EXPECT_EQ(ticket->wait(0ns).code(), Code::kCanceled);
  }
}

TEST_P(SpaceShutdown, WithCopiesHalfWayOnARouteOfTwoHops) {
  for (const char* hop : {"far>middle", "middle>dram", "dram>middle", "middle>far"}) {
    SCOPED_TRACE(hop);
    open_chain();
    const auto down = chain_of(1, 3);
    const auto up = chain_of(2, 3);
    put(up, {kFarthest});
    store_blocks(*space, down);
    hold(hop);
    auto loading = space->acquire(up, kNear);
    auto storing = space->acquire(down, kFarthest);
    wait_for_flights(3);
    space.reset();
    ASSERT_TRUE(loading->done());
    ASSERT_TRUE(storing->done());
    EXPECT_TRUE(blocks_are(loading->take(), up));
    EXPECT_TRUE(blocks_are(storing->take(), down));
  }
}

TEST_P(SpaceShutdown, WithFailuresAndRetriesUnderWay) {
  for (const Trouble trouble : {Trouble::kError, Trouble::kCorrupt, Trouble::kGone}) {
    open_two();
    const auto chain = chain_of(1, 6);
    put(chain, {kFar});
    faults.add({.link = "far>dram", .trouble = trouble, .held = true});
    auto ticket = space->acquire(chain, kNear);
    wait_for_flights(6);
    space.reset();
    ASSERT_TRUE(ticket->done());
    EXPECT_FALSE(ticket->status().ok());
    EXPECT_EQ(ticket->take().size(), 0u);
  }
}

TEST_P(SpaceShutdown, WithCopiesThatTheTierItselfNeverCompletes) {
  open(two_tiers(8, 8, GetParam(), {{"faults", "stuck/3"}, {"latency", "1s"}}));
  const auto chain = chain_of(1, 6);
  store_blocks(*space, chain, kFar);
  auto ticket = space->acquire(chain, kNear);
  wait_for_flights(6);
  EXPECT_EQ(ticket->wait(1ms).code(), Code::kTimeout);
  space.reset();
  EXPECT_EQ(ticket->wait(0ns).code(), Code::kCanceled);
}

TEST(SpaceShutdownWaiters, InOtherThreadsAreWokenAndToldThatItWasCanceled) {
  const Deadline deadline;
  for (int round = 0; round < 20; ++round) {
    Faults faults;
    auto space = open_space(two_tiers(8, 8, 1), faults.parts());
    const auto chain = chain_of(1, 4);
    store_blocks(*space, chain, kFar);
    faults.add({.link = "far>dram", .held = true});
    std::vector<std::thread> waiters;
    std::atomic<int> canceled{0};
    std::atomic<int> waiting{0};
    for (int i = 0; i < 4; ++i) {
      auto ticket = space->acquire(chain, kNear);
      ASSERT_TRUE(ticket.ok());
      waiters.emplace_back([&canceled, &waiting, ticket = std::move(ticket).value()]() mutable {
        ++waiting;
        if (ticket.wait(30s).code() == Code::kCanceled) ++canceled;
      });
    }
    while (waiting < 4) std::this_thread::yield();
    if (round % 2 == 0) std::this_thread::sleep_for(1ms);  // asleep by now, most likely
    space.reset();
    for (std::thread& waiter : waiters) waiter.join();
    EXPECT_EQ(canceled, 4);
  }
}

}  // namespace
}  // namespace kelvin::testing
