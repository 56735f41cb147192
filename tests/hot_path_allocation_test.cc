// The hot path allocates nothing: operator new and delete are counted_new.cc's, and count.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "counted_new.h"
#include "registry.h"
#include "space_fixture.h"
#include "tiers/fake/fake_streams.h"

namespace kelvin::testing {
namespace {

// How often `step` allocated.
template <class Step>
std::uint64_t allocated_by(Step&& step) {
  const std::uint64_t before = allocations();
  step();
  return allocations() - before;
}

TEST(Allocations, AreCountedWhateverTheirFormAndWhoeverMakesThem) {
  struct alignas(128) Wide {
    char bytes[128];
  };
  EXPECT_EQ(allocated_by([] { EXPECT_NE(std::vector<int>(100).data(), nullptr); }), 1u);
  EXPECT_EQ(allocated_by([] { EXPECT_NE(std::vector<Wide>(3).data(), nullptr); }), 1u);
  EXPECT_GE(allocated_by([] { std::thread([] { EXPECT_FALSE(std::string(1000, 'x').empty()); }).join(); }),
            2u);
  EXPECT_GT(allocated_by([] { EXPECT_TRUE(open_space(two_tiers(4, 4))); }), 10u)
      << "the library's own as well";
  EXPECT_EQ(allocated_by([] {}), 0u);
}

// Two tiers, driven by the test; chains 1 .. kChains of kLength blocks are in `far`.
class HotPath : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::uint32_t kLength = 40;
  static constexpr std::uint64_t kChains = 8;

  void SetUp() override {
    const std::string kind = GetParam();
    std::vector<Option> options;
    if (kind == "nvme") {
      if (find_tier_factory(kind) == nullptr) GTEST_SKIP() << "this build has no NVMe tier";
      options = {{"path", file_}, {"direct", "auto"}};
    }
    if (kind == "hbm") {
      if (find_tier_factory(kind) == nullptr) GTEST_SKIP() << "this build has no HBM tier";
      options = {{"device", "emulated:0"}};
    }
    space_ = open_space(config_of(
        {tier_of("near", "dram", 3 * kLength), tier_of("far", kind, 64 * kLength, std::move(options))}));
    ASSERT_NE(space_, nullptr);
    for (std::uint64_t seed = 0; seed < kChains; ++seed) {
      chains_.push_back(chain_of(seed + 1, kLength));
      store_blocks(*space_, chains_.back());
      ASSERT_EQ(acquire_blocks(*space_, chains_.back(), kFar).size(), kLength);
      ASSERT_TRUE(space_->drop(chains_.back(), kNear).ok());
    }
    fresh_.resize(kLength);
  }

  void TearDown() override {
    space_.reset();
    std::filesystem::remove(file_);
  }

  // Runs it until nothing new can turn up (pools have gone round, buffers have grown), then counts.
  template <class Step>
  std::uint64_t after_warm_up(Step&& step) {
    for (std::uint64_t i = 0; i < kRounds; ++i) step();
    return allocated_by([&] {
      for (std::uint64_t i = 0; i < kRounds; ++i) step();
    });
  }

  void poll_until_idle() {
    for (auto done = space_->poll(); done.ok() && *done != 0; done = space_->poll()) {
    }
  }
  const std::vector<BlockKey>& next_chain() { return chains_[++turn_ % kChains]; }
  // Keys that nobody has seen.
  std::span<const BlockKey> next_fresh() {
    for (BlockKey& key : fresh_) key = {1'000'000, ++last_fresh_};
    return fresh_;
  }

  static constexpr std::uint64_t kRounds = 40;

