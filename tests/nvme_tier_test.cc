// The block file: what it makes, what it reuses, and what it refuses with a reason.
#include "tiers/nvme/nvme_tier.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "nvme_fixture.h"
#include "tiers/nvme/nvme.h"

namespace kelvin::nvme {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class NvmeTierTest : public ::testing::Test {
 protected:
  NvmeTierTest() {
    ::signal(SIGXFSZ, SIG_DFL);
    config_.path = directory_.file("blocks");
    config_.capacity_bytes = 8 * kMiB;
    config_.block_bytes = 64 * kKiB;
    config_.require_direct = false;
    config_.lock_wait_ms = 50;
  }

  Result<std::unique_ptr<BlockFile>> open() {
    why_.clear();
    return BlockFile::open(config_, &why_);
  }
  Code refusal() {
    auto file = open();
    EXPECT_FALSE(file.ok());
    EXPECT_THAT(why_, HasSubstr(config_.path));
    return file.status().code();
  }
  std::uint64_t length() const { return std::filesystem::file_size(config_.path); }
  void put(const void* bytes, std::size_t count) const {
    std::ofstream(config_.path, std::ios::binary)
        .write(static_cast<const char*>(bytes), static_cast<long>(count));
  }
  Superblock superblock() const {
    Superblock page;
    std::ifstream(config_.path, std::ios::binary).read(reinterpret_cast<char*>(&page), sizeof page);
    return page;
  }

  ScratchDirectory directory_;
  FileConfig config_;
  std::string why_;
};

TEST_F(NvmeTierTest, ANewFileIsPreallocatedWithinItsCapacity) {
  config_.capacity_bytes = 8 * kMiB + 1000;
  auto file = open();
  ASSERT_TRUE(file.ok()) << why_;
  EXPECT_EQ((*file)->slots(), 96u);
  EXPECT_EQ((*file)->offset(0), kDataOffset);
  EXPECT_EQ((*file)->offset(95), 8 * kMiB - 64 * kKiB);
  EXPECT_EQ(length(), 8 * kMiB);
  struct stat found {};
  ASSERT_EQ(::fstat((*file)->fd(), &found), 0);
  EXPECT_GE(static_cast<std::uint64_t>(found.st_blocks) * 512, 6 * kMiB);
  EXPECT_EQ(found.st_mode & 0077u, 0u) << "blocks are nobody else's to read";
}

TEST_F(NvmeTierTest, TheSuperblockSaysForWhatTheFileWasMade) {
  ASSERT_TRUE(open().ok()) << why_;
  const Superblock page = superblock();
  EXPECT_EQ(std::memcmp(page.magic.data(), "KELVINBK", 8), 0);
  EXPECT_EQ(page.version, 1u);
  EXPECT_EQ(page.slots, 96u);
  EXPECT_EQ(page.block_bytes, 64 * kKiB);
  EXPECT_EQ(page.stride_bytes, 64 * kKiB);
  EXPECT_EQ(page.owner, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(page.checksum, superblock_checksum(page));
}

TEST_F(NvmeTierTest, ItsOwnFileIsReusedAtAnyLength) {
  ASSERT_TRUE(open().ok()) << why_;
  config_.capacity_bytes = 4 * kMiB;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 4 * kMiB);
  config_.capacity_bytes = 16 * kMiB;
  config_.block_bytes = 128 * kKiB;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 16 * kMiB);
  EXPECT_EQ(superblock().block_bytes, 128 * kKiB);
}

TEST_F(NvmeTierTest, AFileOfSomebodyElseIsRefusedAndLeftAlone) {
  const std::string letter(10'000, 'x');
  put(letter.data(), letter.size());
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("remove it or choose another path"));
  EXPECT_EQ(length(), letter.size());

  put(letter.data(), 3);
  EXPECT_EQ(refusal(), Code::kInvalid) << "also one that is shorter than a superblock";
}

TEST_F(NvmeTierTest, AnEmptyFileIsTaken) {
  put("", 0);
  EXPECT_TRUE(open().ok()) << why_;
}

TEST_F(NvmeTierTest, AFileKilledBeforeItHadItsLengthIsReused) {
  const Superblock page;  // its checksum does not fit either
  put(&page, sizeof page);
  EXPECT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 8 * kMiB);
}

TEST_F(NvmeTierTest, AFileOfANewerVersionIsRefused) {
  Superblock page;
  page.version = kSuperblockVersion + 1;
  put(&page, sizeof page);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("newer version"));
}

TEST_F(NvmeTierTest, AFileInUseIsRefusedAndTheOwnerNamed) {
  auto owner = open();
  ASSERT_TRUE(owner.ok()) << why_;
  EXPECT_EQ(refusal(), Code::kBusy);
  EXPECT_THAT(why_, AllOf(HasSubstr("in use"), HasSubstr(std::to_string(::getpid()))));
}

TEST_F(NvmeTierTest, AClosedFileIsFreeEvenWhileAForkedChildHoldsIt) {
  auto owner = open();
  ASSERT_TRUE(owner.ok()) << why_;
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  (*owner).reset();
  EXPECT_TRUE(open().ok()) << why_;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(NvmeTierTest, AKilledOwnerLeavesNothingInTheWay) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto file = open();
    if (!file.ok()) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(open().ok()) << why_;
}

TEST_F(NvmeTierTest, ACapacityBeyondTheDriveIsRefusedBeforeAnythingIsTaken) {
  struct statvfs drive {};
  ASSERT_EQ(::statvfs(directory_.path().c_str(), &drive), 0);
  config_.block_bytes = kMiB;
  config_.capacity_bytes = drive.f_bavail * drive.f_frsize + 64 * 1024 * kMiB;
  EXPECT_EQ(refusal(), Code::kFull);
  EXPECT_THAT(why_, AllOf(HasSubstr("needs"), HasSubstr("free")));
  EXPECT_EQ(length(), 0u);
}

