// A tier whose memory and slots are the engine's: named slots, segments, saving below, taking slots back.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "kelvin/space.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kLayers = 4;
constexpr std::uint32_t kEngineSlots = 6;
constexpr std::uint64_t kSegment = kBlockBytes / kLayers;

// Each block is one piece in each layer; layers lie apart, pieces of other tensors between them.
struct Adopted : ::testing::Test {
  std::vector<std::vector<std::byte>> layers{kLayers, std::vector<std::byte>(kEngineSlots * 2 * kSegment)};
  std::unique_ptr<Space> space;
  std::vector<BlockKey> chain = chain_of(1, 3);

  void SetUp() override { open(0); }
  void open(std::uint32_t threads) {
    space.reset();
    Parts parts;
    Parts::Adopted engine{"engine", {}};
    for (auto& layer : layers) engine.memory.bases.push_back(layer.data());
    engine.memory.stride_bytes = 2 * kSegment;
    engine.memory.segment_bytes = kSegment;
    engine.memory.slots = kEngineSlots;
    parts.adopted.push_back(std::move(engine));
    TierConfig tier = tier_of("engine", "adopted", 0);
    space = open_space(config_of({tier, tier_of("dram", "dram", 8), tier_of("far", "fake", 8)}, threads),
                       std::move(parts));
  }

  void compute(Slot slot, const BlockKey& key) const {
    ASSERT_TRUE(space != nullptr);
    const auto bytes = pattern(content_of(key), kBlockBytes);
    for (std::uint32_t l = 0; l < kLayers; ++l) std::memcpy(at(slot, l), &bytes[l * kSegment], kSegment);
  }
  bool holds(Slot slot, const BlockKey& key) const {
    const auto bytes = pattern(content_of(key), kBlockBytes);
    for (std::uint32_t l = 0; l < kLayers; ++l) {
      if (std::memcmp(at(slot, l), &bytes[l * kSegment], kSegment) != 0) return false;
    }
    return true;
  }
  std::byte* at(Slot slot, std::uint32_t layer) const {
    return const_cast<std::byte*>(layers[layer].data()) + slot.value * 2 * kSegment;
  }
  Lease publish(const std::vector<Slot>& slots) const {
    AllocateOptions named;
    named.slots = slots;
    auto lease = space->allocate(static_cast<std::uint32_t>(slots.size()), kNear, named);
    EXPECT_TRUE(lease.ok());
    for (std::size_t i = 0; i < slots.size(); ++i) compute(slots[i], chain[i]);
    EXPECT_TRUE(space->publish(*lease, std::span(chain).first(slots.size()), 0).ok());
    return std::move(lease).value();
  }
};

TEST_F(Adopted, BlocksLieInTheSlotsTheEngineNames) {
  const Lease lease = publish({Slot(5), Slot(0), Slot(3)});
  EXPECT_EQ(lease.slot(0), Slot(5));
  EXPECT_EQ(lease.address(1, 2).pointer, at(Slot(0), 2));
  EXPECT_EQ(space->match(chain).in_tier[0], 3u);
}

TEST_F(Adopted, PublishedBlocksAreSavedToTheTierBelow) {
  publish({Slot(0), Slot(1), Slot(2)});
  ASSERT_TRUE(space->settle(10s).ok());
  EXPECT_EQ(space->stats().tiers[1].resident, 3u);
  EXPECT_EQ(space->stats().tiers[0].resident, 3u) << "the engine's copies stay";
  EXPECT_TRUE(blocks_are(acquire_blocks(*space, chain, kFar), chain));
}

TEST_F(Adopted, PublishedBlocksAreSavedByTheMoverThreadWithoutBeingAsked) {
  open(1);
  publish({Slot(0), Slot(1), Slot(2)});
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (space->stats().tiers[1].resident < 3 && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(space->stats().tiers[1].resident, 3u);
}

TEST_F(Adopted, BlocksAreLoadedIntoTheSlotsTheEngineNames) {
  store_blocks(*space, chain, kFar);
  const std::vector<Slot> into = {Slot(4), Slot(2), Slot(1)};
  AcquireOptions options;
  options.into = into;
  auto ticket = space->acquire(chain, kNear, options);
  ASSERT_TRUE(ticket.ok());
  ASSERT_TRUE(ticket->wait(10s).ok());
  const Lease lease = ticket->take();
  ASSERT_EQ(lease.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(lease.slot(i), into[i]);
    EXPECT_TRUE(holds(into[i], chain[i]));
  }
}

TEST_F(Adopted, ABlockThatIsThereAlreadyKeepsItsSlot) {
  publish({Slot(5)});
  const Slot other(1);
  AcquireOptions options;
  options.into = {&other, 1};
  auto ticket = space->acquire(std::span(chain).first(1), kNear, options);
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->take().slot(0), Slot(5));
}

