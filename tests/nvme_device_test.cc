// Raw devices: a loop device made here, and those that KELVIN_TEST_BLOCK_DEVICE and KELVIN_TEST_CHAR_DEVICE
// name, whose content is lost. What they hold is respected, what is written comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "checksum/crc32c.h"
#include "nvme_device_fixture.h"
#include "tiers/nvme/nvme_link.h"

namespace kelvin::nvme {
namespace {

using testing::acquire_blocks;
using testing::blocks_are;
using testing::chain_of;
using testing::kBlockBytes;
using testing::kFar;
using testing::kNear;
using testing::store_blocks;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

class NvmeDevice : public DeviceTest {
 protected:
  Config config() const {
    Config config =
        testing::config_of({testing::tier_of("dram", "dram", 64), testing::tier_of("drive", "nvme", 0)});
    config.tiers[1].options = {{"path", path_}};
    config.tiers[1].capacity_bytes = kDataAlignment + 64 * kBlockBytes;
    return config;
  }
  static void put_below(Space& space, std::span<const BlockKey> chain) {
    store_blocks(space, chain);
    ASSERT_EQ(acquire_blocks(space, chain, kFar).size(), chain.size());
    ASSERT_TRUE(space.settle(10s).ok());
  }
  // Copies blocks 0 .. slots-1 of `from` to those of the same number; their checksums.
  std::vector<std::uint32_t> copy_all(const Tier& from, const Tier& to, std::uint32_t slots) {
    std::vector<std::uint32_t> sums(slots);
    auto link = kNvmeLink.connect({.from = from, .to = to, .clock = {}}, &why_);
    EXPECT_TRUE(link.ok()) << why_;
    if (!link.ok()) return sums;
    const std::string queue = static_cast<const NvmeLink&>(**link).queue_description();
    std::string refusal;
    if (is_char()) {
      EXPECT_THAT(queue, HasSubstr("io_uring, commands"));
    }
    if (has_uring(&refusal)) {
      EXPECT_THAT(queue, HasSubstr("fixed buffers"));
    }
    std::vector<Copy> copies;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      copies.push_back({.tag = slot, .from = Slot(slot), .to = Slot(slot), .key = {slot, 1}, .parent = {}});
    }
    EXPECT_EQ((*link)->submit(copies), slots);
    for (std::uint32_t ended = 0; ended < slots;) {
      pollfd wake{(*link)->info().wake_fd, POLLIN, 0};
      if (::poll(&wake, 1, 60'000) != 1) {
        ADD_FAILURE() << "wake_fd stayed silent";
        return sums;
      }
      std::array<Completion, 8> done;
      const std::size_t n = (*link)->poll(done);
      for (const Completion& c : std::span(done).first(n)) {
        EXPECT_TRUE(c.status.ok()) << c.status.message();
        sums[c.tag] = c.checksum;
      }
      ended += static_cast<std::uint32_t>(n);
    }
    return sums;
  }
};

TEST_P(NvmeDevice, ABlankOneIsTakenAndTakenAgain) {
  std::uint64_t bytes = 0;
  {
    const auto tier = open();
    ASSERT_TRUE(tier.ok()) << why_;
    const MediumInfo& info = NvmeTier::of(**tier)->volume(0).medium().info();
    EXPECT_EQ(info.kind, is_char() ? MediumKind::kCharacterDevice : MediumKind::kBlockDevice);
    EXPECT_TRUE(info.direct);
    bytes = info.bytes;
    EXPECT_GE(bytes, kDeviceCapacity);
  }
  ASSERT_TRUE(open().ok()) << why_;
  EXPECT_EQ(size(), bytes) << "a device is never shortened";
}

TEST_P(NvmeDevice, ACapacityBeyondItIsRefusedAndItStaysBlank) {
  const std::uint64_t bytes = size();
  EXPECT_EQ(open(bytes + 64 * kMiB).status().code(), Code::kFull);
  EXPECT_THAT(why_, HasSubstr("lower the capacity"));
  EXPECT_TRUE(open().ok()) << why_;
}

TEST_P(NvmeDevice, BlocksComeBackAsTheyWereWritten) {
  struct Shape {
    std::uint64_t block_bytes;
    std::uint32_t segments;
    std::uint32_t slots;
  };
  for (const Shape shape :
       {Shape{64 * kKiB, 1, 24}, {2 * kMiB, 1, 8}, {1536 * kKiB, 12, 8}, {240 * kKiB, 60, 12}}) {
    SCOPED_TRACE(shape.block_bytes);
    erase();
    auto medium = open_medium({.path = path_}, &why_);
    ASSERT_TRUE(medium.ok()) << why_;
    auto volume = Volume::open(std::move(medium).value(), volume_config(shape.block_bytes, shape.slots),
                               Content::kNothing, &why_);
    ASSERT_TRUE(volume.ok()) << why_;
    std::vector<std::unique_ptr<Volume>> volumes;
    volumes.push_back(std::move(volume).value());
    const NvmeTier drive("drive", std::move(volumes), LinkSettings{});
    const AlignedTier memory(shape.slots, shape.block_bytes, shape.segments);
    const auto each = [&](std::uint32_t slot, auto use) {
      for (std::uint32_t s = 0; s < shape.segments; ++s) {
        use(memory.address(Slot(slot), s).pointer, memory.info().segment_bytes, s);
      }
    };
    const auto fill = [&](std::uint32_t slot) {
      each(slot, [&](std::byte* at, std::uint64_t bytes, std::uint32_t s) {
        for (std::uint64_t i = 0; i < bytes; i += 8) {
          const std::uint64_t word = (slot + 1) * 0x9E3779B97F4A7C15ULL * (s + 1) + i;
          std::memcpy(at + i, &word, 8);
        }
      });
    };
    const auto sum = [&](std::uint32_t slot) {
      std::uint32_t crc = 0;
      each(slot,
           [&](const std::byte* at, std::uint64_t bytes, std::uint32_t) { crc = crc32c(at, bytes, crc); });
      return crc;
    };
    std::vector<std::uint32_t> sums;
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      fill(slot);
      sums.push_back(sum(slot));
    }
    EXPECT_EQ(copy_all(memory, drive, shape.slots), sums);
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      each(slot, [](std::byte* at, std::uint64_t bytes, std::uint32_t) { std::memset(at, 0xEE, bytes); });
    }
    EXPECT_EQ(copy_all(drive, memory, shape.slots), sums);
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) EXPECT_EQ(sum(slot), sums[slot]) << slot;
  }
}

