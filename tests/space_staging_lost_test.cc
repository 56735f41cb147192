// One of two devices that are joined through host memory fails: it is that one which goes offline, and the
// other one serves on with all that it has.
#include <gtest/gtest.h>

#include <cerrno>
#include <span>
#include <thread>

#include "hbm_fixture.h"
#include "space_device_blocks.h"
#include "space_staging_fixture.h"

namespace kelvin::testing {
namespace {

// GPU memory, emulated, next to a drive. Every test has a GPU of its own, which it may lose.
class StagedGpu : public SpaceStaging {
 protected:
  TierConfig gpu() const { return tier_of("gpu", "hbm", kSlots, {{"device", device_->properties().name}}); }
  void open_gpu(std::vector<TierConfig> below) {
    device_ = &hbm::own_device(next_device_++);
    below.insert(below.begin(), gpu());
    Config config = this->config(std::move(below));
    config.mover.retry_offline_ns = 0;
    open(config);
  }
  // Blocks on the drive, and not in the tiers before it.
  void store_on_drive(std::span<const BlockKey> chain, TierIndex drive = kFar) {
    publish_on_device(*space_, chain);
    ASSERT_EQ(acquire_blocks(*space_, chain, drive).size(), chain.size());
    ASSERT_TRUE(space_->settle(10s).ok());
    for (std::uint8_t t = 0; t < drive.value; ++t) {
      ASSERT_TRUE(space_->drop(chain, TierIndex(t)).ok());
    }
  }
  // Each block of the chain is in the drive's tier, and right.
  ::testing::AssertionResult drive_has(std::span<const BlockKey> chain, TierIndex drive = kFar) {
    const Lease lease = acquire_blocks(*space_, chain, drive);
    if (lease.size() != chain.size())
      return ::testing::AssertionFailure() << "of " << chain.size() << " there are " << lease.size();
    const auto bytes = aligned_buffer(kBlockBytes);
    for (std::size_t i = 0; i < lease.size(); ++i) {
      const Address at = lease.address(i);
      const auto got = ::pread(at.device, bytes.get(), kBlockBytes, static_cast<off_t>(at.offset));
      const auto expected = pattern(content_of(chain[i]), kBlockBytes);
      if (got != static_cast<ssize_t>(kBlockBytes) ||
          !std::equal(expected.begin(), expected.end(), bytes.get()))
        return ::testing::AssertionFailure() << "block " << i << " is wrong on the drive";
    }
    return ::testing::AssertionSuccess();
  }
  // The GPU is offline, the drive has never been. What the GPU had in hand comes back at a time of its own.
  void expect_gpu_offline(TierIndex drive = kFar) const {
    EXPECT_TRUE(space_->settle(10s).ok());
    for (int i = 0; i < 10'000 && strays(*space_) != 0; ++i) {
      std::this_thread::sleep_for(1ms);
      EXPECT_TRUE(space_->settle(10s).ok());
    }
    const Stats stats = space_->stats();
    EXPECT_FALSE(stats.tiers[0].online);
    EXPECT_TRUE(stats.tiers[drive.value].online);
    EXPECT_EQ(stats.tiers[drive.value].went_offline, 0U);
  }

  static inline std::int32_t next_device_ = 501;