TEST_F(Adopted, LoadingWithoutNamedSlotsEndsThePrefixAndSaysWhy) {
  store_blocks(*space, chain, kFar);
  Status status;
  EXPECT_EQ(acquire_blocks(*space, chain, kNear, &status).size(), 0u);
  EXPECT_EQ(status.code(), Code::kInvalid);
}

TEST_F(Adopted, LoadingIntoASlotThatIsNotFreeEndsThePrefixAndSaysWhy) {
  store_blocks(*space, chain, kFar);
  const std::vector<Slot> into = {Slot(4), Slot(4), Slot(99)};
  AcquireOptions options;
  options.into = into;
  auto ticket = space->acquire(chain, kNear, options);
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->wait(10s).code(), Code::kMisuse);
  const Lease lease = ticket->take();
  EXPECT_EQ(lease.size(), 1u);
  EXPECT_TRUE(holds(Slot(4), chain[0]));
}

TEST_F(Adopted, OneSlotForEachKeyOrNone) {
  const Slot one(0);
  AcquireOptions options;
  options.into = {&one, 1};
  EXPECT_EQ(space->acquire(chain, kNear, options).status().code(), Code::kInvalid);
  AllocateOptions named;
  named.slots = {&one, 1};
  EXPECT_EQ(space->allocate(2, kNear, named).status().code(), Code::kInvalid);
  EXPECT_EQ(space->allocate(2, kNear).status().code(), Code::kInvalid);
}

TEST_F(Adopted, AllocatingASlotInUseIsMisuseAndTakesNoneOfThem) {
  const Lease held = publish({Slot(2)});
  AllocateOptions named;
  const std::vector<Slot> slots = {Slot(1), Slot(2)};
  named.slots = slots;
  EXPECT_EQ(space->allocate(2, kNear, named).status().code(), Code::kMisuse);
  EXPECT_EQ(space->stats().tiers[0].free, kEngineSlots - 1);
  EXPECT_TRUE(holds(Slot(2), chain[0]));
}

TEST_F(Adopted, ReclaimTakesSlotsBackAndForgetsTheirCopies) {
  publish({Slot(0), Slot(1), Slot(2)});
  ASSERT_TRUE(space->settle(10s).ok());
  const std::vector<Slot> slots = {Slot(0), Slot(1), Slot(2), Slot(3)};
  EXPECT_TRUE(space->reclaim(kNear, slots).ok());
  EXPECT_EQ(space->stats().tiers[0].free, kEngineSlots);
  EXPECT_EQ(space->match(chain).in_tier[1], 3u);
  EXPECT_EQ(space->reclaim(kNear, std::vector<Slot>{Slot(kEngineSlots)}).code(), Code::kInvalid);
}

TEST_F(Adopted, ReclaimOfALeasedSlotIsRefused) {
  const Lease held = publish({Slot(0), Slot(1)});
  EXPECT_EQ(space->reclaim(kNear, std::vector<Slot>{Slot(3), Slot(1)}).code(), Code::kBusy);
  EXPECT_TRUE(holds(Slot(1), chain[1]));
}

TEST_F(Adopted, NothingIsEverDroppedFromTheEnginesSlotsToMakeRoom) {
  publish({Slot(0), Slot(1), Slot(2)});
  for (std::uint64_t seed = 10; seed < 30; ++seed) store_blocks(*space, chain_of(seed, 2), kFar);
  ASSERT_TRUE(space->settle(10s).ok());
  EXPECT_EQ(space->match(chain).in_tier[0], 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(holds(Slot(static_cast<std::uint32_t>(i)), chain[i]));
}

}  // namespace
}  // namespace kelvin::testing
