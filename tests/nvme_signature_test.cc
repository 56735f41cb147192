// The safety catch of raw devices: what is not blank and not Kelvin's is refused, named, and left as it is.
// Runs on the devices of nvme_device_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "nvme_device_fixture.h"
#include "tiers/nvme/signature.h"

namespace kelvin::nvme {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class NvmeSignature : public DeviceTest {
 protected:
  // What libblkid knows has a name; without it nothing has.
  static auto named([[maybe_unused]] const char* name) {
#ifdef KELVIN_HAVE_BLKID
    return HasSubstr(name);
#else
    return HasSubstr("unknown kind");
#endif
  }
  void put_swap() {
    std::array<char, kPageBytes> page{};
    constexpr std::uint32_t kVersion = 1;
    constexpr std::uint32_t kLastPage = 1000;
    std::memcpy(&page[1024], &kVersion, sizeof kVersion);
    std::memcpy(&page[1028], &kLastPage, sizeof kLastPage);
    std::memcpy(&page[kPageBytes - 10], "SWAPSPACE2", 10);
    put(0, 0, page.data(), page.size());
  }
  Code refusal() {
    const auto tier = open();
    EXPECT_FALSE(tier.ok()) << "taken, whatever it held";
    EXPECT_THAT(why_, HasSubstr(path_));
    return tier.status().code();
  }
  // The block device to make a file system on; "" where none is known.
  std::string block_device() const { return is_char() ? environment("KELVIN_TEST_BLOCK_DEVICE") : path_; }
  static bool make_file_system(const std::string& device) {
    const std::string command = "mkfs.ext4 -q -F " + device + " >/dev/null 2>&1";
    return std::system(command.c_str()) == 0;  // NOLINT(concurrency-mt-unsafe): nobody else does
  }
};

TEST_P(NvmeSignature, ASwapAreaIsRefusedAndNamed) {
  put_swap();
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_,
              AllOf(named("a swap area (swap)"), HasSubstr("`kelvin nvme format " + path_ + " --yes`")));
  EXPECT_EQ(refusal(), Code::kInvalid) << "it was left as it is";
}

TEST_P(NvmeSignature, APartitionTableIsRefusedAndNamed) {
  std::array<std::uint8_t, 66> table{};  // from byte 446 on: one partition of Linux, and the mark at the end
  table[4] = 0x83;
  table[9] = 8;
  table[13] = 16;
  table[64] = 0x55;
  table[65] = 0xAA;
  put(0, 446, table.data(), table.size());
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, named("a partition table (dos)"));
}

TEST_P(NvmeSignature, DataOfAnyKindIsRefused) {
  constexpr char kMark = 'm';
  put(kMiB + 512 * kKiB, 77, &kMark, 1);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("data of an unknown kind in its first 2 MiB"));
  ASSERT_NO_FATAL_FAILURE(erase());
  put(size() - 512 * kKiB, 77, &kMark, 1);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("data of an unknown kind in its last MiB"));
}

TEST_P(NvmeSignature, ARaidThatWasMadeOverBlocksIsRefused) {
#ifndef KELVIN_HAVE_BLKID
  GTEST_SKIP() << "needs libblkid";
#endif
  ASSERT_TRUE(open().ok()) << why_;
  std::array<std::uint8_t, 256> superblock{};  // of md 1.2, which lies behind the first page and spares that
  const std::array<std::uint32_t, 2> magic = {0xA92B4EFC, 1};
  const std::uint64_t sector = 8;
  std::memcpy(superblock.data(), magic.data(), sizeof magic);
  superblock[16] = 1;  // of its set's uuid
  std::memcpy(&superblock[144], &sector, sizeof sector);
  put(kPageBytes, 0, superblock.data(), superblock.size());
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("linux_raid_member"));
}

TEST_P(NvmeSignature, OnesOwnBlocksAreNobodyElses) {
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(open().ok()) << why_;
    const auto medium = open_unseen();
    ASSERT_NE(medium, nullptr);
    const auto holds = foreign_content(*medium, &why_);
    ASSERT_TRUE(holds.ok()) << why_;
    EXPECT_EQ(*holds, "");
    // Blocks to the very end look like anything; they are ours all the same.
    const AlignedTier memory(1, kMiB);
    std::byte* const junk = memory.address(Slot(0), 0).pointer;
    std::memset(junk, 0x5A, kMiB);
    ASSERT_TRUE(medium->write(medium->info().bytes - kMiB, std::span(junk, kMiB)).ok());
  }
}

