// Copies in a persistent tier are read in quiet moments, and those that have rotted are forgotten.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/fd.h"
#include "faulty_link.h"
#include "kelvin/space.h"
#include "nvme_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 64;
constexpr auto kDeadline = 1s;

// The parameter: mover.threads. Time passes where a test says so.
class SpaceScrub : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override { ASSERT_FALSE(directory_.path().empty()); }
  void TearDown() override {
    faults_.clear();
    space_.reset();
  }

  Config config(std::uint64_t blocks_a_second) const {
    Config config = config_of(
        {tier_of("dram", "dram", kSlots), tier_of("drive", "nvme", 0, {{"path", path_}, {"direct", "auto"}})},
        GetParam());
    config.tiers[1].capacity_bytes = nvme::kDataAlignment + kSlots * kBlockBytes;
    config.tiers[1].scrub = blocks_a_second * kBlockBytes;
    config.mover.deadline_ns = std::chrono::nanoseconds(kDeadline).count();
    config.mover.retry_offline_ns = 0;
    return config;
  }
  void open(std::uint64_t blocks_a_second) {
    space_.reset();
    Parts parts = faults_.parts();
    parts.clock = time_.clock();
    space_ = open_space(config(blocks_a_second), std::move(parts));
    ASSERT_NE(space_, nullptr);
  }
  // Blocks that lie on the drive alone, of a space that is closed again.
  void make_blocks(std::span<const BlockKey> chain) {
    open(0);
    store_blocks(*space_, chain);
    ASSERT_EQ(acquire_blocks(*space_, chain, kFar).size(), chain.size());
    space_.reset();
  }
  // Where a block's bytes lie in the file, which is closed.
  void find(const BlockKey& key, std::uint64_t* offset) const {
    std::string why;
    auto medium = nvme::FileMedium::open({.path = path_, .require_direct = false}, &why);
    ASSERT_TRUE(medium.ok()) << why;
    const auto volume = nvme::Volume::inspect(std::move(medium).value(), &why);
    ASSERT_TRUE(volume.ok()) << why;
    nvme::Record record;
    *offset = 0;
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      if ((*volume)->table()->get(slot, &record) && record.key == key)
        *offset = (*volume)->geometry().offset(slot);
    }
    ASSERT_NE(*offset, 0u);
  }
  void flip_a_bit(std::uint64_t offset) const {
    const Fd file(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    std::byte byte{};
    ASSERT_EQ(::pread(file.get(), &byte, 1, static_cast<off_t>(offset + 99)), 1);
    byte ^= std::byte{0x10};
    ASSERT_EQ(::pwrite(file.get(), &byte, 1, static_cast<off_t>(offset + 99)), 1);
  }
  // In the closed file.
  void rot(const BlockKey& key) const {
    std::uint64_t offset = 0;
    ASSERT_NO_FATAL_FAILURE(find(key, &offset));
    flip_a_bit(offset);
  }

  TierStats drive() const { return space_->stats().tiers[1]; }
  std::uint64_t in_flight() const {
    std::uint64_t sum = 0;
    for (const LinkStats& link : space_->stats().links) sum += link.in_flight;
    return sum;
  }
  void step() const {
    if (GetParam() == 0) {
      for (int i = 0; i < 4; ++i) static_cast<void>(space_->poll());
    } else {
      std::this_thread::sleep_for(500us);
    }
  }
  template <class Condition>
  ::testing::AssertionResult comes_true(Condition condition) const {
    for (int i = 0; i < 20'000; ++i) {
      step();
      if (condition()) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "waited in vain";
  }
  // Time passes only while nothing is read: however slow the drive is, no copy is overdue.
  template <class Condition>
  ::testing::AssertionResult comes_with_time(Condition condition) {
    return comes_true([&] {
      if (in_flight() == 0) time_.pass(5ms);
      return condition();
    });
  }
  // So many copies in all.
  ::testing::AssertionResult reads(std::uint64_t copies) {
    return comes_with_time([&] { return drive().scrubbed >= copies; });
  }

  nvme::ScratchDirectory directory_;
  const std::string path_ = directory_.file("blocks");
  VirtualClock time_;
  Faults faults_;
  std::unique_ptr<Space> space_;
};

std::string driven(const ::testing::TestParamInfo<std::uint32_t>& info) {
  return info.param == 0 ? "Polled" : "OwnThread";
}
INSTANTIATE_TEST_SUITE_P(Threads, SpaceScrub, ::testing::Values(0u, 1u), driven);

TEST_P(SpaceScrub, FindsWhatHasRottedBeforeAnybodyAsksAndForgetsIt) {
  const auto chain = chain_of(1, 20);
  make_blocks(chain);
  for (const std::size_t i : {3u, 4u, 17u}) rot(chain[i]);
  open(100);
  EXPECT_EQ(drive().recovered, 20u);
  ASSERT_TRUE(reads(20));
  EXPECT_EQ(drive().scrubbed_bad, 3u);
  EXPECT_EQ(drive().dropped_corrupt, 3u);
  EXPECT_EQ(space_->match(chain).blocks, 3u);
  ASSERT_TRUE(comes_true([&] { return in_flight() == 0; }));
  open(0);
  EXPECT_EQ(drive().recovered, 17u) << "what was forgotten is not found again";
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(SpaceScrub, LeavesWhatIsRightWhereItIs) {
  const auto chain = chain_of(1, 20);
  make_blocks(chain);
  open(100);
  ASSERT_TRUE(reads(60)) << "it begins anew after the last slot";
  EXPECT_EQ(drive().scrubbed_bad, 0u);
  EXPECT_EQ(drive().resident, 20u);
  const TierStats near = space_->stats().tiers[0];
  EXPECT_EQ(near.resident, 0u) << "what is verified is not promoted";
  const Lease lease = acquire_blocks(*space_, chain);
  EXPECT_EQ(lease.size(), chain.size());
  EXPECT_TRUE(blocks_are(lease, chain));
}

TEST_P(SpaceScrub, IsOffByDefault) {
  make_blocks(chain_of(1, 20));
  open(TierConfig().scrub);
  for (int i = 0; i < 50; ++i) {
    time_.pass(100ms);
    step();
  }
  EXPECT_EQ(drive().scrubbed, 0u);
}

TEST_P(SpaceScrub, ReadsNoMoreThanItsBudget) {
  make_blocks(chain_of(1, 20));
  open(10);
  for (int i = 0; i < 200; ++i) {
    time_.pass(25ms);  // 5 s in all
    step();
    ASSERT_TRUE(comes_true([&] { return in_flight() == 0; }));
  }
  EXPECT_LE(drive().scrubbed, 10u * 5 + 2);
  if (GetParam() == 0) {
    EXPECT_GE(drive().scrubbed, 10u * 5 - 5);  // its own thread looks when it gets to it
  }
}

TEST_P(SpaceScrub, WaitsWhileSomebodyElseReads) {
  const auto chain = chain_of(1, 20);
  make_blocks(chain);
  open(0);
  space_.reset();
  faults_.add({.link = "drive>dram", .times = 1, .held = true});
  open(100);
  // Whoever comes first, the space's own thread or somebody who asks, is held up.
  auto ticket = space_->acquire(std::span(chain).first(1), kNear);
  ASSERT_TRUE(ticket.ok());
  ASSERT_TRUE(comes_true([&] { return in_flight() != 0; }));
  const std::uint64_t before = drive().scrubbed;
  for (int i = 0; i < 40; ++i) {
    time_.pass(10ms);  // not as long as the deadline
    step();
  }
  EXPECT_EQ(drive().scrubbed, before);
  faults_.let_go();
  ASSERT_TRUE(comes_true([&] { return ticket->done(); }));
  EXPECT_EQ(ticket->take().size(), 1u);
  EXPECT_TRUE(reads(before + 5));
}

TEST_P(SpaceScrub, WaitsForAFreeSlotAbove) {
  const auto chain = chain_of(1, 20);
  make_blocks(chain);
  open(100);
  std::vector<Lease> all;
  ASSERT_TRUE(comes_true([&] {  // one of them may be in use for a moment
    while (all.size() < kSlots) {
      auto one = space_->allocate(1, kNear);
      if (!one.ok()) return false;
      all.push_back(std::move(one).value());
    }
    return true;
  }));
  const std::uint64_t before = drive().scrubbed;
  for (int i = 0; i < 40; ++i) {
    time_.pass(100ms);
    step();
  }
  EXPECT_EQ(drive().scrubbed, before);
  all.clear();
  EXPECT_TRUE(reads(before + 5));
}

TEST_P(SpaceScrub, LeavesARottenCopyThatIsLeasedUntilItIsReleased) {
  const auto chain = chain_of(1, 2);
  make_blocks(chain);
  std::uint64_t offset = 0;
  ASSERT_NO_FATAL_FAILURE(find(chain[1], &offset));
  open(100);
  Lease held = acquire_blocks(*space_, chain, kFar);
  ASSERT_EQ(held.size(), 2u);
  flip_a_bit(offset);  // now, since a rotten one that is found before it is leased is gone
  ASSERT_TRUE(comes_with_time([&] { return drive().scrubbed_bad > 0; }));
  EXPECT_EQ(drive().resident, 2u);
  ASSERT_TRUE(held.release().ok());
  EXPECT_TRUE(comes_with_time([&] { return drive().resident == 1; }));
}

TEST_P(SpaceScrub, AnErrorOfTheDeviceSetsTheSlotAside) {
  const auto chain = chain_of(1, 5);
  make_blocks(chain);
  open(0);
  space_.reset();
  faults_.add({.link = "drive>dram", .trouble = Trouble::kError, .times = 3});  // a copy, tried three times
  open(100);
  ASSERT_TRUE(reads(20));
  EXPECT_EQ(drive().scrubbed_bad, 1u);
  EXPECT_EQ(drive().quarantined, 1u);
  EXPECT_EQ(drive().resident, 4u);
  EXPECT_TRUE(drive().online);
}

TEST_P(SpaceScrub, ADeviceThatHangsMeanwhileGoesOfflineAndComesBack) {
  const auto chain = chain_of(1, 20);
  make_blocks(chain);
  open(0);
  space_.reset();
  faults_.add({.link = "drive>dram", .stuck = true});
  open(100);
  ASSERT_TRUE(comes_with_time([&] { return in_flight() == 1; }));
  time_.pass(kDeadline);
  ASSERT_TRUE(comes_true([&] { return !drive().online; }));
  EXPECT_TRUE(space_->settle(10s).ok()) << "nobody waits for it";
  faults_.clear();
  ASSERT_TRUE(comes_true([&] { return in_flight() == 0; }));
  ASSERT_TRUE(comes_true([&] { return space_->bring_back(kFar).ok(); }));
  const auto news = chain_of(2, 5);
  store_blocks(*space_, news);
  EXPECT_EQ(acquire_blocks(*space_, news, kFar).size(), news.size());
  EXPECT_TRUE(reads(drive().scrubbed + 10)) << "and it is verified again";
  EXPECT_EQ(drive().scrubbed_bad, 0u);
}

TEST_P(SpaceScrub, WhatIsBeingReadWhenTheSpaceClosesIsWaitedFor) {
  make_blocks(chain_of(1, 20));
  for (int i = 0; i < 20; ++i) {
    open(1'000'000);
    for (int n = 0; n < i; ++n) {
      time_.pass(1ms);
      step();
    }
    space_.reset();
  }
}

TEST_P(SpaceScrub, NeitherSettleNorDueTimesAreHeldUpByIt) {
  make_blocks(chain_of(1, 20));
  open(1'000'000'000);
  EXPECT_TRUE(space_->settle(10s).ok());
  if (GetParam() != 0) return;
  ASSERT_TRUE(comes_true([&] { return in_flight() == 0; }) || drive().scrubbed > 0);
  EXPECT_NE(space_->due_ns(), Policy::kNever);
}

}  // namespace
}  // namespace kelvin::testing
