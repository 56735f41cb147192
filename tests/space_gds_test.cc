// A space of GPU memory above drives, with GPUDirect Storage between them: blocks go straight to the GPU and
// are as safe there as on the way through host memory.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "gds_fixture.h"
#include "space_device_blocks.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

using hbm::FakeCuFile;

constexpr std::uint32_t kSlots = 32;

class SpaceGds : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string missing;
    if (hbm::pretended_device(GetParam(), &missing) == nullptr || !hbm::has_direct_io(directory_, &missing)) {
      GTEST_SKIP() << missing;
    }
  }
  void TearDown() override {
    fake_.hold(false);
    space_.reset();
    EXPECT_EQ(fake_.seen().files, 0);
    EXPECT_EQ(fake_.seen().memories, 0);
    EXPECT_EQ(fake_.seen().breaches, 0U);
  }

  Config config(const std::string& gds, std::uint32_t files = 1) const {
    std::string paths = directory_.file("drive0");
    for (std::uint32_t i = 1; i < files; ++i) paths += "\n" + directory_.file("drive" + std::to_string(i));
    TierConfig drive = tier_of("drive", "nvme", 0, {{"path", paths}});
    drive.capacity_bytes = files * (nvme::kDataAlignment + 2 * kSlots * kBlockBytes);
    Config config =
        config_of({tier_of("near", "hbm", kSlots, {{"device", GetParam()}, {"gds", gds}}), drive}, 1);
    config.mover.staging_bytes = 4 * kBlockBytes;
    return config;
  }
  void open(const Config& config) {
    space_.reset();
    space_ = open_space(config);
    ASSERT_NE(space_, nullptr);
  }

  // Blocks in the GPU and on the drive.
  void store(std::span<const BlockKey> chain) {
    publish_on_device(*space_, chain);
    ASSERT_EQ(acquire_blocks(*space_, chain, kFar).size(), chain.size());
    ASSERT_TRUE(space_->settle(10s).ok());
  }
  // On the drive alone.
  void store_below(std::span<const BlockKey> chain) {
    store(chain);
    ASSERT_TRUE(space_->drop(chain, kNear).ok());
  }
  ::testing::AssertionResult remarks(const std::string& words) const {
    const std::vector<std::string> all = space_->stats().remarks;
    for (const std::string& remark : all) {
      if (remark.find(words) != std::string::npos) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << ::testing::PrintToString(all);
  }

  FakeCuFile fake_;
  nvme::ScratchDirectory directory_;
  std::unique_ptr<Space> space_;
  const std::vector<BlockKey> chain_ = chain_of(1, kSlots);
};
INSTANTIATE_TEST_SUITE_P(Devices, SpaceGds, ::testing::ValuesIn(hbm::kDevices), hbm::device_name);

TEST_P(SpaceGds, LoadsStraightFromTheDrive) {
  open(config("on"));
  EXPECT_TRUE(remarks("drive>near: by GPUDirect Storage"));
  store_below(chain_);
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
  EXPECT_EQ(fake_.seen().reads, kSlots);
  EXPECT_EQ(fake_.seen().bytes, kSlots * kBlockBytes);
}

TEST_P(SpaceGds, LoadsFromSeveralDrives) {
  open(config("on", 3));
  store_below(chain_);
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
  EXPECT_EQ(fake_.seen().reads, kSlots);
}

TEST_P(SpaceGds, OffGoesThroughHostMemoryWithTheSameBytes) {
  open(config("off"));
  store_below(chain_);
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
  EXPECT_EQ(fake_.seen().reads, 0U);
}

// Blocks of 4 KiB are reads of their own, which auto leaves to the drive's link.
TEST_P(SpaceGds, AutoGoesThroughHostMemoryWhereThatIsBetter) {
  open(config("auto"));
  if (std::string(GetParam()) != "emulated:0") {
    EXPECT_TRUE(remarks("drive>near: not by GPUDirect Storage: its slots lie in runs of 4096 bytes"));
  }
  store_below(chain_);
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
  EXPECT_EQ(fake_.seen().reads, 0U);
}

TEST_P(SpaceGds, OnIsAnErrorWhereTheFileDoesNotSuit) {
  fake_.reset({.register_file = hbm::cufile::kIoNotSupported});
  std::string why;
  EXPECT_FALSE(Space::open(config("on"), &why).ok());
  EXPECT_NE(why.find("gds = \"on\""), std::string::npos) << why;
  EXPECT_NE(why.find("ext4 or XFS"), std::string::npos) << why;
}

TEST_P(SpaceGds, BlocksAreFoundAgainAfterARestart) {
  open(config("on"));
  store_below(chain_);
  ASSERT_TRUE(space_->save(10s).ok());
  open(config("on"));
  EXPECT_EQ(space_->match(chain_).blocks, kSlots);
  const Lease back = acquire_blocks(*space_, chain_);
  ASSERT_EQ(back.size(), kSlots);
  EXPECT_TRUE(device_has(*space_, back, chain_));
}

TEST_P(SpaceGds, ABlockThatRottedDoesNotReachTheGpu) {
  open(config("on"));
  store(chain_);
  {
    const Lease below = acquire_blocks(*space_, chain_, kFar);
    ASSERT_EQ(below.size(), kSlots);
    const Address at = below.address(5);
    const auto bytes = aligned_buffer(kBlockBytes);
    std::fill_n(bytes.get(), kBlockBytes, std::byte{0x5A});
    ASSERT_EQ(::pwrite(at.device, bytes.get(), kBlockBytes, static_cast<off_t>(at.offset)),
              static_cast<ssize_t>(kBlockBytes));
  }
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  Status status;
  const Lease back = acquire_blocks(*space_, chain_, kNear, &status);
  EXPECT_EQ(back.size(), 5U);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_TRUE(device_has(*space_, back, chain_));
}

TEST_P(SpaceGds, AReadThatFailsShortensThePrefixAndLeaksNothing) {
  open(config("on"));
  store(chain_);
  const Lease below = acquire_blocks(*space_, chain_, kFar);
  ASSERT_EQ(below.size(), kSlots);
  fake_.change({.read_errno = EIO, .only_offset = static_cast<std::int64_t>(below.address(7).offset)});
  ASSERT_TRUE(space_->drop(chain_, kNear).ok());
  Status status;
  const Lease back = acquire_blocks(*space_, chain_, kNear, &status);
  EXPECT_EQ(back.size(), 7U);
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_TRUE(device_has(*space_, back, chain_));
}

TEST_P(SpaceGds, ADriveThatHangsAnswersAtTheDeadlineAndGivesBackWhatItHad) {
  Config slow = config("on");
  slow.mover.deadline_ns = 300'000'000;
  open(slow);
  store_below(chain_);
  fake_.hold(true);
  Status status;
  EXPECT_EQ(acquire_blocks(*space_, chain_, kNear, &status).size(), 0U);
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_GT(fake_.seen().running, 0);
  fake_.hold(false);
  for (int i = 0; i < 10'000 && strays(*space_) != 0; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(strays(*space_), 0U);
  EXPECT_EQ(fake_.seen().running, 0);
  ASSERT_TRUE(space_->settle(10s).ok());
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(SpaceGds, MayCloseWithBlocksOnTheirWay) {
  fake_.reset({.delay = std::chrono::milliseconds(5)});
  open(config("on"));
  store_below(chain_);
  auto ticket = space_->acquire(chain_, kNear);
  ASSERT_TRUE(ticket.ok());
  space_.reset();
  EXPECT_TRUE(ticket->done());
}

}  // namespace
}  // namespace kelvin::testing