TEST_F(NvmeTierTest, AFullFileSystemIsRefused) {
  const ScratchMount mount("tmpfs", "size=4m");
  if (!mount.mounted()) GTEST_SKIP() << "needs root, to mount a small tmpfs";
  config_.path = mount.file("blocks");
  EXPECT_EQ(refusal(), Code::kFull);
  config_.capacity_bytes = 3 * kMiB;
  EXPECT_TRUE(open().ok()) << why_;
}

TEST_F(NvmeTierTest, ALimitOnFileLengthIsAnErrorAndNotASignal) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small { kMiB, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Code code = refusal();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(code, Code::kFull);
  EXPECT_THAT(why_, HasSubstr("ulimit -f"));
}

TEST_F(NvmeTierTest, AFileSystemWithoutDirectIoIsRefusedUnlessAllowed) {
  const ScratchMount mount("ramfs", "");
  if (!mount.mounted()) GTEST_SKIP() << "needs root, to mount a ramfs";
  config_.path = mount.file("blocks");
  config_.require_direct = true;
  auto strict = open();
  if (strict.ok()) GTEST_SKIP() << "this kernel's ramfs takes O_DIRECT";
  EXPECT_EQ(strict.status().code(), Code::kUnsupported);
  EXPECT_THAT(why_, HasSubstr("direct = \"auto\""));

  config_.require_direct = false;
  auto buffered = open();
  ASSERT_TRUE(buffered.ok()) << why_;
  EXPECT_FALSE((*buffered)->direct());
  EXPECT_EQ(length(), 8 * kMiB) << "ramfs has no fallocate either: zeros are written";
}

TEST_F(NvmeTierTest, APathThatIsNoFileIsRefused) {
  config_.path = directory_.path();
  EXPECT_EQ(refusal(), Code::kInvalid);
  config_.path = directory_.file("missing/blocks");
  EXPECT_EQ(refusal(), Code::kInvalid);
  config_.path = directory_.file("pipe");
  ASSERT_EQ(::mkfifo(config_.path.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), Code::kUnsupported);
}

TEST_F(NvmeTierTest, BlocksThatAreNotWholePagesAreRefused) {
  config_.block_bytes = 1000;
  EXPECT_EQ(open().status().code(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("multiple of 4096"));
}

TEST_F(NvmeTierTest, ACapacityWithoutRoomForABlockIsRefused) {
  config_.capacity_bytes = kDataOffset + config_.block_bytes - 1;
  EXPECT_EQ(refusal(), Code::kInvalid);
}

TEST_F(NvmeTierTest, PrewritingIsDoneOnceForEachByte) {
  config_.prewrite = true;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(superblock().written_bytes, 8 * kMiB);

  constexpr char kMark = 'm';
  const int fd = ::open(config_.path.c_str(), O_WRONLY);
  ASSERT_EQ(::pwrite(fd, &kMark, 1, static_cast<off_t>(kDataOffset)), 1);
  config_.capacity_bytes = 12 * kMiB;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(superblock().written_bytes, 12 * kMiB);
  char found = 0;
  std::ifstream file(config_.path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(kDataOffset)).read(&found, 1);
  EXPECT_EQ(found, kMark) << "what was written already is not written again";
  ::close(fd);
}

TEST_F(NvmeTierTest, TheFactoryOpensATierAsConfigured) {
  SpaceConfig space;
  space.block_bytes = 64 * kKiB;
  TierConfig tier;
  tier.name = "drive";
  tier.kind = "nvme";
  tier.capacity_bytes = 4 * kMiB;
  tier.options = {{.name = "path", .value = config_.path},
                  {.name = "direct", .value = "auto"},
                  {.name = "queue_depth", .value = "7"},
                  {.name = "io", .value = "threads"}};
  std::string why;
  auto options = Options::bind(kNvmeTier.options, tier.options, "tier 'drive'", &why);
  ASSERT_TRUE(options.ok()) << why;
  auto opened = kNvmeTier.open({.space = space, .tier = tier}, *options, &why);
  ASSERT_TRUE(opened.ok()) << why;

  const TierInfo& info = (*opened)->info();
  EXPECT_EQ(info.name, "drive");
  EXPECT_EQ(info.kind, TierKind::kNvme);
  EXPECT_EQ(info.space, AddressSpace::kFile);
  EXPECT_EQ(info.slots, 32u);
  EXPECT_EQ(info.slot_bytes, 64 * kKiB);
  EXPECT_EQ(info.segments, 1u);
  EXPECT_EQ(info.alignment, 4096u);
  EXPECT_FALSE(info.persistent);
  const Address address = (*opened)->address(Slot(3), 0);
  EXPECT_EQ(address.space, AddressSpace::kFile);
  EXPECT_GE(address.device, 0);
  EXPECT_EQ(address.offset, kDataOffset + 3 * 64 * kKiB);
  const NvmeTier* nvme = NvmeTier::of(**opened);
  ASSERT_NE(nvme, nullptr);
  EXPECT_EQ(nvme->links().depth, 7u);
  EXPECT_EQ(nvme->links().queue, QueueKind::kThreads);
}

TEST_F(NvmeTierTest, ThePathMustBeGiven) {
  std::string why;
  EXPECT_FALSE(Options::bind(kNvmeTier.options, {}, "tier 'drive'", &why).ok());
  EXPECT_THAT(why, HasSubstr("path"));
}

}  // namespace
}  // namespace kelvin::nvme