TEST_P(NvmeSignature, ForFormattingItIsOpenedWhateverItHolds) {
  put_swap();
  std::string holds;
  {
    const auto medium = open_medium_to_format({.path = path_}, &holds, &why_);
    ASSERT_TRUE(medium.ok()) << why_;
    EXPECT_THAT(holds, named("a swap area"));
    ASSERT_TRUE(erase_signatures(**medium, &why_).ok()) << why_;
  }
  ASSERT_TRUE(open().ok()) << why_;
  const auto medium = open_medium_to_format({.path = path_}, &holds, &why_);
  ASSERT_TRUE(medium.ok()) << why_;
  EXPECT_EQ(holds, "") << "blocks are nobody else's";
}

TEST_P(NvmeSignature, ADeviceInUseIsRefused) {
  const auto owner = open();
  ASSERT_TRUE(owner.ok()) << why_;
  EXPECT_EQ(refusal(), Code::kBusy);
  EXPECT_THAT(why_, HasSubstr("in use"));
}

TEST_P(NvmeSignature, AMountedDeviceIsRefusedAndThePlaceNamed) {
  const std::string block = block_device();
  if (block.empty()) GTEST_SKIP() << "set KELVIN_TEST_BLOCK_DEVICE to the device beside " << path_;
  if (!make_file_system(block)) GTEST_SKIP() << "needs mkfs.ext4";
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, named("a file system (ext4)"));
  const ScratchDirectory place;
  if (::mount(block.c_str(), place.path().c_str(), "ext4", 0, "") != 0) {
    GTEST_SKIP() << "cannot be mounted here: " << std::generic_category().message(errno);
  }
  const Code code = refusal();
  ::umount(place.path().c_str());
  EXPECT_EQ(code, Code::kBusy);
  EXPECT_THAT(why_, HasSubstr("mounted on " + std::filesystem::canonical(place.path()).string()));
}

TEST_P(NvmeSignature, AFileSystemMadeOverBlocksIsRefused) {
  const std::string block = block_device();
  if (block.empty()) GTEST_SKIP() << "set KELVIN_TEST_BLOCK_DEVICE to the device beside " << path_;
  ASSERT_TRUE(open().ok()) << why_;
  if (!make_file_system(block)) GTEST_SKIP() << "needs mkfs.ext4";
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, AnyOf(HasSubstr("ext4"), HasSubstr("unknown kind")));
}

TEST_P(NvmeSignature, TheBlockDeviceAndTheOneBesideItExcludeEachOther) {
  const std::string block = block_device();
  if (!is_char() || block.empty()) GTEST_SKIP() << "needs both devices of one drive";
  const auto owner = open();
  ASSERT_TRUE(owner.ok()) << why_;
  EXPECT_EQ(open_medium({.path = block}, &why_).status().code(), Code::kBusy);
  EXPECT_THAT(why_, HasSubstr("in use"));
}

INSTANTIATE_TEST_SUITE_P(Devices, NvmeSignature, ::testing::Values("Loop", "Block", "Char"), kind_name);

TEST(NvmeDevicePath, ACharacterDeviceThatIsNoDriveIsRefused) {
  std::string why;
  EXPECT_EQ(open_medium({.path = "/dev/zero"}, &why).status().code(), Code::kUnsupported);
  EXPECT_THAT(why, AnyOf(HasSubstr("/dev/ng0n1"), HasSubstr("io_uring")));
}

TEST(NvmeDevicePath, ADeviceThatIsNotThereIsNotMadeAFile) {
  std::string why;
  EXPECT_EQ(open_medium({.path = "/dev/nvme99n99"}, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("no such device"));
  EXPECT_FALSE(std::filesystem::exists("/dev/nvme99n99"));
}

TEST(NvmeDevicePath, AFileIsNotPolled) {
  const ScratchDirectory directory;
  std::string why;
  EXPECT_EQ(open_medium({.path = directory.file("blocks"), .poll = true}, &why).status().code(),
            Code::kUnsupported);
  EXPECT_THAT(why, HasSubstr("poll = false"));
}

}  // namespace
}  // namespace kelvin::nvme
