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
    space_.block_bytes = 64 * kKiB;
    tier_.name = "drive";
    tier_.kind = "nvme";
    tier_.capacity_bytes = 8 * kMiB;
    set("path", path_);
    set("direct", "auto");
  }

  void set(const std::string& key, const std::string& value) {
    std::erase_if(tier_.options, [&](const Option& option) { return option.name == key; });
    tier_.options.push_back({.name = key, .value = value});
  }
  Result<std::unique_ptr<Tier>> open() {
    why_.clear();
    auto options = Options::bind(kNvmeTier.options, tier_.options, "tier 'drive'", &why_);
    if (!options.ok()) return options.status();
    return kNvmeTier.open({.space = space_, .tier = tier_}, *options, &why_);
  }
  Code refusal() {
    auto tier = open();
    EXPECT_FALSE(tier.ok());
    EXPECT_THAT(why_, HasSubstr(path_));
    return tier.status().code();
  }
  std::uint64_t length() const { return std::filesystem::file_size(path_); }
  void put(std::uint64_t offset, const void* bytes, std::size_t count) const {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(::pwrite(fd, bytes, count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
    ::close(fd);
  }
  Superblock superblock(std::size_t copy = 0) const {
    Superblock page;
    std::ifstream file(path_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(kSuperblockAt[copy]));
    file.read(reinterpret_cast<char*>(&page), sizeof page);
    return page;
  }

  ScratchDirectory directory_;
  std::string path_ = directory_.file("blocks");
  SpaceConfig space_;
  TierConfig tier_;
  std::string why_;
};

TEST_F(NvmeTierTest, ANewFileIsPreallocatedWithinItsCapacity) {
  tier_.capacity_bytes = 8 * kMiB + 1000;
  auto tier = open();
  ASSERT_TRUE(tier.ok()) << why_;
  EXPECT_EQ((*tier)->info().slots, 96u);
  EXPECT_EQ((*tier)->address(Slot(0), 0).offset, kDataAlignment);
  EXPECT_EQ((*tier)->address(Slot(95), 0).offset, 8 * kMiB - 64 * kKiB);
  EXPECT_EQ(length(), 8 * kMiB);
  struct stat found {};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_GE(static_cast<std::uint64_t>(found.st_blocks) * 512, 6 * kMiB);
  EXPECT_EQ(found.st_mode & 0077u, 0u) << "blocks are nobody else's to read";
}

TEST_F(NvmeTierTest, BothSuperblocksSayForWhatTheFileWasMade) {
  space_.model = "llama";
  space_.block_tokens = 16;
  const auto tier = open();
  ASSERT_TRUE(tier.ok()) << why_;
  for (const std::size_t copy : {0u, 1u}) {
    const Superblock page = superblock(copy);
    EXPECT_EQ(examine(page), PageState::kGood);
    EXPECT_TRUE(consistent(page));
    EXPECT_EQ(page.version, 2u);
    EXPECT_EQ(page.slots, 96u);
    EXPECT_EQ(page.block_bytes, 64 * kKiB);
    EXPECT_EQ(page.block_tokens, 16u);
    EXPECT_STREQ(page.model.data(), "llama");
    EXPECT_EQ(page.layout, make_layout("llama", 64 * kKiB, 16).fingerprint);
    EXPECT_EQ(page.owner, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(page.flags & Superblock::kClean, 0u) << "it is in use";
  }
}

TEST_F(NvmeTierTest, AClosedFileSaysThatItWasClosedInOrder) {
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_NE(superblock().flags & Superblock::kClean, 0u);
}

TEST_F(NvmeTierTest, AFileOfBlocksIsTakenAgainAsItWasMade) {
  ASSERT_TRUE(open().ok()) << why_;
  const Superblock before = superblock();
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(superblock().uuid, before.uuid);
  EXPECT_GT(superblock().epoch, before.epoch);
}

TEST_F(NvmeTierTest, AScratchFileIsReusedAtAnyLength) {
  set("persist", "false");
  ASSERT_TRUE(open().ok()) << why_;
  tier_.capacity_bytes = 4 * kMiB;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 4 * kMiB);
  tier_.capacity_bytes = 16 * kMiB;
  space_.block_bytes = 128 * kKiB;
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 16 * kMiB);
  EXPECT_EQ(superblock().block_bytes, 128 * kKiB);
  set("persist", "true");
  ASSERT_TRUE(open().ok()) << why_ << ": it holds nothing that could be lost";
}

