// A space over a file of blocks is opened again: what is found, what is not, and that no byte is wrong.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "kelvin/space.h"
#include "nvme_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 64;

class NvmeRecovery : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    ASSERT_FALSE(directory_.path().empty());
    open();
  }
  Config config() const {
    Config config = config_of(
        {tier_of("dram", "dram", kSlots), tier_of("drive", "nvme", 0, {{"path", path_}, {"direct", "auto"}})},
        GetParam());
    config.tiers[1].capacity_bytes = nvme::kDataAlignment + kSlots * kBlockBytes;
    return config;
  }
  void open() { space_ = open_space(config()); }
  void reopen() {
    space_.reset();
    open();
    ASSERT_NE(space_, nullptr);
  }
  // Below, and nowhere else.
  void put_below(std::span<const BlockKey> chain, std::size_t first = 0) {
    store_blocks(*space_, chain, kNear, first);
    ASSERT_EQ(acquire_blocks(*space_, chain, kFar).size(), chain.size());
    ASSERT_TRUE(space_->settle(10s).ok());
    ASSERT_TRUE(space_->drop(chain, kNear).ok());
  }
  void expect_whole(std::span<const BlockKey> chain) {
    EXPECT_EQ(space_->match(chain).blocks, chain.size());
    Status status;
    const Lease lease = acquire_blocks(*space_, chain, kNear, &status);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(lease.size(), chain.size());
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  std::uint32_t recovered() const { return space_->stats().tiers[1].recovered; }
  // Of the closed file: the slot of a block.
  std::uint32_t slot_of(const BlockKey& key) const {
    std::string why;
    auto medium = nvme::FileMedium::open({.path = path_, .require_direct = false}, &why);
    if (!medium.ok()) return 0;
    const auto volume = nvme::Volume::inspect(std::move(medium).value(), &why);
    nvme::Record record;
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      if ((*volume)->table()->get(slot, &record) && record.key == key) return slot;
    }
    ADD_FAILURE() << "the block is not there";
    return 0;
  }
  static std::uint64_t record_offset(std::uint32_t slot) {
    return nvme::kTableOffset + slot * sizeof(nvme::Record);
  }
  static std::uint64_t offset(std::uint32_t slot) { return nvme::kDataAlignment + slot * kBlockBytes; }
  void overwrite(std::uint64_t offset, const void* bytes, std::size_t count) const {
    const int fd = ::open(path_.c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(fd, bytes, count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
    ::close(fd);
  }

  nvme::ScratchDirectory directory_;
  const std::string path_ = directory_.file("blocks");
  std::unique_ptr<Space> space_;
};

std::string driven(const ::testing::TestParamInfo<std::uint32_t>& info) {
  return info.param == 0 ? "Polled" : "OwnThread";
}
INSTANTIATE_TEST_SUITE_P(Threads, NvmeRecovery, ::testing::Values(0u, 1u), driven);

TEST_P(NvmeRecovery, BlocksAreFoundAgainWithTheirBytes) {
  const auto chain = chain_of(1, 20);
  put_below(chain);
  reopen();
  EXPECT_EQ(recovered(), 20u);
  expect_whole(chain);
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(NvmeRecovery, TheyAreFoundAgainManyTimes) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    put_below(chain_of(seed, 8));
    reopen();
    EXPECT_EQ(recovered(), seed * 8);
  }
  for (std::uint64_t seed = 1; seed <= 6; ++seed) expect_whole(chain_of(seed, 8));
}

TEST_P(NvmeRecovery, WhatWasDroppedIsNotFoundAfterAnOrderlyEnd) {
  const auto kept = chain_of(1, 5);
  const auto dropped = chain_of(2, 5);
  put_below(kept);
  put_below(dropped);
  ASSERT_TRUE(space_->drop(dropped, kFar).ok());
  reopen();
  EXPECT_EQ(recovered(), 5u);
  EXPECT_EQ(space_->match(dropped).blocks, 0u);
  expect_whole(kept);
}

