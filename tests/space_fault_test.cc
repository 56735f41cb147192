// Loads over a link that fails: retried, served by another copy, or the prefix ends there and says why.
#include <gtest/gtest.h>

#include "kelvin/space.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kRetries = 2;  // MoverConfig::demand_retries

constexpr auto kTransient = {Trouble::kError, Trouble::kShort, Trouble::kTimeout, Trouble::kCorrupt};
constexpr auto kLasting = {Trouble::kError, Trouble::kShort, Trouble::kTimeout, Trouble::kCorrupt,
                           Trouble::kFull};

bool is_io(Trouble trouble) { return trouble == Trouble::kError || trouble == Trouble::kShort; }

using SpaceLoadFault = SpaceFault;
INSTANTIATE_TEST_SUITE_P(Threads, SpaceLoadFault, ::testing::Values(0u, 1u), threads_name);

TEST_P(SpaceLoadFault, ALinkThatIsSlowedSaysWhy) {
  open_two();
  EXPECT_EQ(link("far>dram").slowed, "");
  faults.slowed = "its memory could not be pinned";
  EXPECT_EQ(link("far>dram").slowed, "its memory could not be pinned");
}

TEST_P(SpaceLoadFault, AFailureThatGoesAwayIsTriedAgainAndNobodyNotices) {
  for (const Trouble trouble : kTransient) {
    for (const std::uint32_t times : {1u, kRetries}) {
      SCOPED_TRACE(name_of(trouble));
      open_two();
      const auto chain = chain_of(1, 3);
      put(chain, {kFar});
      faults.add({.link = "far>dram", .trouble = trouble, .times = times, .from = slot_of(chain, 1, kFar)});
      Status status;
      const Lease lease = acquire_blocks(*space, chain, kNear, &status);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(lease.size(), 3u);
      EXPECT_TRUE(blocks_are(lease, chain));
      const LinkStats loads = link("far>dram");
      EXPECT_EQ(loads.failures, times);
      EXPECT_EQ(loads.retries, times);
      EXPECT_EQ(loads.corrupt, trouble == Trouble::kCorrupt ? times : 0);
      EXPECT_EQ(stats().load_failures, 0u);
      EXPECT_EQ(stats().tiers[1].quarantined, 0u);
      EXPECT_EQ(stats().tiers[1].resident, 3u) << "the copy is good";
    }
  }
}

TEST_P(SpaceLoadFault, AFailureThatStaysEndsThePrefixThereAndSaysWhy) {
  for (const Trouble trouble : kLasting) {
    SCOPED_TRACE(name_of(trouble));
    open_two();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar});
    faults.add({.link = "far>dram", .trouble = trouble, .from = slot_of(chain, 1, kFar)});
    Status status;
    Lease lease = acquire_blocks(*space, chain, kNear, &status);
    EXPECT_EQ(status.code(), code_of(trouble)) << status.message();
    EXPECT_EQ(lease.size(), 1u);
    EXPECT_TRUE(blocks_are(lease, chain));
    EXPECT_EQ(stats().load_failures, 1u);
    EXPECT_EQ(stats().tiers[0].leased, 1u) << "what lies behind the prefix is given back";
    EXPECT_TRUE(stats().tiers[1].online);
    if (!is_io(trouble)) faults.clear();  // the slot is used again, and the trouble is with the slot
    expect_work_as_ever();
  }
}

TEST_P(SpaceLoadFault, ACopyThatCannotBeReadIsDroppedAndItsSlotQuarantinedIfTheDeviceFailed) {
  for (const Trouble trouble : kTransient) {
    SCOPED_TRACE(name_of(trouble));
    open_two();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar});
    faults.add({.link = "far>dram", .trouble = trouble, .from = slot_of(chain, 1, kFar)});
    acquire_blocks(*space, chain);
    const TierStats far = stats().tiers[1];
    EXPECT_EQ(far.dropped_corrupt, 1u);
    EXPECT_EQ(far.quarantined, is_io(trouble) ? 1u : 0u);
    EXPECT_EQ(far.resident, 2u);
    EXPECT_EQ(space->match(chain).blocks, 1u);
    store_blocks(*space, std::span(chain).first(2), kNear, 1);
    EXPECT_EQ(space->match(chain).blocks, 3u) << "computed anew, the whole prefix is there again";
    EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain), chain));
  }
}

TEST_P(SpaceLoadFault, ABadCopyBelowGivesWayToAGoodOneElsewhere) {
  for (const Trouble trouble : kTransient) {
    SCOPED_TRACE(name_of(trouble));
    open_three();
    const auto chain = chain_of(1, 3);
    put(chain, {kFar, kFarthest});
    faults.add({.link = "middle>dram", .trouble = trouble, .from = slot_of(chain, 1, kFar)});
    Status status;
    const Lease lease = acquire_blocks(*space, chain, kNear, &status);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(lease.size(), 3u);
    EXPECT_TRUE(blocks_are(lease, chain));
    EXPECT_EQ(stats().load_failures, 0u);
    EXPECT_EQ(stats().tiers[1].dropped_corrupt, 1u);
    EXPECT_EQ(stats().tiers[1].quarantined, is_io(trouble) ? 1u : 0u);
    EXPECT_EQ(stats().tiers[2].resident, 3u);
  }
}

