// Tiers that grow while they serve: slots come into the map as they are ready, callers get what is there, and
// a growth that fails leaves what it made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core_parts.h"
#include "machine/nodes.h"
#include "machine/place.h"
#include "slots/slot_map.h"
#include "space_fixture.h"
#include "tiers/host/host_tier.h"

namespace kelvin {
namespace {

using ::testing::HasSubstr;
using testing::made;
using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1ULL << 20;

TEST(GrowingSlots, AreGivenOutOnceTheyAreReadyAndOnce) {
  Growth growth;
  growth.ready = 3;
  const auto map = made(SlotMap::make(10, false, nullptr, &growth));
  EXPECT_EQ(map->free_count(), 3U);
  EXPECT_EQ(map->coming(), 7U);
  std::array<Slot, 10> slots;
  EXPECT_EQ(map->take_held(slots), 3U);
  EXPECT_EQ(map->take_filling(BlockId(1), 1), Slot{});
  growth.ready = 5;
  EXPECT_EQ(map->free_count(), 2U);
  EXPECT_EQ(map->take_filling(BlockId(1), 1), Slot(3)) << "low ones first";
  growth.ready = 10;
  EXPECT_EQ(map->coming(), 0U);
  EXPECT_EQ(map->take_held(slots), 6U);
  EXPECT_EQ(map->free_count(), 0U);
  map->free({slots.data(), 6});
  EXPECT_EQ(map->free_count(), 6U);
}

TEST(GrowingSlots, ThatStoppedAreNotWaitedFor) {
  Growth growth;
  growth.ready = 3;
  const auto map = made(SlotMap::make(10, false, nullptr, &growth));
  EXPECT_EQ(map->usable(), 10U);
  growth.stopped = "no memory";
  EXPECT_EQ(map->coming(), 0U);
  EXPECT_EQ(map->usable(), 3U);
  EXPECT_EQ(map->free_count(), 3U);
}

TEST(GrowingSlots, AreGivenToEachOfManyThreadsOnce) {
  constexpr std::uint32_t kSlots = 50'000;
  Growth growth;
  const auto map = made(SlotMap::make(kSlots, false, nullptr, &growth));
  std::array<std::vector<Slot>, 3> taken;
  std::atomic<bool> grown{false};
  const auto take = [&](std::vector<Slot>& mine) {
    std::array<Slot, 100> batch;
    for (;;) {
      const bool last = grown.load();
      const std::size_t count = map->take_held(batch);
      mine.insert(mine.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
      if (count == 0 && last) return;
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(taken.size());
  for (auto& mine : taken) threads.emplace_back(take, std::ref(mine));
  for (std::uint32_t ready = 0; ready <= kSlots; ready += 1000) growth.ready = ready;
  grown = true;
  for (auto& thread : threads) thread.join();
  std::set<std::uint32_t> all;
  for (const auto& mine : taken) {
    for (const Slot slot : mine) EXPECT_TRUE(all.insert(slot.value).second) << slot.value << " given twice";
  }
  EXPECT_EQ(all.size(), kSlots);
}

HostTierOptions tier_of(std::uint64_t capacity) {
  HostTierOptions options;
  options.name = "dram";
  options.capacity_bytes = capacity;
  options.block_bytes = kMiB;
  options.huge_pages = HugePages::kNone;
  options.prefault = true;
  return options;
}

void wait_until_grown(const TierInfo& info) {
  while (info.growth != nullptr && info.growth->ready < info.slots && info.growth->stopped == nullptr)
    std::this_thread::sleep_for(1ms);
}

TEST(HostTierGrowth, ASmallTierIsReadyWhenItOpens) {
  std::string why;
  const auto tier = HostTier::open(tier_of(16 * kMiB), &why);
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_EQ((*tier)->info().growth, nullptr);
  EXPECT_EQ(pages_by_node((*tier)->address(Slot(0), 0).pointer, 16 * kMiB).count(-1), 0U);
}

TEST(HostTierGrowth, ALargeOneServesItsFirstStepAndReachesItsSize) {
  std::string why;
  const auto tier = HostTier::open(tier_of(400 * kMiB), &why);
  ASSERT_TRUE(tier.ok()) << why;
  const TierInfo& info = (*tier)->info();
  ASSERT_NE(info.growth, nullptr);
  EXPECT_GE(info.growth->ready, 64U);
  wait_until_grown(info);
  EXPECT_EQ(info.growth->ready, info.slots);
  EXPECT_EQ(info.growth->stopped, nullptr);
  for (const HostRange& range : info.ranges)
    EXPECT_EQ(pages_by_node(range.base, range.bytes).count(-1), 0U) << "a page is not there";
}

TEST(HostTierGrowth, EndsWithItsTier) {
  std::string why;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(HostTier::open(tier_of(300 * kMiB), &why).ok()) << why;
}

TEST(HostTierGrowth, StopsWithAReasonWhereMemoryEnds) {
  // An arena with a hole at its end.
  constexpr std::uint64_t kBytes = 72 * kMiB;
  auto* const base = static_cast<std::byte*>(
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ::munmap(base + 68 * kMiB, 4 * kMiB);
  const auto holed = [&](std::size_t /*i*/, std::uint64_t /*bytes*/, std::string* /*why*/) -> Result<Arena> {
    return Arena::take_over(
        base, kBytes, PageKind::kSmall, -1,
        [](std::byte* at, std::uint64_t bytes, int /*fd*/) noexcept { ::munmap(at, bytes); });
  };
  std::string why;
  const auto options = tier_of(kBytes);
  const auto tier = HostTier::open(options, 1, holed, &why);
  ASSERT_TRUE(tier.ok()) << why;
  const TierInfo& info = (*tier)->info();
  ASSERT_NE(info.growth, nullptr);
  wait_until_grown(info);
  EXPECT_EQ(info.growth->ready, 64U);
  ASSERT_NE(info.growth->stopped, nullptr);
  EXPECT_THAT(info.growth->stopped.load(), HasSubstr("tier 'dram': "));
}

TEST(HostTierPlacement, EverySlotIsOnTheNodeOfItsTurn) {
  const auto nodes = memory_nodes();
  auto options = tier_of(32 * kMiB);
  std::string why;
  auto placement = place({"interleave"}, nodes, {}, &why);
  ASSERT_TRUE(placement.ok()) << why;
  options.placement = *placement;
  const auto tier = HostTier::open(options, &why);
  if (tier.status().code() == Code::kUnsupported) GTEST_SKIP() << why;
  ASSERT_TRUE(tier.ok()) << why;
  const std::vector<int>& on = options.placement.nodes;
  for (std::uint32_t slot = 0; slot < (*tier)->info().slots; ++slot) {
    const auto where = pages_by_node((*tier)->address(Slot(slot), 0).pointer, kMiB);
    EXPECT_THAT(where, ::testing::ElementsAre(::testing::Pair(on[slot % on.size()], kMiB / 4096)));
  }
}

TEST(HostTierPlacement, SlotsOfSeveralArenasDoNotMeet) {
  // Twice the same node: two arenas even where there is one node.
  const int id = memory_nodes().front().id;
  auto options = tier_of(7 * kMiB);
  options.placement = {{id, id}, false};
  std::string why;
  const auto tier = HostTier::open(options, &why);
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_EQ((*tier)->info().slots, 6U) << "as many in each";
  std::set<std::byte*> places;
  for (std::uint32_t slot = 0; slot < 6; ++slot) places.insert((*tier)->address(Slot(slot), 0).pointer);
  EXPECT_EQ(places.size(), 6U);
}

Config growing_space(std::uint64_t capacity) {
  Config config = testing::config_of(
      {testing::tier_of("dram", "dram", 1, {{"prefault", "true"}, {"huge_pages", "none"}})});
  config.space.block_bytes = kMiB;
  config.tiers[0].capacity_bytes = capacity;
  return config;
}

TEST(GrowingSpace, ServesAtOnceAndTellsHowFarItIs) {
  const auto space = testing::open_space(growing_space(400 * kMiB));
  ASSERT_NE(space, nullptr);
  const auto lease = space->allocate(1, TierIndex(0));
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  const TierStats stats = space->stats().tiers[0];
  EXPECT_EQ(stats.slots, 400U);
  EXPECT_GE(stats.ready, 64U);
  EXPECT_EQ(stats.stopped, "");
}

TEST(GrowingSpace, WhoWaitsGetsAllOfIt) {
  const auto space = testing::open_space(growing_space(400 * kMiB));
  ASSERT_NE(space, nullptr);
  AllocateOptions options;
  options.when_full = WhenFull::kWait;
  options.timeout = 60s;
  const auto lease = space->allocate(400, TierIndex(0), options);
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_EQ(space->stats().tiers[0].ready, 400U);
}

TEST(GrowingSpace, WhoDoesNotWaitIsToldThatMoreIsComing) {
  const auto space = testing::open_space(growing_space(600 * kMiB));
  ASSERT_NE(space, nullptr);
  const auto lease = space->allocate(600, TierIndex(0));
  if (lease.ok()) GTEST_SKIP() << "it had grown already";
  EXPECT_EQ(lease.status().code(), Code::kBusy);
}

}  // namespace
}  // namespace kelvin
