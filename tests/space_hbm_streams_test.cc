// A space over GPU memory, emulated, with an engine whose kernels run on streams of that device: nobody reads
// or overwrites what they are at, and they wait for what is loaded.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "hbm_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

using namespace std::chrono_literals;
using hbm::EmulatedDevice;
using hbm::own_device;

constexpr std::uint32_t kSegments = 4;
constexpr std::uint64_t kSegmentBytes = kBlockBytes / kSegments;

class SpaceHbmStreams : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<Option> options = {{"device", device_.properties().name},
                                         {"segments", std::to_string(kSegments)}};
    space_ = open_space(config_of({tier_of("hbm", "hbm", 16, options), tier_of("dram", "dram", 64)}, 1));
    ASSERT_NE(space_, nullptr);
    stream_ = device_.make_stream();
  }
  void TearDown() override {
    gate_ = true;
    device_.synchronize(stream_);
    space_.reset();
    device_.close_stream(stream_);
  }

  // Kernels: what a GPU would do, done by the emulated device's thread.
  void wait_for_gate() {
    device_.launch(stream_, [this] {
      while (!gate_) std::this_thread::sleep_for(50us);
    });
  }
  void write(const Lease& lease, std::size_t i, const BlockKey& key) {
    for (std::uint32_t s = 0; s < kSegments; ++s) {
      device_.launch(stream_,
                     [to = lease.address(i, s).pointer, s, bytes = pattern(content_of(key), kBlockBytes)] {
                       std::memcpy(to, bytes.data() + s * kSegmentBytes, kSegmentBytes);
                     });
    }
  }
  void compare(const std::byte* at, std::uint32_t segment, const BlockKey& key) {
    device_.launch(stream_, [this, at, segment, bytes = pattern(content_of(key), kBlockBytes)] {
      wrong_ += std::memcmp(at, bytes.data() + segment * kSegmentBytes, kSegmentBytes) == 0 ? 0 : 1;
      ++compared_;
    });
  }
  // Where a slot of the hbm tier is: an engine knows the layout that it asked for.
  const std::byte* place(Slot slot, std::uint32_t segment) {
    auto lease = space_->allocate(1, kNear);
    EXPECT_TRUE(lease.ok());
    const std::byte* const first = lease->address(0, 0).pointer - lease->slot(0).value * kBlockBytes;
    return first + slot.value * kBlockBytes + segment * kSegmentBytes;
  }
  std::vector<Slot> slots_of(Ticket& ticket, std::size_t count) {
    std::vector<Slot> slots(count);
    for (int i = 0; i < 20'000; ++i) {
      const auto known = ticket.slots(slots);
      if (known.ok()) {
        slots.resize(*known);
        return slots;
      }
      EXPECT_EQ(known.status().code(), Code::kBusy) << known.status().message();
      std::this_thread::sleep_for(1ms);
    }
    ADD_FAILURE() << "the blocks' places are not known after 20 s";
    return {};
  }
  Lease computing(const std::vector<BlockKey>& chain) {
    auto lease = space_->allocate(static_cast<std::uint32_t>(chain.size()), kNear);
    EXPECT_TRUE(lease.ok());
    for (std::size_t i = 0; i < chain.size(); ++i) write(*lease, i, chain[i]);
    return std::move(*lease);
  }

  static inline std::int32_t next_device_ = 301;  // each test has one of its own, which it may break

  EmulatedDevice& device_ = own_device(next_device_++);
  std::unique_ptr<Space> space_;
  Stream stream_ = nullptr;
  std::atomic<bool> gate_{false};
  std::atomic<int> wrong_{0}, compared_{0};
};

