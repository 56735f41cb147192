// The tier "hbm": where its slots lie, what it says to a config or to memory that cannot be, and a space over
// it, host memory and a drive.
#include "tiers/hbm/hbm_tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "hbm_fixture.h"
#include "registry.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

using namespace kelvin::hbm;
using ::testing::HasSubstr;

constexpr std::uint64_t kBlock = 16 << 10;

const std::byte* at(const Tier& tier, std::uint32_t slot, std::uint32_t segment) {
  return tier.address(Slot(slot), segment).pointer;
}

TEST(HbmTier, OwnedSlotsLieAsTheOrderSays) {
  HbmSetup setup{.block_bytes = kBlock, .slots = 4, .settings = on("emulated:0")};
  const auto run = open_tier(setup);
  EXPECT_EQ(at(*run, 1, 0) - at(*run, 0, 0), static_cast<std::ptrdiff_t>(kBlock));
  setup.settings.segments = 4;
  const auto blocks = open_tier(setup);
  EXPECT_EQ(at(*blocks, 0, 1) - at(*blocks, 0, 0), static_cast<std::ptrdiff_t>(kBlock / 4));
  EXPECT_EQ(at(*blocks, 1, 0) - at(*blocks, 0, 0), static_cast<std::ptrdiff_t>(kBlock));
  setup.settings.segments_apart = true;
  const auto segments = open_tier(setup);
  EXPECT_EQ(at(*segments, 0, 1) - at(*segments, 0, 0), static_cast<std::ptrdiff_t>(kBlock));
  EXPECT_EQ(at(*segments, 1, 0) - at(*segments, 0, 0), static_cast<std::ptrdiff_t>(kBlock / 4));
  EXPECT_EQ(segments->info().kind, TierKind::kHbm);
  EXPECT_EQ(segments->info().segments, 4U);
  EXPECT_FALSE(segments->info().adopted);
}

TEST(HbmTier, AdoptedSlotsLieWhereTheEngineSays) {
  EmulatedDevice& device = own_device(200);
  for (const Paging paging : {Paging::kLayerFirst, Paging::kPageFirst, Paging::kCrossLayer}) {
    const EngineMemory engine = engine_memory(device, paging, kBlock, 4, 6);
    const auto tier =
        open_tier({.block_bytes = kBlock, .settings = on("emulated:200"), .adopted = &engine.adopted});
    ASSERT_NE(tier, nullptr);
    EXPECT_TRUE(tier->info().adopted);
    EXPECT_EQ(tier->info().slots, 6U);
    for (std::uint32_t g = 0; g < tier->info().segments; ++g)
      EXPECT_EQ(at(*tier, 5, g), engine.adopted.bases[g] + 5 * engine.adopted.stride_bytes);
  }
}

// What is wrong, and what its message says.
struct Mistake {
  const char* says;
  void (*make)(HbmSetup& setup, AdoptedMemory& memory);
};

class AdoptedMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(AdoptedMistake, IsRefusedWithWhatToMend) {
  EmulatedDevice& device = own_device(201);
  EngineMemory engine = engine_memory(device, Paging::kLayerFirst, kBlock, 4, 6);
  HbmSetup setup{.block_bytes = kBlock, .settings = on("emulated:201"), .adopted = &engine.adopted};
  GetParam().make(setup, engine.adopted);
  std::string why;
  EXPECT_EQ(try_open(setup, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("tier 'hbm': its adopted memory (Parts::adopted) is wrong: "));
  EXPECT_THAT(why, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Of, AdoptedMistake,
    ::testing::Values(
        Mistake{"no bases", [](HbmSetup&, AdoptedMemory& m) { m.bases.clear(); }},
        Mistake{"a base is null", [](HbmSetup&, AdoptedMemory& m) { m.bases[2] = nullptr; }},
        Mistake{"overlap", [](HbmSetup&, AdoptedMemory& m) { m.bases[1] = m.bases[0] + 16; }},
        Mistake{"are not a block of", [](HbmSetup&, AdoptedMemory& m) { m.segment_bytes /= 2; }},
        Mistake{"a stride of", [](HbmSetup&, AdoptedMemory& m) { m.stride_bytes = 16; }},
        Mistake{"0 slots cannot be", [](HbmSetup&, AdoptedMemory& m) { m.slots = 0; }},
        Mistake{"segment 3 of its slots", [](HbmSetup&, AdoptedMemory& m) { m.bases[3] += 16; }},
        Mistake{"is not memory of emulated:0",
                [](HbmSetup& s, AdoptedMemory&) { s.settings.device = "emulated:0"; }},
        Mistake{"but segments = 2: leave the key out",
                [](HbmSetup& s, AdoptedMemory&) { s.settings.segments = 2; }},
        Mistake{"cannot share it", [](HbmSetup& s, AdoptedMemory&) { s.settings.shared = true; }},
        Mistake{"multiples of 16 bytes", [](HbmSetup& s, AdoptedMemory& m) {
                  s.settings.way = Way::kKernel;
                  --m.slots;
                  for (auto& base : m.bases) base += 8;
                }}));

TEST(HbmTier, AdoptedCapacityMustAgree) {
  EmulatedDevice& device = own_device(201);
  const EngineMemory engine = engine_memory(device, Paging::kCrossLayer, kBlock, 1, 6);
  SpaceConfig space;
  space.block_bytes = kBlock;
  TierConfig tier;
  tier.name = "hbm";
  tier.capacity_bytes = 5 * kBlock;
  std::string why;
  EXPECT_EQ(HbmTier::open({space, tier, &engine.adopted}, on("emulated:201"), &why).status().code(),
            Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("leave the key out"));
}

std::string mistake(std::vector<Option> options, std::uint64_t capacity = 4 * kBlockBytes) {
  TierConfig tier = tier_of("hbm", "hbm", 1, std::move(options));
  tier.capacity_bytes = capacity;
  std::string why;
  const auto space = Space::open(config_of({tier, tier_of("dram", "dram", 4)}), &why);
  EXPECT_FALSE(space.ok());
  return why;
}

TEST(HbmConfig, WhatCannotBeIsRefusedWithWhatToMend) {
  EXPECT_THAT(mistake({{"device", "emulated:0"}}, 0), HasSubstr("no capacity, and no memory of the engine"));
  EXPECT_THAT(mistake({{"device", "gpu7"}}), HasSubstr("'gpu7' names no device"));
  EXPECT_THAT(mistake({{"device", "emulated:0"}, {"segments", "3"}}), HasSubstr("has no 3 equal segments"));
  EXPECT_THAT(mistake({{"device", "emulated:0"}, {"copy", "quick"}}),
              HasSubstr("auto, plain, batch, kernel"));
  EXPECT_THAT(mistake({{"device", "emulated:0"}, {"layers", "3"}}), HasSubstr("layers"));
  EXPECT_THAT(mistake({{"device", "emulated:0"}, {"segments", "1024"}, {"copy", "kernel"}}),
              HasSubstr("multiple of 16 bytes, and they have 4"));
}

TEST(HbmConfig, AnAbsentGpuIsNamed) {
  std::string missing;
  if (device_of("cuda:0", &missing) != nullptr) GTEST_SKIP() << "there is one";
  EXPECT_THAT(mistake({}), HasSubstr("tier 'hbm': " + missing));
}

TEST(HbmConfig, MemoryThatIsNotThereIsTold) {
  own_device(202).limit_memory(3 * kBlockBytes);
  EXPECT_THAT(mistake({{"device", "emulated:202"}}), HasSubstr("lower its capacity"));
}

TEST(HbmTier, SharesItsMemoryByAHandle) {
  HbmSetup setup{.block_bytes = kBlock, .slots = 4, .settings = on("emulated:0")};
  EXPECT_EQ(open_tier(setup)->info().shared_fd, -1);
  setup.settings.shared = true;
  const auto tier = open_tier(setup);
  ASSERT_GE(tier->info().shared_fd, 0);
  ASSERT_TRUE(fill_slot(*tier, Slot(2), 5));
  void* const there = ::mmap(nullptr, 4 * kBlock, PROT_READ, MAP_SHARED, tier->info().shared_fd, 0);
  ASSERT_NE(there, MAP_FAILED);
  const auto expected = pattern(5, kBlock);
  EXPECT_EQ(std::memcmp(static_cast<std::byte*>(there) + (at(*tier, 2, 0) - at(*tier, 0, 0)), expected.data(),
                        kBlock),
            0);
  ::munmap(there, 4 * kBlock);
}

// A space whose nearest tier is on a device.
class HbmSpace : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string missing;
    if (device_of(GetParam(), &missing) == nullptr) GTEST_SKIP() << missing;
  }
  void TearDown() override {
    space_.reset();
    std::filesystem::remove(file_);
  }

