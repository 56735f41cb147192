// The arena: its pages, its limits, and how it is prefaulted and locked.

#include "tiers/host/arena.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "machine/memory_limit.h"
#include "machine/nodes.h"
#include "sanitized.h"
#include "tiers/host/prefault.h"

namespace kelvin {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1ULL << 20;

// The sanitizers answer mlock themselves and lock nothing.
constexpr bool kMlockIsFaked = testing::kSanitized;

// Pages of [base, base + bytes) that are in memory.
std::size_t resident_pages(std::byte* base, std::uint64_t bytes) {
  std::vector<unsigned char> present((bytes + 4095) / 4096);
  if (::mincore(base, bytes, present.data()) != 0) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(present, [](unsigned char p) { return (p & 1U) != 0; }));
}

TEST(Arena, AutoTakesTheLargestPagesToBeHad) {
  std::string why;
  const auto arena = Arena::map({.bytes = 8 * kMiB + 5000}, &why);
  ASSERT_TRUE(arena.ok()) << why;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena->base()) % (2 * kMiB), 0U);
  EXPECT_EQ(arena->bytes(), 8 * kMiB + 8192);
  std::memset(arena->base(), 1, arena->bytes());
  RecordProperty("pages", page_kind_name(arena->pages()));
}

TEST(Arena, SmallPagesAreAlwaysToBeHad) {
  std::string why;
  const auto arena = Arena::map({.bytes = 4 * kMiB, .huge_pages = HugePages::kNone}, &why);
  ASSERT_TRUE(arena.ok()) << why;
  EXPECT_EQ(arena->pages(), PageKind::kSmall);
  arena->base()[4 * kMiB - 1] = std::byte{1};
  EXPECT_EQ(resident_pages(arena->base(), arena->bytes()), 1U);
}

TEST(Arena, HugetlbIsHadOrSaysHowToReserveIt) {
  std::string why;
  const auto arena = Arena::map({.bytes = 4 * kMiB + 4096, .huge_pages = HugePages::kHugetlb}, &why);
  if (arena.ok()) {
    EXPECT_EQ(arena->pages(), PageKind::kHugetlb);
    std::memset(arena->base(), 1, arena->bytes());
  } else {
    EXPECT_EQ(arena.status().code(), Code::kUnsupported);
    EXPECT_THAT(why, HasSubstr("vm.nr_hugepages"));
  }
}

TEST(Arena, ReservedPagesOfOneGiBComeFirstAndSmallerOnesFillTheRest) {
  constexpr std::uint64_t kGiB = 1ULL << 30;
  if (free_huge_pages(-1, kGiB) < 1 || free_huge_pages(-1, 2 * kMiB) < 2)
    GTEST_SKIP() << "there are no reserved pages of 1 GiB and of 2 MiB";
  std::string why;
  const auto arena = Arena::map({.bytes = kGiB + 4 * kMiB + 4096, .prefault = true}, &why);
  ASSERT_TRUE(arena.ok()) << why;
  EXPECT_EQ(arena->pages(), PageKind::kHugetlb1GiB);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena->base()) % kGiB, 0U);
  arena->base()[arena->bytes() - 1] = std::byte{1};
}

TEST(Arena, ReservedPagesOfAnotherNodeAreNotCountedOn) {
  for (const MemoryNode& node : memory_nodes()) {
    if (!node.allowed || free_huge_pages(node.id, 2 * kMiB) != 0) continue;
    std::string why;
    const auto arena =
        Arena::map({.bytes = 4 * kMiB, .prefault = true, .node = node.id, .must_bind = false}, &why);
    ASSERT_TRUE(arena.ok()) << why;
    EXPECT_NE(arena->pages(), PageKind::kHugetlb) << "touching one would have killed this process";
    EXPECT_EQ(Arena::map({.bytes = 4 * kMiB, .huge_pages = HugePages::kHugetlb, .node = node.id}, &why)
                  .status()
                  .code(),
              Code::kUnsupported);
    EXPECT_THAT(why, HasSubstr(" on node "));
  }
}