TEST_F(SpaceHbmStreams, WhatAKernelStillWritesIsReadByNobody) {
  const auto chain = chain_of(1, 4);
  wait_for_gate();
  Lease lease = computing(chain);
  ASSERT_TRUE(space_->publish_on(lease, stream_, chain, 0).ok());
  ASSERT_TRUE(lease.release_on(stream_).ok());
  EXPECT_EQ(space_->match(chain).blocks, 4U);
  auto here = space_->acquire(chain, kNear);
  auto below = space_->acquire(chain, kFar);
  ASSERT_TRUE(here.ok() && below.ok());
  EXPECT_EQ(here->wait(50ms).code(), Code::kTimeout);
  EXPECT_FALSE(below->done());
  gate_ = true;
  ASSERT_TRUE(here->wait(20s).ok());
  ASSERT_TRUE(below->wait(20s).ok()) << below->status().message();
  const Lease copies = below->take();
  ASSERT_EQ(copies.size(), 4U);
  EXPECT_TRUE(blocks_are(copies, chain));
}

TEST_F(SpaceHbmStreams, KernelsWaitForWhatIsLoadedLayerByLayer) {
  const auto chain = chain_of(2, 6);
  store_blocks(*space_, chain, kFar);
  auto ticket = space_->acquire_on(chain, kNear, stream_);
  ASSERT_TRUE(ticket.ok()) << ticket.status().message();
  const std::vector<Slot> slots = slots_of(*ticket, chain.size());
  ASSERT_EQ(slots.size(), chain.size());
  for (std::uint32_t layer = 0; layer < kSegments; ++layer) {
    const Status waits = ticket->wait_on_stream(layer + 1);
    ASSERT_TRUE(waits.ok()) << waits.message();
    for (std::size_t i = 0; i < chain.size(); ++i) compare(place(slots[i], layer), layer, chain[i]);
  }
  ASSERT_TRUE(ticket->wait(20s).ok()) << ticket->status().message();
  EXPECT_EQ(ticket->segments_ready(), kSegments);
  Lease lease = ticket->take();
  ASSERT_EQ(lease.size(), chain.size());
  for (std::size_t i = 0; i < chain.size(); ++i) EXPECT_EQ(lease.slot(i), slots[i]);
  ASSERT_TRUE(lease.release_on(stream_).ok());
  device_.synchronize(stream_);
  EXPECT_EQ(compared_, static_cast<int>(chain.size() * kSegments));
  EXPECT_EQ(wrong_, 0);
}

TEST_F(SpaceHbmStreams, SlotsThatAKernelReadsGoToNobodyElse) {
  const auto chain = chain_of(3, 16);  // all of the tier
  {
    Lease lease = computing(chain);
    ASSERT_TRUE(space_->publish_on(lease, stream_, chain, 0).ok());
    device_.synchronize(stream_);
    auto ticket = space_->acquire_on(chain, kNear, stream_);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(ticket->wait(20s).ok());
    Lease prefix = ticket->take();
    wait_for_gate();
    for (std::size_t i = 0; i < chain.size(); ++i) compare(prefix.address(i, 1).pointer, 1, chain[i]);
    ASSERT_TRUE(lease.release().ok());
    ASSERT_TRUE(prefix.release_on(stream_).ok());
  }
  EXPECT_FALSE(space_->allocate(1, kNear).ok()) << "the kernels have not run";
  gate_ = true;
  device_.synchronize(stream_);
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 20s;
  EXPECT_TRUE(space_->allocate(1, kNear, wait).ok());
  EXPECT_EQ(compared_, 16);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(SpaceHbmStreams, WhatIsBelowIsServedOnAfterTheGpuIsLost) {
  const auto chain = chain_of(4, 4);
  store_blocks(*space_, chain, kFar);
  gate_ = true;
  device_.lose();
  auto lost = space_->acquire(chain, kNear);
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->wait(20s).code(), Code::kUnavailable) << lost->status().message();
  EXPECT_FALSE(space_->stats().tiers[0].online);
  EXPECT_TRUE(space_->stats().tiers[1].online);
  EXPECT_EQ(space_->allocate(1, kNear).status().code(), Code::kUnavailable);
  EXPECT_EQ(space_->match(chain).blocks, 4U);
  auto ticket = space_->acquire(chain, kFar);
  ASSERT_TRUE(ticket.ok());
  ASSERT_TRUE(ticket->wait(20s).ok());
  EXPECT_EQ(ticket->take().size(), 4U);
  std::string why;
  EXPECT_EQ(space_->bring_back(kNear, &why).code(), Code::kUnavailable) << why;
}

}  // namespace
}  // namespace kelvin::testing