TEST_P(SpaceLoadFault, WhereEveryCopyIsBadAllAreDroppedAndTheEntryFails) {
  open_three();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar, kFarthest});
  faults.add({.link = "middle>dram", .trouble = Trouble::kCorrupt, .from = slot_of(chain, 0, kFar)});
  faults.add({.link = "far>dram", .trouble = Trouble::kError, .from = slot_of(chain, 0, kFarthest)});
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kIo) << "the last failure";
  EXPECT_EQ(stats().load_failures, 1u);
  EXPECT_EQ(stats().tiers[1].dropped_corrupt, 1u);
  EXPECT_EQ(stats().tiers[1].quarantined, 0u);
  EXPECT_EQ(stats().tiers[2].dropped_corrupt, 1u);
  EXPECT_EQ(stats().tiers[2].quarantined, 1u);
  EXPECT_EQ(space->match(chain).blocks, 0u);
}

TEST_P(SpaceLoadFault, EachWaiterOfAFailedLoadIsAnsweredAndCounted) {
  open_two();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  const Slot bad = slot_of(chain, 1, kFar);
  faults.add({.link = "far>dram", .trouble = Trouble::kError, .from = bad, .held = true});
  std::vector<Ticket> tickets;
  for (int i = 0; i < 3; ++i) {
    auto ticket = space->acquire(chain, kNear);
    ASSERT_TRUE(ticket.ok());
    tickets.push_back(std::move(ticket).value());
  }
  for (Ticket& ticket : tickets) EXPECT_EQ(ticket.wait(1ms).code(), Code::kTimeout);
  faults.let_go();
  for (Ticket& ticket : tickets) {
    EXPECT_EQ(ticket.wait(10s).code(), Code::kIo);
    const Lease lease = ticket.take();
    EXPECT_EQ(lease.size(), 1u);
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  EXPECT_EQ(stats().load_failures, 3u);
}

TEST_P(SpaceLoadFault, LateCopiesAreOvertakenAndTheTicketWaitsForAll) {
  open_two();
  const auto chain = chain_of(1, 6);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .trouble = Trouble::kLate, .times = 2});
  faults.add({.link = "far>dram", .trouble = Trouble::kLate, .times = 1, .skip = 2});
  Status status;
  const Lease lease = acquire_blocks(*space, chain, kNear, &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(lease.size(), 6u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceLoadFault, ATicketWhoseLoadIsStuckTimesOutAndEndsOnceTheLoadDoes) {
  open_two();
  const auto chain = chain_of(1, 2);
  put(chain, {kFar});
  faults.add({.link = "far>dram", .held = true});
  auto ticket = space->acquire(chain, kNear);
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->wait(5ms).code(), Code::kTimeout);
  const auto other = chain_of(2, 2);
  store_blocks(*space, other);
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, other), other)) << "what is there needs no link";
  faults.let_go();
  EXPECT_TRUE(ticket->wait(10s).ok());
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 2u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceLoadFault, ManyLoadsOfWhichSomeFailNowAndThenAllArrive) {
  Config config = two_tiers(64, 64, GetParam());
  config.mover.queue = 16;
  open(config);
  const auto chain = chain_of(1, 60);
  put(chain, {kFar});
  for (std::uint64_t skip = 0; skip < 60; skip += 7) {
    const auto trouble = skip % 2 == 0 ? Trouble::kError : Trouble::kCorrupt;
    faults.add({.link = "far>dram", .trouble = trouble, .times = 1, .skip = skip});
    faults.add({.link = "far>dram", .trouble = Trouble::kLate, .times = 2, .skip = skip + 3});
  }
  Status status;
  const Lease lease = acquire_blocks(*space, chain, kNear, &status);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(lease.size(), 60u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_GT(link("far>dram").retries, 5u);
}

TEST_P(SpaceLoadFault, EveryFaultThatTheReferenceTierKnowsByNameIsSurvived) {
  for (const char* script : {"error@2", "short@2", "late/2", "error/4 late/3", "full@9", "corrupt@9"}) {
    SCOPED_TRACE(script);
    open(two_tiers(8, 16, GetParam(), {{"faults", script}}));
    const auto chain = chain_of(1, 8);
    put(chain, {kFar});
    Status status;
    const Lease lease = acquire_blocks(*space, chain, kNear, &status);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(lease.size(), 8u);
    EXPECT_TRUE(blocks_are(lease, chain));
  }
}

}  // namespace
}  // namespace kelvin::testing