TEST_P(NvmeDevice, BlocksOutliveTheSpace) {
  const auto chain = chain_of(1, 40);
  auto space = testing::open_space(config());
  ASSERT_NE(space, nullptr);
  put_below(*space, chain);
  space.reset();
  space = testing::open_space(config());
  ASSERT_NE(space, nullptr);
  EXPECT_EQ(space->stats().tiers[1].recovered, 40u);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 40u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(NvmeDevice, BlocksOutliveAKilledProcess) {
  const auto chain = chain_of(1, 40);
  const auto late = chain_of(2, 20);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto space = testing::open_space(config());
    if (space == nullptr) ::_exit(1);
    put_below(*space, chain);
    store_blocks(*space, late);
    const auto under_way = space->acquire(late, kFar);
    for (int i = 0; i < 5; ++i) static_cast<void>(space->poll());
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto space = testing::open_space(config());
  ASSERT_NE(space, nullptr);
  EXPECT_GE(space->stats().tiers[1].recovered, 40u);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 40u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, late), late)) << "as many as were whole";
}

// KELVIN_TEST_DISCARDS: the device reads as something else where bytes were discarded. Not all do.
TEST_P(NvmeDevice, DiscardedSlotsLoseTheirBytesAndTheirNeighboursDoNot) {
  constexpr std::uint32_t kSlots = 48;
  constexpr std::uint64_t kBlock = 64 * kKiB;
  auto medium = open_medium({.path = path_}, &why_);
  ASSERT_TRUE(medium.ok()) << why_;
  if (!(*medium)->info().discards) GTEST_SKIP() << path_ << " does not want to know what is not needed";
  auto volume =
      Volume::open(std::move(medium).value(), volume_config(kBlock, kSlots), Content::kNothing, &why_);
  ASSERT_TRUE(volume.ok()) << why_;
  std::vector<std::unique_ptr<Volume>> volumes;
  volumes.push_back(std::move(volume).value());
  const NvmeTier drive("drive", std::move(volumes), LinkSettings{});
  const AlignedTier memory(kSlots, kBlock);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    std::memset(memory.address(Slot(slot), 0).pointer, static_cast<int>(slot + 1), kBlock);
  }
  const std::vector<std::uint32_t> sums = copy_all(memory, drive, kSlots);
  std::vector<Slot> run;
  for (std::uint32_t slot = 8; slot < 40; ++slot) run.emplace_back(slot);
  drive.info().ledger->forget(run);
  ASSERT_NE(drive.info().discarder, nullptr);
  ASSERT_TRUE(drive.info().discarder->begin(run));
  while (!drive.info().discarder->over()) ::usleep(1'000);
  EXPECT_TRUE(drive.info().discarder->begin({})) << "the device refused";
  const std::vector<std::uint32_t> after = copy_all(drive, memory, kSlots);
  std::uint32_t lost = 0;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    if (slot >= 8 && slot < 40) {
      if (after[slot] != sums[slot]) ++lost;
    } else {
      EXPECT_EQ(after[slot], sums[slot]) << slot;
    }
  }
  std::printf("%u of %zu discarded blocks are gone from %s\n", lost, run.size(), path_.c_str());
  if (std::strcmp(GetParam(), "Loop") == 0 || !environment("KELVIN_TEST_DISCARDS").empty()) {
    EXPECT_EQ(lost, run.size());
  }
  EXPECT_EQ(copy_all(memory, drive, kSlots).size(), kSlots) << "and all can be written again";
}