TEST(Arena, MoreThanItsNodeHasIsFullAndSaysSo) {
  const std::vector<MemoryNode> nodes = memory_nodes();
  const auto smallest = std::ranges::min_element(nodes, {}, &MemoryNode::bytes);
  std::string why;
  const auto arena = Arena::map({.bytes = smallest->bytes + kMiB, .node = smallest->id}, &why);
  EXPECT_EQ(arena.status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("[[tier]].capacity"));
}

TEST(Arena, TransparentPagesAreHadOrSayHowToAllowThem) {
  std::string why;
  const auto arena = Arena::map({.bytes = 4 * kMiB, .huge_pages = HugePages::kThp}, &why);
  if (arena.ok()) {
    EXPECT_EQ(arena->pages(), PageKind::kThp);
  } else {
    EXPECT_EQ(arena.status().code(), Code::kUnsupported);
    EXPECT_THAT(why, HasSubstr("transparent_hugepage"));
  }
}

TEST(Arena, AnArenaSmallerThanAHugePageIsNoHugetlb) {
  std::string why;
  EXPECT_FALSE(Arena::map({.bytes = kMiB, .huge_pages = HugePages::kHugetlb}, &why).ok());
  EXPECT_TRUE(Arena::map({.bytes = kMiB}, &why).ok()) << why;
}

TEST(Arena, MoreThanTheMachineHasIsFullAndSaysWho) {
  std::string why;
  const auto arena = Arena::map({.bytes = 1ULL << 50}, &why);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(arena.status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("1048576.00 GiB"));
  EXPECT_THAT(why, HasSubstr("[[tier]].capacity"));
}

TEST(Arena, NoBytesAreInvalid) {
  std::string why;
  EXPECT_EQ(Arena::map({}, &why).status().code(), Code::kInvalid);
  EXPECT_FALSE(why.empty());
  EXPECT_EQ(Arena::map({}, nullptr).status().code(), Code::kInvalid);
}

TEST(Arena, MovesWithItsMemory) {
  auto first = Arena::map({.bytes = kMiB}, nullptr);
  ASSERT_TRUE(first.ok());
  std::byte* const base = first->base();
  Arena second = std::move(*first);
  second.base()[0] = std::byte{7};
  EXPECT_EQ(second.base(), base);
  auto third = Arena::map({.bytes = kMiB}, nullptr);
  ASSERT_TRUE(third.ok());
  *third = std::move(second);
  EXPECT_EQ(third->base()[0], std::byte{7});
}

TEST(Arena, PrefaultBringsEveryPage) {
  std::string why;
  const auto arena =
      Arena::map({.bytes = 130 * kMiB + 4096, .huge_pages = HugePages::kNone, .prefault = true}, &why);
  ASSERT_TRUE(arena.ok()) << why;
  EXPECT_EQ(resident_pages(arena->base(), arena->bytes()), arena->bytes() / 4096);
}

TEST(Arena, WithoutPrefaultNothingIsTouched) {
  const auto arena = Arena::map({.bytes = 16 * kMiB}, nullptr);
  ASSERT_TRUE(arena.ok());
  if (arena->pages() == PageKind::kHugetlb) GTEST_SKIP() << "reserved huge pages count otherwise";
  EXPECT_EQ(resident_pages(arena->base(), arena->bytes()), 0U);
}

// Lock limits hold only for threads without CAP_IPC_LOCK, so this one gives it up.
void without_lock_rights(void (*body)()) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before), 0);
  rlimit none = before;
  none.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &none), 0);
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> rights{};
    ASSERT_EQ(::syscall(SYS_capget, &header, rights.data()), 0);
    rights[0].effective &= ~(1U << CAP_IPC_LOCK);
    ASSERT_EQ(::syscall(SYS_capset, &header, rights.data()), 0);
    body();
  }).join();
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

