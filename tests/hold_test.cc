// Holds: the pool behind tickets and leases, and the states a hold goes through in a space.
#include "leases/hold.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <latch>
#include <set>
#include <thread>
#include <vector>

#include "space_fixture.h"

namespace kelvin::testing {
namespace {

std::atomic<int> given{0};
void count_given(Core* /*core*/) noexcept { ++given; }

class HoldPoolTest : public ::testing::Test {
 protected:
  HoldPoolTest() { given = 0; }
  HoldPool pool_{3, nullptr, count_given};
};

TEST_F(HoldPoolTest, GivesEachHoldOnceAndThenNone) {
  std::set<Hold*> holds;
  for (int i = 0; i < 3; ++i) holds.insert(pool_.take(100));
  EXPECT_EQ(holds.size(), 3u);
  EXPECT_FALSE(holds.contains(nullptr));
  EXPECT_EQ(pool_.take(100), nullptr);
  EXPECT_EQ(pool_.in_use(), 3u);
  Hold* const one = *holds.begin();
  pool_.give(one);
  EXPECT_EQ(pool_.in_use(), 2u);
  EXPECT_EQ(pool_.take(200), one);
  EXPECT_EQ(pool_.take(200), nullptr);
  EXPECT_EQ(given, 1);
}

TEST_F(HoldPoolTest, EachHoldKnowsItsPlace) {
  for (int i = 0; i < 3; ++i) {
    Hold* const hold = pool_.take(1);
    EXPECT_EQ(&pool_.at(hold->index), hold);
  }
}

TEST_F(HoldPoolTest, AHoldThatIsUsedAgainIsEmptyAndIdle) {
  Hold* const hold = pool_.take(1);
  hold->entries.resize(100);
  const auto capacity = hold->entries.capacity();
  hold->tier = kNear;
  hold->published = true;
  hold->status = Status(Code::kIo, "before");
  hold->hints.session = 7;
  hold->pending = hold->expanded = 3;
  hold->next = hold;
  hold->state = Hold::kDone;
  pool_.give(hold);
  ASSERT_EQ(pool_.take(2), hold);
  EXPECT_TRUE(hold->entries.empty());
  EXPECT_EQ(hold->entries.capacity(), capacity) << "kept, so that nothing is allocated again";
  EXPECT_FALSE(hold->tier);
  EXPECT_FALSE(hold->published);
  EXPECT_TRUE(hold->status.ok());
  EXPECT_EQ(hold->hints.session, 0u);
  EXPECT_EQ(hold->pending, 0u);
  EXPECT_EQ(hold->expanded, 0u);
  EXPECT_EQ(hold->next, nullptr);
  EXPECT_EQ(hold->state, Hold::kIdle);
}

TEST_F(HoldPoolTest, AnEventFdIsKeptButNotWhatItSaid) {
  Hold* const hold = pool_.take(1);
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  hold->event_fd = fd;
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  pool_.give(hold);
  ASSERT_EQ(pool_.take(2), hold);
  EXPECT_EQ(hold->event_fd, fd);
  std::uint64_t count = 0;
  EXPECT_LT(::read(fd, &count, sizeof count), 0) << "it would say that the new ticket is done";
}

TEST(HoldPool, ClosesTheEventFdsItKept) {
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  {
    HoldPool pool(1, nullptr, count_given);
    Hold* const hold = pool.take(1);
    hold->event_fd = fd;
    pool.give(hold);
  }
  EXPECT_LT(::close(fd), 0);
}

TEST_F(HoldPoolTest, TheOldestInUseHasAnAge) {
  EXPECT_EQ(pool_.oldest_ns(1000), 0u);
  Hold* const old = pool_.take(100);
  Hold* const young = pool_.take(700);
  EXPECT_EQ(pool_.oldest_ns(1000), 900u);
  pool_.give(old);
  EXPECT_EQ(pool_.oldest_ns(1000), 300u);
  EXPECT_EQ(pool_.oldest_ns(600), 0u) << "a clock read before it was taken";
  pool_.give(young);
  EXPECT_EQ(pool_.oldest_ns(1000), 0u);
}

TEST_F(HoldPoolTest, AHoldTakenAtTimeZeroIsInUse) {
  Hold* const hold = pool_.take(0);
  EXPECT_EQ(pool_.in_use(), 1u);
  pool_.give(hold);
  EXPECT_EQ(pool_.in_use(), 0u);
}

// What the mover still wakes must not be somebody else's yet.
TEST_F(HoldPoolTest, GiveWaitsForTheOneWhoIsStillWaking) {
  Hold* const hold = pool_.take(1);
  hold->waking = true;
  std::atomic<bool> mover_ended{false};
  std::thread mover([&] {
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    mover_ended = true;
    hold->waking = false;
  });
  pool_.give(hold);
  EXPECT_TRUE(mover_ended);
  mover.join();
}

TEST(HoldPool, ThreadsNeverShareAHold) {
  constexpr std::uint32_t kSize = 5;
  HoldPool pool(kSize, nullptr, count_given);
  given = 0;
  std::array<std::atomic<int>, kSize> owners{};
  std::atomic<int> shared{0}, taken{0};
  std::latch all_here(4);
  const auto work = [&] {
    all_here.arrive_and_wait();
    for (int i = 0; i < 10'000; ++i) {
      std::array<Hold*, 2> mine = {pool.take(1), pool.take(1)};
      for (Hold* hold : mine) {
        if (hold == nullptr) continue;
        shared += owners[hold->index].fetch_add(1);
        hold->entries.emplace_back();  // plain memory: a second owner would be a data race as well
      }
      for (Hold* hold : mine) {
        if (hold == nullptr) continue;
        --owners[hold->index];
        ++taken;
        pool.give(hold);
      }
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 0);
  EXPECT_GT(taken, 0);
  EXPECT_EQ(given, taken);
  EXPECT_EQ(pool.in_use(), 0u);
}

// --- the states, as a space goes through them ---

class HoldStates : public ::testing::Test {
 protected:
  void SetUp() override {
    Config config = two_tiers(8, 8, 0, {{"latency", "1ms"}});
    config.space.max_leases = 2;
    Parts parts;
    parts.clock = clock_.clock();
    space_ = open_space(config, std::move(parts));
    ASSERT_NE(space_, nullptr);
    store_blocks(*space_, chain_, kFar);
  }

  Ticket acquire(TierIndex tier) {
    auto ticket = space_->acquire(chain_, tier);
    EXPECT_TRUE(ticket.ok()) << ticket.status().message();
    return ticket.ok() ? std::move(ticket).value() : Ticket();
  }
  void drive() {
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(space_->poll().ok());
      clock_.pass(1ms);
    }
  }

  VirtualClock clock_;
  const std::vector<BlockKey> chain_ = chain_of(1, 3);
  std::unique_ptr<Space> space_;
};

TEST_F(HoldStates, WhatIsThereIsDoneAtOnce) {
  Ticket ticket = acquire(kFar);
  EXPECT_TRUE(ticket.done());
  EXPECT_EQ(ticket.take().size(), 3u);
}

TEST_F(HoldStates, WhatIsLoadedIsDoneWhenItHasArrived) {
  Ticket ticket = acquire(kNear);
  EXPECT_FALSE(ticket.done());
  EXPECT_EQ(ticket.status().code(), Code::kBusy);
  EXPECT_FALSE(ticket.take()) << "not yet";
  drive();
  EXPECT_TRUE(ticket.done());
  EXPECT_TRUE(ticket.status().ok());
  EXPECT_EQ(ticket.take().size(), 3u);
}

TEST_F(HoldStates, AnAbandonedHoldIsInUseUntilItsLoadsHaveEnded) {
  acquire(kNear) = Ticket();
  EXPECT_EQ(space_->stats().leases, 1u);
  const Ticket other = acquire(kFar);
  EXPECT_EQ(space_->acquire(chain_, kFar).status().code(), Code::kBusy) << "max_leases counts it";
  drive();
  EXPECT_EQ(space_->stats().leases, 1u);
  EXPECT_TRUE(space_->acquire(chain_, kFar).ok());
  EXPECT_EQ(space_->match(chain_).in_tier[0], 3u) << "what was loaded stays";
}

TEST_F(HoldStates, ATicketsHoldIsItsLeasesHoldAndGoesBackOnce) {
  for (int i = 0; i < 10; ++i) {
    Ticket ticket = acquire(kFar);
    Lease lease = ticket.take();
    EXPECT_EQ(space_->stats().leases, 1u);
    EXPECT_TRUE(ticket.done()) << "empty";
    EXPECT_TRUE(lease.release().ok());
    EXPECT_EQ(lease.release().code(), Code::kMisuse);
    EXPECT_EQ(space_->stats().leases, 0u);
  }
  EXPECT_TRUE(nothing_leaked(*space_));
}

}  // namespace
}  // namespace kelvin::testing