TEST_P(NvmeDevice, WhatStaysFreeInASpaceIsDiscardedAndWhatIsHeldIsNot) {
  constexpr std::uint64_t kEnough = 4096;
  Config wide = config();
  wide.tiers[1].capacity_bytes = 48 * kMiB;
  testing::VirtualClock time;
  Parts parts;
  parts.clock = time.clock();
  auto space = testing::open_space(wide, std::move(parts));
  ASSERT_NE(space, nullptr);
  if (space->tier_info(kFar)->discarder == nullptr) GTEST_SKIP() << path_ << " does not want to know";
  const auto before = chain_of(1, 40);
  put_below(*space, before);
  for (int i = 0; i < 20'000 && space->stats().tiers[1].discarded < kEnough; ++i) {
    time.pass(100ms);
    ASSERT_TRUE(space->poll().ok());
    ::usleep(200);
  }
  EXPECT_GE(space->stats().tiers[1].discarded, kEnough);
  const auto after = chain_of(2, 20);
  put_below(*space, after);
  space.reset();
  wide.tiers[1].options.push_back({"discard", "off"});
  space = testing::open_space(wide);
  ASSERT_NE(space, nullptr);
  EXPECT_EQ(space->tier_info(kFar)->discarder, nullptr);
  EXPECT_EQ(space->stats().tiers[1].recovered, 60u);
  for (const auto& chain : {before, after}) {
    const Lease lease = acquire_blocks(*space, chain);
    EXPECT_EQ(lease.size(), chain.size());
    EXPECT_TRUE(blocks_are(lease, chain));
  }
}

TEST_P(NvmeDevice, PollingWorksOrIsRefusedWithItsReason) {
  auto polled = config();
  polled.tiers[1].options.push_back({"poll", "true"});
  auto space = Space::open(polled, &why_);
  if (!space.ok()) {
    EXPECT_EQ(space.status().code(), Code::kUnsupported);
    EXPECT_THAT(why_, AllOf(HasSubstr(path_), HasSubstr("poll = false")));
    GTEST_SKIP() << why_;
  }
  const auto chain = chain_of(3, 40);
  put_below(**space, chain);
  ASSERT_TRUE((*space)->drop(chain, kNear).ok());
  const Lease lease = acquire_blocks(**space, chain);
  EXPECT_EQ(lease.size(), 40u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

// KELVIN_TEST_PULL_COMMAND: what takes the drive out of the machine. It does not come back.
TEST_P(NvmeDevice, OneThatIsPulledOutTakesOnlyItsSlotsWithIt) {
  const std::string pull = environment("KELVIN_TEST_PULL_COMMAND");
  if (pull.empty()) GTEST_SKIP() << "set KELVIN_TEST_PULL_COMMAND to a command that takes the drive away";
  auto striped = config();
  striped.tiers[1].options = {{"path", path_ + "\n" + directory_.file("blocks")}, {"direct", "auto"}};
  striped.tiers[1].capacity_bytes *= 2;
  auto space = testing::open_space(striped);
  ASSERT_NE(space, nullptr);
  constexpr std::uint64_t kBlocks = 40;
  for (std::uint64_t i = 0; i < kBlocks; ++i) put_below(*space, chain_of(i, 1));
  for (std::uint64_t i = 0; i < kBlocks; ++i) ASSERT_TRUE(space->drop(chain_of(i, 1), kNear).ok());
  ASSERT_EQ(std::system(pull.c_str()), 0) << pull;  // NOLINT(concurrency-mt-unsafe): nobody else does
  const auto loaded = [&](std::uint64_t first) {
    std::uint64_t count = 0;
    for (std::uint64_t i = first; i < first + kBlocks; ++i) {
      const Lease lease = acquire_blocks(*space, chain_of(i, 1));
      EXPECT_TRUE(blocks_are(lease, chain_of(i, 1)));
      count += lease.size();
    }
    return count;
  };
  EXPECT_EQ(loaded(0), kBlocks / 2);
  EXPECT_TRUE(space->stats().tiers[1].online);
  for (std::uint64_t i = 100; i < 100 + kBlocks; ++i) {
    store_blocks(*space, chain_of(i, 1));
    acquire_blocks(*space, chain_of(i, 1), kFar);
  }
  ASSERT_TRUE(space->settle(30s).ok());
  for (std::uint64_t i = 100; i < 100 + kBlocks; ++i) static_cast<void>(space->drop(chain_of(i, 1), kNear));
  EXPECT_GT(loaded(100), 0u) << "the other goes on";
  const TierStats after = space->stats().tiers[1];
  EXPECT_TRUE(after.online);
  EXPECT_GE(after.quarantined, kBlocks / 2);
  EXPECT_LE(after.quarantined, 64u) << "those of the lost one at most";
}

INSTANTIATE_TEST_SUITE_P(Devices, NvmeDevice, ::testing::Values("Loop", "Block", "Char"), kind_name);

}  // namespace
}  // namespace kelvin::nvme