TEST(Arena, LockingBeyondTheLimitNamesTheLimit) {
  if (kMlockIsFaked) GTEST_SKIP() << "under this sanitizer mlock does nothing";
  without_lock_rights([] {
    std::string why;
    const auto arena = Arena::map({.bytes = kMiB, .huge_pages = HugePages::kNone, .lock = true}, &why);
    ASSERT_FALSE(arena.ok());
    EXPECT_EQ(arena.status().code(), Code::kFull);
    EXPECT_THAT(why, HasSubstr("RLIMIT_MEMLOCK is 4096 bytes"));
  });
}

TEST(Arena, LockedMemoryIsPresent) {
  if (kMlockIsFaked) GTEST_SKIP() << "under this sanitizer mlock does nothing";
  std::string why;
  const auto arena = Arena::map({.bytes = 64 << 10, .huge_pages = HugePages::kNone, .lock = true}, &why);
  if (!arena.ok()) GTEST_SKIP() << "64 KiB cannot be locked here: " << why;
  EXPECT_EQ(resident_pages(arena->base(), arena->bytes()), 16U);
}

TEST(Populate, KeepsWhatIsThere) {
  const auto arena = Arena::map({.bytes = 2 * kMiB, .huge_pages = HugePages::kNone}, nullptr);
  ASSERT_TRUE(arena.ok());
  arena->base()[5] = std::byte{9};
  EXPECT_TRUE(populate(arena->base(), arena->bytes()).ok());
  EXPECT_EQ(arena->base()[5], std::byte{9});
}

// A root directory with the files that memory_limit reads.
class MemoryLimits : public ::testing::Test {
 protected:
  MemoryLimits() {
    std::string name = ::testing::TempDir() + "kelvin_limits_XXXXXX";
    root_ = ::mkdtemp(name.data());
    put("/proc/meminfo", "MemTotal:       1000 kB\nMemFree: 10 kB\n");
  }
  ~MemoryLimits() override { std::filesystem::remove_all(root_); }
  MemoryLimits(const MemoryLimits&) = delete;
  MemoryLimits& operator=(const MemoryLimits&) = delete;

  void put(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
};

TEST_F(MemoryLimits, AreTheMachinesWithoutGroups) {
  EXPECT_EQ(memory_limit(root_).bytes, 1000U << 10);
  EXPECT_THAT(memory_limit(root_).source, HasSubstr("/proc/meminfo"));
}

TEST_F(MemoryLimits, AreThoseOfTheInnermostGroupAndAllAboveIt) {
  put("/proc/self/cgroup", "0::/a/b\n");
  put("/sys/fs/cgroup/a/b/memory.max", "max\n");
  put("/sys/fs/cgroup/a/memory.max", "4096\n");
  EXPECT_EQ(memory_limit(root_).bytes, 4096U);
  put("/sys/fs/cgroup/a/b/memory.max", "100\n");
  EXPECT_EQ(memory_limit(root_).bytes, 100U);
  EXPECT_THAT(memory_limit(root_).source, HasSubstr("/a/b/memory.max"));
}

TEST_F(MemoryLimits, AreTheMountsInAContainer) {
  put("/proc/self/cgroup", "0::/not/visible/here\n");
  put("/sys/fs/cgroup/memory.max", "777\n");
  EXPECT_EQ(memory_limit(root_).bytes, 777U);
}

TEST_F(MemoryLimits, AreReadFromOlderGroupsToo) {
  put("/proc/self/cgroup", "9:cpu,cpuacct:/x\n8:memory:/x\nnonsense\n");
  put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "8192\n");
  EXPECT_EQ(memory_limit(root_).bytes, 8192U);
}

TEST_F(MemoryLimits, AreUnknownWhereNothingCanBeRead) {
  EXPECT_EQ(memory_limit(root_ + "/nowhere").bytes, ~std::uint64_t{0});
}

}  // namespace
}  // namespace kelvin
