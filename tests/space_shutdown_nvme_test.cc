// Closing a space whose lower tier is a real file: what the drive still reads and writes is waited for.
#include <gtest/gtest.h>

#include <thread>

#include "kelvin/space.h"
#include "nvme_fixture.h"
#include "space_fault_fixture.h"

namespace kelvin::testing {
namespace {

// Blocks large enough that I/O is still in flight when the space closes.
constexpr std::uint64_t kLarge = 256 << 10;
constexpr std::uint32_t kSlots = 32;

// The parameter: mover.threads and the kind of I/O.
struct SpaceShutdownNvme : ::testing::TestWithParam<std::tuple<std::uint32_t, const char*>> {
  Deadline deadline;
  nvme::ScratchDirectory directory;
  std::unique_ptr<Space> space;
  std::vector<BlockKey> chain = chain_of(1, kSlots);

  void SetUp() override {
    ASSERT_FALSE(directory.path().empty());
    const auto [threads, io] = GetParam();
    Config config = config_of(
        {tier_of("dram", "dram", 0),
         tier_of("far", "nvme", 0, {{"path", directory.file("blocks")}, {"direct", "auto"}, {"io", io}})},
        threads);
    config.space.block_bytes = kLarge;
    config.tiers[0].capacity_bytes = kSlots * kLarge;
    config.tiers[1].capacity_bytes = 2 * kSlots * kLarge;
    std::string why;
    auto opened = Space::open(config, &why);
    if (!opened.ok() && opened.status().code() == Code::kUnsupported) GTEST_SKIP() << why;
    ASSERT_TRUE(opened.ok()) << why;
    space = std::move(opened).value();
  }

  void write(const Lease& lease, std::size_t i) const {
    const auto bytes = pattern(content_of(chain[i]), kLarge);
    std::memcpy(lease.address(i).pointer, bytes.data(), bytes.size());
  }
  bool right(const Lease& lease) const {
    for (std::size_t i = 0; i < lease.size(); ++i) {
      const auto bytes = pattern(content_of(chain[i]), kLarge);
      if (std::memcmp(lease.address(i).pointer, bytes.data(), bytes.size()) != 0) return false;
    }
    return true;
  }
  Lease publish() {
    auto lease = space->allocate(kSlots, kNear);
    EXPECT_TRUE(lease.ok());
    for (std::size_t i = 0; i < kSlots; ++i) write(*lease, i);
    EXPECT_TRUE(space->publish(*lease, chain, 0).ok());
    return std::move(lease).value();
  }
  void put_below() {
    ASSERT_TRUE(publish().release().ok());
    ASSERT_EQ(acquire_blocks(*space, chain, kFar).size(), kSlots);
    ASSERT_TRUE(space->settle(10s).ok());
    ASSERT_TRUE(space->drop(chain, kNear).ok());
  }
  // The drive is asked; the answer is not awaited.
  Ticket ask(TierIndex tier) {
    auto ticket = space->acquire(chain, tier);
    EXPECT_TRUE(ticket.ok());
    if (std::get<0>(GetParam()) == 0) {
      EXPECT_TRUE(space->poll().ok());
    }
    return std::move(ticket).value();
  }
};
std::string threads_and_io(const ::testing::TestParamInfo<std::tuple<std::uint32_t, const char*>>& info) {
  const auto [threads, io] = info.param;
  return (threads == 0 ? "Polled_" : "OwnThread_") + std::string(io);
}
INSTANTIATE_TEST_SUITE_P(ThreadsAndIo, SpaceShutdownNvme,
                         ::testing::Combine(::testing::Values(0u, 1u), ::testing::Values("uring", "threads")),
                         threads_and_io);

TEST_P(SpaceShutdownNvme, WithReadsInFlightGivesTheTicketWhatArrivedInOrderOrNothing) {
  put_below();
  Ticket ticket = ask(kNear);
  space.reset();
  ASSERT_TRUE(ticket.done());
  const Status status = ticket.status();
  EXPECT_TRUE(status.ok() || status.code() == Code::kCanceled) << status.message();
  const Lease lease = ticket.take();
  EXPECT_TRUE(status.ok() ? lease.size() == kSlots : lease.size() < kSlots);
  EXPECT_TRUE(right(lease));
}

TEST_P(SpaceShutdownNvme, WithWritesInFlightLeavesTheirSourcesAsTheyAre) {
  const Lease held = publish();
  Ticket ticket = ask(kFar);
  space.reset();
  ASSERT_TRUE(ticket.done());
  const Status status = ticket.status();
  EXPECT_TRUE(status.ok() || status.code() == Code::kCanceled) << status.message();
  EXPECT_TRUE(right(held));
}

TEST_P(SpaceShutdownNvme, WithReadsThatNobodyWaitsForAnyMore) {
  put_below();
  { const Ticket gone = ask(kNear); }
  space.reset();
}

TEST_P(SpaceShutdownNvme, WithAWaiterInAnotherThread) {
  put_below();
  Ticket ticket = ask(kNear);
  if (std::get<0>(GetParam()) == 0) space.reset();  // one thread at a time polls, and to wait is to poll
  std::thread waiter([&ticket] {
    const Code code = ticket.wait(30s).code();
    EXPECT_TRUE(code == Code::kOk || code == Code::kCanceled) << code_name(code);
  });
  space.reset();
  waiter.join();
  EXPECT_TRUE(right(ticket.take()));
}

}  // namespace
}  // namespace kelvin::testing