  hbm::EmulatedDevice* device_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(MoverThreads, StagedGpu, ::testing::Values(0U, 1U));

TEST_P(StagedGpu, ThatIsLostTakesNoDriveAlongWhenItIsToBeFilled) {
  open_gpu({drive("drive")});
  store_on_drive(chain_);
  device_->lose();
  Status status;
  EXPECT_EQ(acquire_blocks(*space_, chain_, kNear, &status).size(), 0U);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  expect_gpu_offline();
  EXPECT_EQ(space_->match(chain_).blocks, kSlots);
  EXPECT_TRUE(drive_has(chain_));
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(StagedGpu, ThatIsLostTakesNoDriveAlongWhenItIsRead) {
  open_gpu({drive("drive")});
  const auto kept = chain_of(2, 8);
  store_on_drive(kept);
  publish_on_device(*space_, chain_);
  device_->lose();
  Status status;
  EXPECT_EQ(acquire_blocks(*space_, chain_, kFar, &status).size(), 0U);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  expect_gpu_offline();
  EXPECT_EQ(space_->match(chain_).blocks, 0U);
  EXPECT_TRUE(drive_has(kept));
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(StagedGpu, AnotherOneFindsOnTheDriveWhatTheLostOneLeft) {
  open_gpu({drive("drive")});
  store_on_drive(chain_);
  device_->lose();
  acquire_blocks(*space_, chain_, kNear);
  space_.reset();
  open_gpu({drive("drive")});
  const Lease back = acquire_blocks(*space_, chain_, kNear);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
}

// A copy that the GPU did not take says nothing of the one that was read.
TEST_P(StagedGpu, ThatFailsToTakeABlockCostsTheDriveNothing) {
  open_gpu({drive("drive")});
  store_on_drive(chain_);
  faults_.add({.link = "drive>gpu", .trouble = Trouble::kError, .skip = 7, .failed = Side::kTo});
  Status status;
  EXPECT_EQ(acquire_blocks(*space_, chain_, kNear, &status).size(), 7U);
  EXPECT_EQ(status.code(), Code::kIo) << status.message();
  ASSERT_TRUE(space_->settle(10s).ok());
  faults_.clear();
  EXPECT_TRUE(space_->stats().tiers[kFar.value].online);
  EXPECT_EQ(space_->stats().tiers[kFar.value].dropped_corrupt, 0U);
  EXPECT_TRUE(drive_has(chain_));
}

TEST_P(StagedGpu, ServesOnWhenTheDriveIsLost) {
  open_gpu({drive("drive")});
  const auto near = chain_of(2, 8);
  store_on_drive(std::span(chain_).first(8));
  publish_on_device(*space_, near);
  faults_.add({.link = "gpu>drive", .trouble = Trouble::kGone, .failed = Side::kTo});
  Status status;
  EXPECT_EQ(acquire_blocks(*space_, near, kFar, &status).size(), 0U);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  ASSERT_TRUE(space_->settle(10s).ok());
  EXPECT_TRUE(space_->stats().tiers[0].online);
  EXPECT_FALSE(space_->stats().tiers[1].online);
  const Lease there = acquire_blocks(*space_, near, kNear);
  ASSERT_EQ(there.size(), near.size());
  EXPECT_TRUE(device_has(*space_, there, near));
}

TEST_P(StagedGpu, SavingEndsWithAStatusWhenItIsLost) {
  open_gpu({drive("drive")});
  const auto kept = chain_of(2, 8);
  store_on_drive(kept);
  publish_on_device(*space_, chain_);
  device_->lose();
  const Status status = space_->save(30s);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  expect_gpu_offline();
  EXPECT_TRUE(drive_has(kept));
  EXPECT_TRUE(space_->save(30s).ok()) << "there is nothing left to be written";
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(StagedGpu, SavingWritesWhatHostMemoryHoldsThoughTheGpuIsLost) {
  open_gpu({tier_of("dram", "dram", kSlots), drive("drive")});
  const auto both = chain_of(2, 8);
  const auto below = chain_of(3, 8);
  const auto above = chain_of(4, 8);
  for (const auto& chain : {both, below, above}) publish_on_device(*space_, chain);
  for (const auto& chain : {both, below}) ASSERT_EQ(acquire_blocks(*space_, chain, kFar).size(), 8U);
  ASSERT_TRUE(space_->settle(10s).ok());
  ASSERT_TRUE(space_->drop(below, kNear).ok());
  device_->lose();
  const Status status = space_->save(30s);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
  expect_gpu_offline(kFarthest);
  EXPECT_TRUE(drive_has(both, kFarthest));
  EXPECT_TRUE(drive_has(below, kFarthest));
  EXPECT_EQ(space_->match(above).blocks, 0U);
  open_gpu({tier_of("dram", "dram", kSlots), drive("drive")});
  EXPECT_EQ(space_->match(both).blocks, 8U);
  EXPECT_EQ(space_->match(below).blocks, 8U);
}

}  // namespace
}  // namespace kelvin::testing