TEST_P(NvmeRecovery, FurtherBlocksOfARecoveredPrefixContinueIt) {
  const auto chain = chain_of(1, 12);
  put_below(std::span(chain).first(7));
  reopen();
  put_below(chain, 7);
  expect_whole(chain);
  reopen();
  EXPECT_EQ(recovered(), 12u);
  expect_whole(chain);
}

TEST_P(NvmeRecovery, AnOrphanIsFoundOnlyThroughItsWholePrefix) {
  const auto chain = chain_of(1, 6);
  put_below(chain);
  ASSERT_TRUE(space_->drop(std::span(chain).subspan(2, 1), kFar).ok());
  reopen();
  EXPECT_EQ(recovered(), 5u);
  EXPECT_EQ(space_->match(chain).blocks, 2u);
  const Lease lease = publish_blocks(*space_, std::span(chain).first(3), kNear, 2);
  expect_whole(chain);
}

TEST_P(NvmeRecovery, OrphansAreTheFirstToGo) {
  const auto broken = chain_of(1, 4);
  const auto whole = chain_of(2, 4);
  put_below(whole);
  put_below(broken);  // written later, and yet
  ASSERT_TRUE(space_->drop(std::span(broken).first(1), kFar).ok());
  reopen();
  ASSERT_EQ(recovered(), 7u);
  const auto news = chain_of(3, kSlots - 5);  // there is room for two fewer
  put_below(news);
  expect_whole(whole);
  EXPECT_EQ(space_->match(news).blocks, news.size());
}

TEST_P(NvmeRecovery, BytesThatRottedAreAMissAndForgotten) {
  const auto chain = chain_of(1, 3);
  put_below(chain);
  space_.reset();
  constexpr char kRot = 'R';
  overwrite(offset(slot_of(chain[1])) + 17, &kRot, 1);
  open();
  ASSERT_EQ(recovered(), 3u);
  Lease lease = acquire_blocks(*space_, chain);
  EXPECT_EQ(lease.size(), 1u);
  EXPECT_TRUE(blocks_are(lease, chain));
  EXPECT_TRUE(lease.release().ok());
  EXPECT_TRUE(space_->settle(10s).ok());  // what is wrong is dropped after whoever waited was answered
  EXPECT_EQ(space_->stats().tiers[1].dropped_corrupt, 1u);
  reopen();
  EXPECT_EQ(recovered(), 2u);
}

TEST_P(NvmeRecovery, ARecordThatRottedIsNotFound) {
  const auto chain = chain_of(1, 3);
  put_below(chain);
  space_.reset();
  constexpr char kRot = 'R';
  overwrite(record_offset(slot_of(chain[1])) + 5, &kRot, 1);
  open();
  EXPECT_EQ(recovered(), 2u);
}

TEST_P(NvmeRecovery, RecordsInEachOthersPlacesAreNotFound) {
  const auto chain = chain_of(1, 2);
  put_below(chain);
  space_.reset();
  const std::array<std::uint32_t, 2> slots = {slot_of(chain[0]), slot_of(chain[1])};
  std::array<nvme::Record, 2> records;
  const int fd = ::open(path_.c_str(), O_RDONLY);
  for (const std::size_t i : {0u, 1u}) {
    ASSERT_EQ(::pread(fd, &records[i], sizeof records[i], static_cast<off_t>(record_offset(slots[i]))),
              static_cast<ssize_t>(sizeof records[i]));
  }
  ::close(fd);
  for (const std::size_t i : {0u, 1u}) overwrite(record_offset(slots[i]), &records[1 - i], sizeof records[i]);
  open();
  EXPECT_EQ(recovered(), 0u);
}