  const std::string file_ = KELVIN_BINARY_DIR "/hot_path_" + std::to_string(::getpid());
  std::unique_ptr<Space> space_;
  std::vector<std::vector<BlockKey>> chains_;
  std::vector<BlockKey> fresh_;
  std::uint64_t turn_ = 0;
  std::uint64_t last_fresh_ = 0;
  std::uint64_t blocks_ = 0;  // what the steps got, to see that they did anything
};

TEST_P(HotPath, MatchAllocatesNothing) {
  EXPECT_EQ(after_warm_up([&] { blocks_ += space_->match(next_chain()).blocks; }), 0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
}

TEST_P(HotPath, AcquireTakeAndReleaseOfWhatIsThereAllocateNothing) {
  EXPECT_EQ(after_warm_up([&] {
              auto ticket = space_->acquire(next_chain(), kFar);
              Lease lease = ticket->take();
              blocks_ += lease.size();
              if (!lease.release().ok()) blocks_ = 0;
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
}

TEST_P(HotPath, AcquireThatLoadsFromAnotherTierAllocatesNothing) {
  EXPECT_EQ(after_warm_up([&] {
              auto ticket = space_->acquire(next_chain(), kNear);
              if (!ticket->wait(10s).ok()) return;
              Lease lease = ticket->take();
              blocks_ += lease.size();
              poll_until_idle();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
  EXPECT_GT(space_->stats().links[1].copies, kRounds * kLength) << "near is too small for all chains";
}

TEST_P(HotPath, AllocatePublishAndReleaseAllocateNothingThoughOthersHaveToGo) {
  EXPECT_EQ(after_warm_up([&] {
              auto lease = space_->allocate(kLength, kNear);
              if (!lease.ok() || !space_->publish(*lease, next_fresh(), 0).ok()) return;
              blocks_ += lease->size();
              if (!lease->release().ok()) blocks_ = 0;
              poll_until_idle();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
  EXPECT_GT(space_->stats().tiers[0].dropped_last, 0u);
}

TEST_P(HotPath, PublishOfKnownBlocksAllocatesNothing) {
  const auto chain = chain_of(99, kLength);
  store_blocks(*space_, chain);
  EXPECT_EQ(after_warm_up([&] {
              auto lease = space_->allocate(kLength, kNear);
              if (lease.ok() && space_->publish(*lease, chain, 0).ok()) blocks_ += lease->size();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
  EXPECT_EQ(space_->stats().duplicates, 2 * kRounds * kLength);
}

TEST_P(HotPath, WaitingForRoomByDemotionAllocatesNothing) {
  AllocateOptions wait;
  wait.when_full = WhenFull::kWait;
  wait.timeout = 10s;
  EXPECT_EQ(after_warm_up([&] {
              auto lease = space_->allocate(kLength, kNear, wait);
              if (lease.ok() && space_->publish(*lease, next_fresh(), 0).ok()) blocks_ += lease->size();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
  EXPECT_GT(space_->stats().links[0].copies, kRounds * kLength);
}

TEST_P(HotPath, PollingWithNothingToDoAllocatesNothing) {
  EXPECT_EQ(after_warm_up([&] {
              if (space_->poll().ok()) ++blocks_;
            }),
            0u);
  EXPECT_EQ(blocks_, 2u * kRounds);
}

TEST_P(HotPath, DropAndExpectAllocateNothing) {
  EXPECT_EQ(after_warm_up([&] {
              space_->expect(next_chain(), 1ms);
              auto lease = space_->allocate(1, kNear);
              const auto keys = next_fresh().first(1);
              if (!lease.ok() || !space_->publish(*lease, keys, 0).ok() || !lease->release().ok()) return;
              if (space_->drop(keys).ok()) ++blocks_;
            }),
            0u);
  EXPECT_EQ(blocks_, 2u * kRounds);
}

INSTANTIATE_TEST_SUITE_P(Over, HotPath, ::testing::Values("fake", "dram", "nvme", "hbm"),
                         [](const auto& kind) { return std::string(kind.param); });

// Over a device, whose kernels are done at the end of each step.
class HotPathOfStreams : public HotPath {
 protected:
  void SetUp() override {
    space_ =
        open_space(config_of({tier_of("gpu", "fake", 3 * kLength, {{"device", "true"}, {"segments", "8"}}),
                              tier_of("dram", "dram", 64 * kLength)}));
    ASSERT_NE(space_, nullptr);
    streams_ = static_cast<FakeStreams*>(space_->tier_info(kNear)->streams);
    for (std::uint64_t seed = 0; seed < kChains; ++seed) {
      chains_.push_back(chain_of(seed + 1, kLength));
      store_blocks(*space_, chains_.back(), kFar);
    }
    fresh_.resize(kLength);
  }
  void end_step() {
    streams_->run_all();
    poll_until_idle();
  }

  FakeStreams* streams_ = nullptr;
  const Stream stream_ = FakeStreams::stream_of(1);
};

TEST_P(HotPathOfStreams, PublishingAndReleasingAllocateNothing) {
  EXPECT_EQ(after_warm_up([&] {
              auto lease = space_->allocate(kLength, kNear);
              if (!lease.ok() || !space_->publish_on(*lease, stream_, next_fresh(), 0).ok()) return;
              auto waiting = space_->acquire(fresh_, kNear);
              if (lease->release_on(stream_).ok() && waiting.ok() && !waiting->done()) blocks_ += kLength;
              if (!space_->poll().ok()) blocks_ = 0;
              end_step();
              if (!waiting->done() || waiting->take().size() != kLength) blocks_ = 0;
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
}

TEST_P(HotPathOfStreams, AcquiringWhatIsThereAllocatesNothing) {
  const auto chain = chain_of(50, kLength);
  store_blocks(*space_, chain);
  EXPECT_EQ(after_warm_up([&] {
              auto ticket = space_->acquire_on(chain, kNear, stream_);
              Lease lease = ticket->take();
              blocks_ += lease.size();
              if (!lease.release_on(stream_).ok()) blocks_ = 0;
              end_step();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
}

TEST_P(HotPathOfStreams, LoadingLayerByLayerAllocatesNothing) {
  std::array<Slot, kLength> slots;
  std::uint64_t told = 0;
  EXPECT_EQ(after_warm_up([&] {
              auto ticket = space_->acquire_on(next_chain(), kNear, stream_);
              for (std::uint32_t s = 1; s <= 8; ++s) {
                if (!ticket->wait_on_stream(s).ok()) return;
              }
              while (!ticket->done() && space_->poll().ok()) {
                told += ticket->segments_ready();
                if (ticket->slots(slots).ok()) ++told;
              }
              Lease lease = ticket->take();
              blocks_ += lease.size();
              if (!lease.release_on(stream_).ok()) blocks_ = 0;
              end_step();
            }),
            0u);
  EXPECT_EQ(blocks_, 2 * kRounds * kLength);
  EXPECT_GT(told, 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, HotPathOfStreams, ::testing::Values("device"),
                         [](const auto& kind) { return std::string(kind.param); });

// The same with the mover's thread and all it does beside the callers.
TEST(HotPathOfAMoverThread, LoadsAllocateNothing) {
  constexpr std::uint32_t kLength = 32;
  auto space = open_space(two_tiers(2 * kLength, 8 * kLength, 1));
  std::vector<std::vector<BlockKey>> chains;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    chains.push_back(chain_of(seed, kLength));
    store_blocks(*space, chains.back(), kFar);
  }
  std::uint64_t blocks = 0;
  const auto load_all = [&] {
    for (int round = 0; round < 10; ++round) {
      for (const auto& chain : chains) {
        auto ticket = space->acquire(chain, kNear);
        if (ticket.ok() && ticket->wait(10s).ok()) blocks += ticket->take().size();
      }
    }
  };
  load_all();
  EXPECT_EQ(allocated_by(load_all), 0u);
  EXPECT_EQ(blocks, 2 * 10 * 6 * kLength);
}

}  // namespace
}  // namespace kelvin::testing