  void open(std::vector<TierConfig> below, std::uint32_t threads) {
    std::vector<TierConfig> tiers = {
        tier_of("hbm", "hbm", 8, {{"device", GetParam()}, {"segments", "4"}, {"order", "segment"}})};
    tiers.insert(tiers.end(), below.begin(), below.end());
    space_ = open_space(config_of(std::move(tiers), threads));
    ASSERT_NE(space_, nullptr);
    access_ = space_->tier_info(kNear)->access;
  }
  void publish(const std::vector<BlockKey>& chain) {
    AllocateOptions wait;
    wait.when_full = WhenFull::kWait;
    wait.timeout = 20s;
    for (std::size_t i = 0; i < chain.size(); ++i) {
      auto lease = space_->allocate(1, kNear, wait);
      ASSERT_TRUE(lease.ok()) << lease.status().message();
      ASSERT_TRUE(access_->write(lease->slot(0), pattern(content_of(chain[i]), kBlockBytes)).ok());
      ASSERT_TRUE(space_->publish(*lease, std::span(chain).first(i + 1), i).ok());
    }
  }
  void expect_loaded(const std::vector<BlockKey>& chain) {
    auto ticket = space_->acquire(chain, kNear);
    ASSERT_TRUE(ticket.ok());
    ASSERT_TRUE(ticket->wait(20s).ok()) << ticket->status().message();
    const Lease lease = ticket->take();
    ASSERT_EQ(lease.size(), chain.size());
    std::vector<std::byte> bytes(kBlockBytes);
    for (std::size_t i = 0; i < chain.size(); ++i) {
      ASSERT_TRUE(access_->read(lease.slot(i), bytes).ok());
      EXPECT_EQ(bytes, pattern(content_of(chain[i]), kBlockBytes)) << "block " << i;
    }
  }

  const std::string file_ = KELVIN_BINARY_DIR "/hbm_space_" + std::to_string(::getpid());
  std::unique_ptr<Space> space_;
  SlotAccess* access_ = nullptr;
};

TEST_P(HbmSpace, BlocksGoToHostMemoryAndComeBack) {
  open({tier_of("dram", "dram", 64)}, 0);
  std::vector<std::vector<BlockKey>> chains;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    chains.push_back(chain_of(seed, 8));
    publish(chains.back());
  }
  for (const auto& chain : chains) expect_loaded(chain);
}

TEST_P(HbmSpace, BlocksGoThroughHostMemoryToADriveAndComeBack) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "this build has no NVMe tier";
  open({tier_of("dram", "dram", 16), tier_of("nvme", "nvme", 4096, {{"path", file_}, {"direct", "auto"}})},
       1);
  std::vector<std::vector<BlockKey>> chains;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    chains.push_back(chain_of(seed, 6));
    publish(chains.back());
  }
  ASSERT_TRUE(space_->settle(20s).ok());
  EXPECT_GT(space_->stats().tiers[2].resident, 20U);
  for (const auto& chain : chains) expect_loaded(chain);
}

TEST_P(HbmSpace, ABlockIsPublishedOnceThoughItsBytesCameTwice) {
  open({tier_of("dram", "dram", 16)}, 0);
  const auto chain = chain_of(3, 4);
  publish(chain);
  publish(chain);
  EXPECT_EQ(space_->stats().duplicates, 4U);
  expect_loaded(chain);
}

INSTANTIATE_TEST_SUITE_P(On, HbmSpace, ::testing::ValuesIn(kDevices), device_name);

TEST(HbmAdoptedSpace, BlocksAreLoadedIntoTheEnginesTensors) {
  EmulatedDevice& device = own_device(203);
  const EngineMemory engine = engine_memory(device, Paging::kLayerFirst, kBlockBytes, 8, 6);
  Parts parts;
  parts.adopted.push_back({"hbm", engine.adopted});
  const auto space = open_space(
      config_of({tier_of("hbm", "hbm", 0, {{"device", "emulated:203"}}), tier_of("dram", "dram", 8)}),
      std::move(parts));
  ASSERT_NE(space, nullptr);
  const auto chain = chain_of(4, 3);
  store_blocks(*space, chain, kFar);
  const std::vector<Slot> into = {Slot(5), Slot(1), Slot(2)};
  AcquireOptions options;
  options.into = into;
  auto ticket = space->acquire(chain, kNear, options);
  ASSERT_TRUE(ticket.ok());
  ASSERT_TRUE(ticket->wait(20s).ok());
  const Lease lease = ticket->take();
  ASSERT_EQ(lease.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto bytes = pattern(content_of(chain[i]), kBlockBytes);
    for (std::uint32_t g = 0; g < 8; ++g) {
      // The engine may look at its own memory; the emulated device's is in reach.
      EXPECT_EQ(std::memcmp(engine.adopted.bases[g] + into[i].value * (kBlockBytes / 8),
                            bytes.data() + g * (kBlockBytes / 8), kBlockBytes / 8),
                0);
    }
  }
}

}  // namespace
}  // namespace kelvin::testing