TEST_F(NvmeTierTest, BlocksOfAnotherLayoutAreRefusedAndTheFileIsLeftAlone) {
  ASSERT_TRUE(open().ok()) << why_;
  const Superblock before = superblock();
  space_.model = "another";
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, AllOf(HasSubstr("model \"unnamed\""), HasSubstr("kelvin nvme format")));
  space_.model = "unnamed";
  space_.block_bytes = 128 * kKiB;
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("blocks of 65536 bytes"));
  space_.block_bytes = 64 * kKiB;
  space_.block_tokens += 1;
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_EQ(std::memcmp(&before, &static_cast<const Superblock&>(superblock()), sizeof before), 0);
}

TEST_F(NvmeTierTest, AnotherCapacityIsRefusedAndTheRightOneNamed) {
  ASSERT_TRUE(open().ok()) << why_;
  tier_.capacity_bytes = 4 * kMiB;
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("capacity = \"8388608B\""));
  EXPECT_EQ(length(), 8 * kMiB);
  tier_.capacity_bytes = 8'388'608;
  EXPECT_TRUE(open().ok()) << why_;
}

TEST_F(NvmeTierTest, BlocksThatOutliveTheProcessAreNotTakenForScratch) {
  ASSERT_TRUE(open().ok()) << why_;
  set("persist", "false");
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("persist = true"));
}

TEST_F(NvmeTierTest, EitherSuperblockIsEnough) {
  for (const std::size_t copy : {0u, 1u}) {
    ASSERT_TRUE(open().ok()) << why_;
    const Uuid uuid = superblock().uuid;
    const std::string garbage(kPageBytes, '#');
    put(kSuperblockAt[copy], garbage.data(), garbage.size());
    ASSERT_TRUE(open().ok()) << why_;
    EXPECT_EQ(superblock(copy).uuid, uuid) << "mended";
  }
}

TEST_F(NvmeTierTest, WithBothSuperblocksDamagedTheFileIsRefused) {
  ASSERT_TRUE(open().ok()) << why_;
  const char bit = '!';
  for (const std::uint64_t offset : kSuperblockAt) put(offset + offsetof(Superblock, slots), &bit, 1);
  EXPECT_EQ(refusal(), Code::kCorrupt);
  EXPECT_THAT(why_, HasSubstr("kelvin nvme format"));
}

TEST_F(NvmeTierTest, AFileOfSomebodyElseIsRefusedAndLeftAlone) {
  const std::string letter(10'000, 'x');
  put(0, letter.data(), letter.size());
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("choose another path"));
  EXPECT_EQ(length(), letter.size());
}

TEST_F(NvmeTierTest, AFileThatOnlyBeginsWithZerosIsSomebodyElses) {
  constexpr char kMark = 'm';
  put(kMiB + kMiB / 2, &kMark, 1);
  std::filesystem::resize_file(path_, 2 * kMiB);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_EQ(length(), 2 * kMiB);
}

TEST_F(NvmeTierTest, AShortFileIsSomebodyElses) {
  put(0, "abc", 3);
  EXPECT_EQ(refusal(), Code::kInvalid);
}

TEST_F(NvmeTierTest, AnEmptyFileAndOneOfZerosAreTaken) {
  put(0, "", 0);
  EXPECT_TRUE(open().ok()) << why_;
  std::filesystem::remove(path_);
  put(0, "", 0);
  std::filesystem::resize_file(path_, 3 * kMiB);
  EXPECT_TRUE(open().ok()) << why_;
  EXPECT_EQ(length(), 8 * kMiB);
}

TEST_F(NvmeTierTest, FilesOfOtherVersionsAreRefused) {
  Superblock page;
  page.version = kFormatVersion + 1;
  put(0, &page, sizeof page);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, AllOf(HasSubstr("newer version"), HasSubstr("format 3")));
  page.version = 1;
  put(0, &page, sizeof page);
  EXPECT_EQ(refusal(), Code::kInvalid);
  EXPECT_THAT(why_, AllOf(HasSubstr("older version"), HasSubstr("kelvin nvme format")));
  EXPECT_EQ(length(), sizeof page);
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
    const auto tier = open();
    if (!tier.ok()) ::_exit(1);
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
  space_.block_bytes = kMiB;
  tier_.capacity_bytes = drive.f_bavail * drive.f_frsize + 64 * 1024 * kMiB;
  EXPECT_EQ(refusal(), Code::kFull);
  EXPECT_THAT(why_, AllOf(HasSubstr("needs"), HasSubstr("free")));
  EXPECT_EQ(length(), 0u);
}

