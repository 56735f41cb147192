// A tier that went offline comes back: asked to, or by itself after a while; on trial at first.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "space_hang_fixture.h"

namespace kelvin::testing {
namespace {

constexpr auto kRetry = 10s;

struct SpaceComeback : SpaceHang {
  // far went offline because it hung on a load, and has given back what it had.
  void lose_far() {
    const auto chain = chain_of(50, 2);
    put(chain, {kFar});
    hang("far>dram");
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(in_flight(2));
    time.pass(kDeadline);
    ASSERT_TRUE(done(*ticket));
    ASSERT_TRUE(recovers());
    ASSERT_TRUE(settled());
    ASSERT_FALSE(stats().tiers[1].online);
  }
  void open_retrying() {
    Config config = two_tiers(8, 8, GetParam());
    config.mover.retry_offline_ns = std::chrono::nanoseconds(kRetry).count();
    open_hanging(config);
  }
  bool online() const {
    drive();
    if (GetParam() != 0) std::this_thread::sleep_for(30ms);  // thrice what the mover's thread sleeps at most
    return space->stats().tiers[1].online;
  }
  // A store to far that fails or succeeds.
  Status store(std::uint64_t seed) {
    const auto chain = chain_of(seed, 1);
    store_blocks(*space, chain);
    Status status;
    acquire_blocks(*space, chain, kFar, &status);
    return status;
  }
};
INSTANTIATE_TEST_SUITE_P(Threads, SpaceComeback, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceComeback, WhenAskedToAndServesAsBefore) {
  open_hanging_two();
  lose_far();
  time.pass(1h);
  EXPECT_FALSE(online()) << "retry_offline = 0";
  EXPECT_TRUE(space->bring_back(kFar).ok());
  EXPECT_EQ(stats().tiers[1].resident, 0u) << "it comes back empty";
  EXPECT_EQ(space->match(chain_of(50, 2)).blocks, 0u);
  expect_work_as_ever();
  const auto many = chain_of(60, 6);
  put(many, {kFar});
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, many), many));
  EXPECT_EQ(stats().tiers[1].went_offline, 1u);
  EXPECT_EQ(stats().tiers[1].came_back, 1u);
}

TEST_P(SpaceComeback, SaysWhyNotYet) {
  open_hanging_two();
  std::string why;
  EXPECT_EQ(space->bring_back(TierIndex(7), &why).code(), Code::kInvalid);
  EXPECT_EQ(space->bring_back(kFar, &why).code(), Code::kMisuse);
  EXPECT_EQ(why, "tier 'far' is online; only one that went offline can be brought back");
  const auto chain = chain_of(1, 3);
  put(chain, {kFar});
  Lease lease = acquire_blocks(*space, std::span(chain).first(1), kFar);
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(3));
  time.pass(kDeadline);
  ASSERT_TRUE(done(*ticket));
  EXPECT_EQ(space->bring_back(kFar).code(), Code::kBusy);
  EXPECT_EQ(space->bring_back(kFar, &why).code(), Code::kBusy);
  EXPECT_EQ(why,
            "tier 'far' waits for its device, which has not given back 3 copies that were in flight; mend or "
            "reset the device, then try again");
  ASSERT_TRUE(recovers());
  EXPECT_EQ(space->bring_back(kFar, &why).code(), Code::kBusy);
  EXPECT_EQ(
      why, "tier 'far' waits for leases on copies in it, or for moves of them; release them, then try again");
  EXPECT_TRUE(lease.release().ok());
  EXPECT_TRUE(space->bring_back(kFar, &why).ok()) << why;
  EXPECT_EQ(space->bring_back(kFar).code(), Code::kMisuse);
}

TEST_P(SpaceComeback, ByItselfAfterAWhile) {
  open_retrying();
  lose_far();
  EXPECT_FALSE(online());
  time.pass(kRetry - kDeadline);
  EXPECT_FALSE(online());
  time.pass(kDeadline);
  EXPECT_TRUE(comes_true([&] { return online(); }));
  expect_work_as_ever();
  EXPECT_EQ(stats().tiers[1].came_back, 1u);
}

TEST_P(SpaceComeback, NotWhileTheDeviceHasCopiesInHand) {
  open_retrying();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  hang("far>dram");
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(in_flight(2));
  time.pass(kDeadline);
  ASSERT_TRUE(goes_offline(kFar));
  time.pass(10 * kRetry);
  EXPECT_FALSE(online());
  ASSERT_TRUE(recovers());
  time.pass(10ms);  // the sources of what it had are looked for now and then
  EXPECT_TRUE(comes_true([&] { return online(); }));
  expect_work_as_ever();
}