TEST_P(NvmeRecovery, OfTwoSlotsWithOneBlockTheYoungerIsTaken) {
  const auto chain = chain_of(1, 1);
  put_below(chain);
  space_.reset();
  const std::uint32_t older = slot_of(chain[0]);
  const std::uint32_t younger = older == 9 ? 10 : 9;
  // The same block once more, by hand: its record says that it was written later.
  {
    std::string why;
    auto medium = nvme::FileMedium::open({.path = path_, .require_direct = false}, &why);
    ASSERT_TRUE(medium.ok()) << why;
    auto volume = nvme::Volume::inspect(std::move(medium).value(), &why);
    ASSERT_TRUE(volume.ok()) << why;
    nvme::SlotTable& table = *(*volume)->table();
    nvme::Record first;
    ASSERT_TRUE(table.get(older, &first));
    Copy copy;
    copy.key = chain[0];
    table.put(younger, copy, first.payload_checksum);
    ASSERT_TRUE((*volume)->write_table().ok());
    const auto bytes = pattern(content_of(chain[0]), kBlockBytes);
    overwrite(offset(younger), bytes.data(), bytes.size());
  }
  constexpr char kRot = 'R';
  overwrite(offset(older) + 17, &kRot, 1);  // the older one's bytes are bad
  open();
  EXPECT_EQ(recovered(), 1u);
  expect_whole(chain);
}

TEST_P(NvmeRecovery, AScratchTierStartsEmpty) {
  space_.reset();
  Config scratch = config();
  scratch.tiers[1].options.push_back({"persist", "false"});
  scratch.tiers[1].options[0].value = directory_.file("scratch");
  const auto chain = chain_of(1, 4);
  space_ = open_space(scratch);
  put_below(chain);
  space_.reset();
  space_ = open_space(scratch);
  EXPECT_EQ(recovered(), 0u);
  EXPECT_EQ(space_->match(chain).blocks, 0u);
}

// Stores one chain after the other, says so through `acknowledged`, and does not end by itself.
[[noreturn]] void store_for_ever(const Config& config, std::uint64_t seed, int acknowledged) {
  const auto space = open_space(config);
  if (space == nullptr) ::_exit(3);
  for (;; ++seed) {
    const auto chain = chain_of(seed, 4);
    store_blocks(*space, chain);
    if (acquire_blocks(*space, chain, kFar).size() != chain.size()) ::_exit(1);
    if (::write(acknowledged, &seed, sizeof seed) != sizeof seed) ::_exit(2);
  }
}

// A child stores blocks and is killed in the middle; another one goes on with what is left, and so on.
TEST(NvmeKill, WhatAKilledProcessHadStoredIsFoundAndRight) {
  constexpr int kKills = 200;
  std::mt19937 random(1);
  const nvme::ScratchDirectory directory;
  Config config =
      config_of({tier_of("dram", "dram", 16),
                 tier_of("drive", "nvme", 0, {{"path", directory.file("blocks")}, {"direct", "auto"}})},
                1);
  config.tiers[1].capacity_bytes = nvme::kDataAlignment + kSlots * kBlockBytes;
  std::uint64_t last = 0;
  std::uint64_t checked = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    std::array<int, 2> acknowledged{};
    ASSERT_EQ(::pipe(acknowledged.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) store_for_ever(config, last + 1, acknowledged[1]);
    ::close(acknowledged[1]);
    const std::uint64_t enough = last + random() % 10;
    while (last < enough && ::read(acknowledged[0], &last, sizeof last) == sizeof last) {
    }
    ::usleep(static_cast<useconds_t>(random() % 2000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(acknowledged[0], &last, sizeof last) == sizeof last) {
    }
    ::close(acknowledged[0]);

    const auto space = open_space(config);
    ASSERT_NE(space, nullptr);
    // The last ones that were acknowledged fit into the drive: nothing may have pushed them out. Of older
    // ones some are left; one more may have been under way.
    for (std::uint64_t seed = 1; seed <= last + 1; ++seed) {
      const auto chain = chain_of(seed, 4);
      const std::size_t known = space->match(chain).blocks;
      if (seed <= last && seed + 8 > last) {
        ASSERT_EQ(known, 4u) << space->stats().tiers[1].recovered << " recovered, kill " << kill << ", chain "
                             << seed << " of " << last;
      }
      if (known == 0) continue;
      const Lease lease = acquire_blocks(*space, chain);
      ASSERT_TRUE(blocks_are(lease, chain)) << "kill " << kill << ", chain " << seed;
      checked += lease.size();
    }
  }
  RecordProperty("blocks_checked", static_cast<int>(checked));
  EXPECT_GT(last, static_cast<std::uint64_t>(kKills));
}

}  // namespace
}  // namespace kelvin::testing
