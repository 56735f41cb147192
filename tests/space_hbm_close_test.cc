// A space over GPU memory, emulated, is closed while the GPU is at work, or hangs: who waits is answered, and
// no memory goes away under what may still write to it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "hbm_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kBlocks = 4;

// The parameter: mover.threads.
class SpaceHbmClose : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override { stream_ = device_.make_stream(); }
  void TearDown() override { device_.close_stream(stream_); }

  void open(std::chrono::nanoseconds deadline = 60s) {
    Config config = config_of(
        {tier_of("hbm", "hbm", 16, {{"device", device_.properties().name}}), tier_of("dram", "dram", 64)},
        GetParam());
    config.mover.deadline_ns = static_cast<std::uint64_t>(deadline.count());
    space_ = open_space(config);
    ASSERT_NE(space_, nullptr);
  }

  // A kernel that does not end before `gate_` is open.
  void launch_gate() {
    device_.launch(stream_, [this] {
      while (!gate_) std::this_thread::sleep_for(1ms);
    });
  }
  void expect_closing_waits_for_gate() {
    std::atomic<bool> closed{false};
    std::thread closing([&] {
      space_.reset();
      closed = true;
    });
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(closed);
    gate_ = true;
    closing.join();
  }
  // Blocks that a kernel writes which does not end before `gate_` is open. No lease is left on them.
  void publish_behind_the_gate() {
    launch_gate();
    auto lease = space_->allocate(kBlocks, kNear);
    ASSERT_TRUE(lease.ok());
    write(*lease);
    ASSERT_TRUE(space_->publish_on(*lease, stream_, chain_, 0).ok());
    ASSERT_TRUE(lease->release_on(stream_).ok());
  }
  void write(const Lease& lease) {
    for (std::size_t i = 0; i < lease.size(); ++i) {
      device_.launch(stream_, [at = lease.address(i).pointer] { std::memset(at, 0x77, kBlockBytes); });
    }
  }

  static inline std::int32_t next_device_ = 401;  // each test has one of its own, which it may break

  hbm::EmulatedDevice& device_ = hbm::own_device(next_device_++);
  const std::vector<BlockKey> chain_ = chain_of(1, kBlocks);
  std::unique_ptr<Space> space_;
  Stream stream_ = nullptr;
  std::atomic<bool> gate_{false};
};
INSTANTIATE_TEST_SUITE_P(MoverThreads, SpaceHbmClose, ::testing::Values(0U, 1U));

TEST_P(SpaceHbmClose, AnswersTicketsThoughTheKernelsTheyWaitForNeverEnd) {
  open();
  publish_behind_the_gate();
  auto here = space_->acquire(chain_, kNear);
  auto below = space_->acquire(chain_, kFar);
  ASSERT_TRUE(here.ok() && below.ok());
  space_.reset();
  EXPECT_TRUE(here->done());
  EXPECT_TRUE(below->done());
  gate_ = true;  // with the last ticket the memory goes, which waits for the kernel
  for (Ticket* const ticket : {&*here, &*below}) {
    EXPECT_EQ(ticket->status().code(), Code::kCanceled) << ticket->status().message();
    EXPECT_EQ(ticket->take().size(), 0U);
  }
}

// The kernels write to the tier's memory as long as they run: freed, it would be no memory any more.
TEST_P(SpaceHbmClose, KeepsTheMemoryThatKernelsAreAt) {
  open();
  publish_behind_the_gate();
  expect_closing_waits_for_gate();
}

// What a ticket's stream waits for lies in memory of the tier, though the ticket is gone.
TEST_P(SpaceHbmClose, KeepsWhatAStreamWaitsForThoughTheTicketIsDropped) {
  open();
  store_blocks(*space_, chain_, kFar);
  launch_gate();
  {
    auto ticket = space_->acquire_on(chain_, kNear, stream_);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(ticket->wait_on_stream().ok());
  }
  expect_closing_waits_for_gate();
}

// The engine puts so much on a stream that waits for a load that it is full. Its thread waits then, in
// whatever call comes next; the load must come through all the same.
TEST_P(SpaceHbmClose, LoadsComeThroughThoughTheStreamThatWaitsForThemIsFull) {
  if (GetParam() == 0) GTEST_SKIP() << "the thread that waits would have to poll";
  open();
  store_blocks(*space_, chain_, kFar);
  device_.delay(hbm::Way::kPlain, {.call = 20ms});
  device_.delay(hbm::Way::kBatch, {.call = 20ms});
  device_.delay(hbm::Way::kKernel, {.call = 20ms});
  auto fresh = space_->allocate(kBlocks, kNear);
  auto ticket = space_->acquire_on(chain_, kNear, stream_);
  ASSERT_TRUE(fresh.ok() && ticket.ok());
  ASSERT_TRUE(ticket->wait_on_stream().ok());
  device_.limit_streams(4);
  for (int i = 0; i < 3; ++i) device_.launch(stream_, [] {});
  ASSERT_TRUE(space_->publish_on(*fresh, stream_, chain_of(2, kBlocks), 0).ok());
  ASSERT_TRUE(fresh->release_on(stream_).ok());
  ASSERT_TRUE(ticket->wait(10s).ok());
  Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), kBlocks);
  EXPECT_TRUE(lease.release_on(stream_).ok());
}

TEST_P(SpaceHbmClose, WaitsForNoKernelOfADeviceThatIsLost) {
  open();
  device_.stall();
  publish_behind_the_gate();
  std::thread closing([&] { space_.reset(); });
  std::this_thread::sleep_for(5ms);  // it waits by now, most likely
  device_.lose();
  closing.join();
}

TEST_P(SpaceHbmClose, AnswersTicketsAtTheDeadlineThoughTheDeviceHangs) {
  open(100ms);
  store_blocks(*space_, chain_, kFar);
  device_.stall();
  auto ticket = space_->acquire(chain_, kNear);
  ASSERT_TRUE(ticket.ok());
  if (GetParam() == 0) {
    ASSERT_TRUE(space_->poll().ok());
  }
  space_.reset();
  ASSERT_TRUE(ticket->done());
  EXPECT_FALSE(ticket->status().ok());
  // The last of the space goes with the ticket, and waits for what the device has in hand.
  std::thread closing([&] { EXPECT_EQ(ticket->take().size(), 0U); });
  std::this_thread::sleep_for(5ms);
  device_.resume();
  closing.join();
}

}  // namespace
}  // namespace kelvin::testing