TEST_P(SpaceComeback, OneFailureTakesItOfflineAgainForTwiceAsLong) {
  open_retrying();
  lose_far();
  auto wait = kRetry;
  for (std::uint64_t round = 1; round <= 7; ++round) {
    SCOPED_TRACE(round);
    time.pass(wait - 1s);
    EXPECT_FALSE(online());
    time.pass(1s);
    ASSERT_TRUE(comes_true([&] { return online(); }));
    faults.add({.link = "dram>far", .trouble = Trouble::kTimeout});
    EXPECT_FALSE(store(round).ok());
    EXPECT_FALSE(stats().tiers[1].online);
    EXPECT_EQ(stats().tiers[1].went_offline, round + 1);
    faults.clear();
    wait = std::min(2 * wait, 32 * kRetry);
  }
  EXPECT_EQ(wait, 32 * kRetry);
  time.pass(wait);
  ASSERT_TRUE(comes_true([&] { return online(); }));
  EXPECT_TRUE(store(20).ok());
  // A copy has succeeded: failures are counted as ever, and the wait starts from the beginning.
  faults.add({.link = "dram>far", .trouble = Trouble::kTimeout, .times = 2});
  EXPECT_TRUE(store(21).ok());
  EXPECT_TRUE(stats().tiers[1].online);
  lose_far();
  time.pass(kRetry);
  EXPECT_TRUE(comes_true([&] { return online(); }));
}

TEST_P(SpaceComeback, OnTrialADeviceThatStillHangsGetsHoldOfOneCopyOnly) {
  Config config = two_tiers(16, 16, GetParam());
  config.tiers[0].free_ahead = 0.5;
  open_hanging(config);
  lose_far();
  hang("dram>far");
  ASSERT_TRUE(space->bring_back(kFar).ok());
  const auto chain = chain_of(1, 16);
  store_blocks(*space, chain);
  ASSERT_TRUE(in_flight(1));
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain));
  EXPECT_EQ(flights(), 1u);
  EXPECT_EQ(strays(), 0u);
  time.pass(kDeadline);
  ASSERT_TRUE(goes_offline(kFar));
  EXPECT_EQ(strays(), 1u);
  ASSERT_TRUE(recovers());
  ASSERT_TRUE(settled());
  ASSERT_TRUE(space->bring_back(kFar).ok());
  store_blocks(*space, chain_of(2, 12));
  EXPECT_TRUE(settled());
  EXPECT_GT(stats().tiers[1].resident, 4u) << "well again, it takes what comes";
}

TEST_P(SpaceComeback, MovesToItAreRefusedWhileItIsGoneAndTakenAfterwards) {
  open_hanging_two();
  lose_far();
  EXPECT_EQ(store(1).code(), Code::kUnavailable);
  EXPECT_EQ(space->allocate(1, kFar).status().code(), Code::kUnavailable);
  ASSERT_TRUE(space->bring_back(kFar).ok());
  EXPECT_TRUE(store(1).ok());
  EXPECT_TRUE(space->allocate(1, kFar).ok());
}

TEST_P(SpaceComeback, PinsWithoutATierCountInTheLastTierThatIsThere) {
  Config config = two_tiers(20, 20, GetParam());
  config.tiers[0].pin_share = 0.1;
  config.tiers[1].pin_share = 0.2;
  open_hanging(config);
  const auto chain = chain_of(1, 4);
  store_blocks(*space, chain);
  lose_far();
  EXPECT_EQ(space->pin(chain, 60s).code(), Code::kFull) << "two in dram";
  ASSERT_TRUE(space->bring_back(kFar).ok());
  EXPECT_TRUE(space->pin(chain, 60s).ok()) << "four in far";
}

TEST(SpaceDue, TellsTheDeadlineAndTheNextTrial) {
  VirtualClock time;
  Faults faults;
  Config config = two_tiers(8, 8, 0);
  config.mover.deadline_ns = 1'000;
  config.mover.retry_offline_ns = 5'000;
  Parts parts = faults.parts();
  parts.clock = time.clock();
  auto space = open_space(config, std::move(parts));
  const auto chain = chain_of(1, 1);
  store_blocks(*space, chain, kFar);
  ASSERT_TRUE(space->settle(10s).ok());
  const std::uint64_t start = time.clock()();
  EXPECT_EQ(space->due_ns(), Policy::kNever);
  faults.add({.link = "far>dram", .stuck = true});
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(space->poll().ok());
  EXPECT_EQ(space->due_ns(), start + 1'000);
  time.pass(1'000ns);
  ASSERT_TRUE(space->poll().ok());
  EXPECT_TRUE(ticket->done());
  EXPECT_EQ(space->due_ns(), Policy::kNever) << "the device has it in hand";
  faults.clear();
  EXPECT_TRUE(space->settle(10s).ok());
  EXPECT_EQ(space->due_ns(), start + 1'000 + 5'000);
  time.pass(5'000ns);
  while (*space->poll() != 0) continue;
  EXPECT_TRUE(space->stats().tiers[1].online);
}

}  // namespace
}  // namespace kelvin::testing
