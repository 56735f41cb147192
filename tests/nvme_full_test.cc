// A file of blocks whose reserved room is gone, on a file system that is full: writes fail in mid-run, on
// slots and on the slot table. The space serves on, loses nothing that was there, and writes again when there
// is room.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "kelvin/space.h"
#include "nvme_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 128;

// The parameter: mover.threads and the kind of I/O.
class NvmeFull : public ::testing::TestWithParam<std::tuple<std::uint32_t, const char*>> {
 protected:
  void SetUp() override {
    if (!mount_.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
    open();
  }
  void open() {
    space_.reset();
    const auto [threads, io] = GetParam();
    Config config = config_of(
        {tier_of("dram", "dram", kSlots),
         tier_of("drive", "nvme", 0, {{"path", mount_.file("blocks")}, {"direct", "auto"}, {"io", io}})},
        threads);
    config.tiers[1].capacity_bytes = nvme::kDataAlignment + kSlots * kBlockBytes;
    std::string why;
    auto opened = Space::open(config, &why);
    if (!opened.ok() && opened.status().code() == Code::kUnsupported) GTEST_SKIP() << why;
    ASSERT_TRUE(opened.ok()) << why;
    space_ = std::move(opened).value();
  }
  // Parts of the file lose their room.
  void punch(std::uint64_t offset, std::uint64_t bytes) const {
    const Fd blocks(::open(mount_.file("blocks").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::fallocate(blocks.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(offset), static_cast<off_t>(bytes)),
              0);
  }
  // All slots that hold nothing.
  void punch_free_slots() const {
    const Fd blocks(::open(mount_.file("blocks").c_str(), O_RDONLY | O_CLOEXEC));
    std::array<nvme::Record, kSlots> records;
    ASSERT_EQ(::pread(blocks.get(), records.data(), sizeof records, static_cast<off_t>(nvme::kTableOffset)),
              static_cast<ssize_t>(sizeof records));
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      if (records[slot].empty()) punch(nvme::kDataAlignment + slot * kBlockBytes, kBlockBytes);
    }
  }
  // The file system loses all that is left.
  void fill_up() const {
    const Fd filler(::open(mount_.file("filler").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const std::vector<char> page(4096, 'f');
    while (::write(filler.get(), page.data(), page.size()) > 0) {
    }
  }
  void give_room() { ASSERT_EQ(::unlink(mount_.file("filler").c_str()), 0); }
  std::size_t put_below(std::span<const BlockKey> chain, Status* status) {
    store_blocks(*space_, chain);
    return acquire_blocks(*space_, chain, kFar, status).size();
  }
  void expect_whole(std::span<const BlockKey> chain) {
    const Lease lease = acquire_blocks(*space_, chain);
    EXPECT_EQ(lease.size(), chain.size());
    EXPECT_TRUE(blocks_are(lease, chain));
  }
  TierStats drive() const { return space_->stats().tiers[1]; }

  nvme::ScratchMount mount_{"tmpfs", "size=8m"};
  std::unique_ptr<Space> space_;
};
std::string named(const ::testing::TestParamInfo<std::tuple<std::uint32_t, const char*>>& info) {
  const auto [threads, io] = info.param;
  return (threads == 0 ? "Polled_" : "OwnThread_") + std::string(io);
}
INSTANTIATE_TEST_SUITE_P(ThreadsAndIo, NvmeFull,
                         ::testing::Combine(::testing::Values(0u, 1u), ::testing::Values("uring", "threads")),
                         named);

TEST_P(NvmeFull, BlocksThatFindNoRoomStayAboveAndTheSpaceServesOn) {
  const auto before = chain_of(1, 10);
  Status status;
  ASSERT_EQ(put_below(before, &status), before.size()) << status.message();
  ASSERT_TRUE(space_->drop(before, kNear).ok());
  punch_free_slots();
  fill_up();
  std::vector<std::vector<BlockKey>> chains;
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    chains.push_back(chain_of(seed, 10));
    put_below(chains.back(), &status);
  }
  EXPECT_EQ(status.code(), Code::kFull) << status.message();
  EXPECT_TRUE(drive().online) << "no room is no fault";
  EXPECT_EQ(drive().quarantined, 0u);
  for (const auto& chain : chains) expect_whole(chain);
  expect_whole(before);
  give_room();
  ASSERT_EQ(put_below(chains.back(), &status), chains.back().size()) << status.message();
  EXPECT_TRUE(space_->settle(10s).ok());
  EXPECT_TRUE(nothing_leaked(*space_));
  open();
  expect_whole(before);
  expect_whole(chains.back());
}

TEST_P(NvmeFull, BlocksWhoseRecordFindsNoRoomAreNotAcknowledgedAndNotFound) {
  const auto chain = chain_of(1, 10);
  punch(nvme::kTableOffset, 2 * nvme::kPageBytes);
  fill_up();
  Status status;
  EXPECT_EQ(put_below(chain, &status), 0u);
  EXPECT_EQ(status.code(), Code::kFull) << status.message();
  EXPECT_TRUE(drive().online);
  expect_whole(chain);
  give_room();
  space_.reset();
  open();
  EXPECT_EQ(drive().recovered, 0u);
  ASSERT_EQ(put_below(chain, &status), chain.size()) << status.message();
  open();
  EXPECT_EQ(drive().recovered, chain.size());
  expect_whole(chain);
}

TEST_P(NvmeFull, ClosingWithoutRoomForTheTableLosesNoBlockThatWasAcknowledged) {
  const auto kept = chain_of(1, 10);
  const auto dropped = chain_of(2, 10);
  Status status;
  ASSERT_EQ(put_below(kept, &status), kept.size()) << status.message();
  ASSERT_EQ(put_below(dropped, &status), dropped.size()) << status.message();
  ASSERT_TRUE(space_->drop(dropped, kFar).ok());
  // The superblocks have no room either.
  punch(0, nvme::kPageBytes);
  fill_up();
  space_.reset();
  give_room();
  open();
  expect_whole(kept);
}

}  // namespace
}  // namespace kelvin::testing