TEST_F(NvmeTierTest, AFullFileSystemIsRefused) {
  const ScratchMount mount("tmpfs", "size=4m");
  if (!mount.mounted()) GTEST_SKIP() << "needs root, to mount a small tmpfs";
  path_ = mount.file("blocks");
  set("path", path_);
  EXPECT_EQ(refusal(), Code::kFull);
  tier_.capacity_bytes = 3 * kMiB;
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
  path_ = mount.file("blocks");
  set("path", path_);
  set("direct", "on");
  auto strict = open();
  if (strict.ok()) GTEST_SKIP() << "this kernel's ramfs takes O_DIRECT";
  EXPECT_EQ(strict.status().code(), Code::kUnsupported);
  EXPECT_THAT(why_, HasSubstr("direct = \"auto\""));

  set("direct", "auto");
  auto buffered = open();
  ASSERT_TRUE(buffered.ok()) << why_;
  EXPECT_FALSE(NvmeTier::of(**buffered)->direct());
  EXPECT_EQ(length(), 8 * kMiB) << "ramfs has no fallocate either: zeros are written";
}

TEST_F(NvmeTierTest, APathThatIsNoFileIsRefused) {
  path_ = directory_.path();
  set("path", path_);
  EXPECT_EQ(refusal(), Code::kInvalid);
  path_ = directory_.file("missing/blocks");
  set("path", path_);
  EXPECT_EQ(refusal(), Code::kInvalid);
  path_ = directory_.file("pipe");
  set("path", path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), Code::kUnsupported);
}

TEST_F(NvmeTierTest, BlocksThatAreNotWholePagesAreRefused) {
  space_.block_bytes = 1000;
  EXPECT_EQ(open().status().code(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("multiple of 4096"));
}

TEST_F(NvmeTierTest, ACapacityWithoutRoomForABlockIsRefused) {
  tier_.capacity_bytes = kDataAlignment + space_.block_bytes - 1;
  EXPECT_EQ(open().status().code(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("holds no block"));
}

TEST_F(NvmeTierTest, PrewritingIsDoneWhenTheFileIsMadeAndNeverOverBlocks) {
  set("prewrite", "true");
  ASSERT_TRUE(open().ok()) << why_;
  constexpr char kMark = 'm';
  put(kDataAlignment, &kMark, 1);
  ASSERT_TRUE(open().ok()) << why_;
  char found = 0;
  std::ifstream file(path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(kDataAlignment)).read(&found, 1);
  EXPECT_EQ(found, kMark);
}

TEST_F(NvmeTierTest, TheFactoryOpensATierAsConfigured) {
  tier_.capacity_bytes = 4 * kMiB;
  set("queue_depth", "7");
  set("queue_latency", "5ms");
  set("io", "threads");
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << why_;
  const TierInfo& info = (*opened)->info();
  EXPECT_EQ(info.name, "drive");
  EXPECT_EQ(info.kind, TierKind::kNvme);
  EXPECT_EQ(info.space, AddressSpace::kFile);
  EXPECT_EQ(info.slots, 32u);
  EXPECT_EQ(info.slot_bytes, 64 * kKiB);
  EXPECT_EQ(info.segments, 1u);
  EXPECT_EQ(info.alignment, 4096u);
  EXPECT_NE(info.ledger, nullptr);
  const Address address = (*opened)->address(Slot(3), 0);
  EXPECT_EQ(address.space, AddressSpace::kFile);
  EXPECT_GE(address.device, 0);
  EXPECT_EQ(address.offset, kDataAlignment + 3 * 64 * kKiB);
  const NvmeTier* nvme = NvmeTier::of(**opened);
  ASSERT_NE(nvme, nullptr);
  EXPECT_EQ(nvme->links().depth, 7u);
  EXPECT_EQ(nvme->links().latency_ns, 5'000'000u);
  EXPECT_EQ(nvme->links().queue, QueueKind::kThreads);
}

TEST_F(NvmeTierTest, AScratchTierHasNoLedger) {
  set("persist", "false");
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << why_;
  EXPECT_EQ((*opened)->info().ledger, nullptr);
}

TEST_F(NvmeTierTest, ThePathMustBeGiven) {
  std::string why;
  EXPECT_FALSE(Options::bind(kNvmeTier.options, {}, "tier 'drive'", &why).ok());
  EXPECT_THAT(why, HasSubstr("path"));
}

}  // namespace
}  // namespace kelvin::nvme
