// Which slots are discarded, and that nobody else gets hold of one meanwhile.
#include "mover/discards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core_parts.h"
#include "kelvin/policy.h"

namespace kelvin::testing {
namespace {

constexpr std::uint64_t kSlotBytes = 1 << 20;
constexpr auto kLeast = static_cast<std::uint32_t>(Discards::kRunBytes / kSlotBytes);
constexpr auto kMost = static_cast<std::uint32_t>(Discards::kMostBytes / kSlotBytes);
constexpr std::uint32_t kSlots = 16 * kLeast;

// Says when it is over only where the test does.
class TellingDiscarder final : public Discarder {
 public:
  bool begin(std::span<const Slot> slots) noexcept override {
    EXPECT_FALSE(busy);
    if (!wants) return false;
    busy = true;
    begun.assign(slots.begin(), slots.end());
    for (const Slot slot : slots) all.insert(slot.value);
    return true;
  }
  bool over() noexcept override { return !busy; }

  bool wants = true;
  bool busy = false;
  std::vector<Slot> begun;
  std::set<std::uint32_t> all;
};

class DiscardingTier final : public Tier {
 public:
  DiscardingTier(std::uint32_t slots, Discarder* discarder) {
    info_.name = "drive";
    info_.slots = slots;
    info_.slot_bytes = info_.segment_bytes = kSlotBytes;
    info_.discarder = discarder;
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot /*slot*/, std::uint32_t /*segment*/) const noexcept override { return {}; }

 private:
  TierInfo info_;
};

class DiscardsTest : public ::testing::Test {
 protected:
  DiscardsTest() : DiscardsTest(kSlots) {}
  explicit DiscardsTest(std::uint32_t slots) {
    std::vector<std::unique_ptr<Tier>> tiers;
    tiers.push_back(std::make_unique<DiscardingTier>(slots, &discarder_));
    const TierInfo* const info = &tiers.front()->info();
    topology_ = made(Topology::make(std::move(tiers), {}, nullptr));
    residency_ = make_residency(slots, {&info, 1});
    discards_ = std::make_unique<Discards>(*residency_, *topology_);
  }

  SlotMap& slots() { return residency_->slots(kFirst); }
  // Steps through whole passes over the tier; what is begun is over at once.
  void pass(int times = 1) {
    for (int i = 0; i < times; ++i) {
      for (std::uint32_t n = 0; n < kSlots; ++n) {
        discarder_.busy = false;
        discards_->step(now_ += Discards::kLookNs);
      }
      now_ += Discards::kPauseNs;
    }
    discarder_.busy = false;
  }
  void step() { discards_->step(now_ += Discards::kPauseNs); }
  std::vector<Slot> take(std::uint32_t count) {
    std::vector<Slot> taken(count);
    taken.resize(slots().take_held(taken));
    return taken;
  }
  std::uint64_t discarded() const { return discards_->slots(kFirst); }

  TellingDiscarder discarder_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Discards> discards_;
  std::uint64_t now_ = Discards::kPauseNs;
};

TEST_F(DiscardsTest, WhatWasFreeThroughAPauseIsDiscardedOnce) {
  step();
  EXPECT_TRUE(discarder_.all.empty()) << "nobody knows for how long it was free";
  pass(8);
  EXPECT_EQ(discarder_.all.size(), kSlots);
  EXPECT_EQ(discarded(), kSlots);
  EXPECT_EQ(slots().free_count(), kSlots);
  discarder_.all.clear();
  pass(4);
  EXPECT_TRUE(discarder_.all.empty()) << "its device knows";
}

TEST_F(DiscardsTest, ASlotThatWasUsedMeanwhileIsDiscardedAnew) {
  pass(8);
  discarder_.all.clear();
  const std::vector<Slot> taken = take(kSlots);
  ASSERT_EQ(taken.size(), kSlots);
  pass(2);
  EXPECT_TRUE(discarder_.all.empty());
  slots().free(taken);
  pass(8);
  EXPECT_EQ(discarder_.all.size(), kSlots);
}

TEST_F(DiscardsTest, ShortRunsAreNotWorthARequest) {
  const std::vector<Slot> taken = take(kSlots);
  ASSERT_EQ(taken.size(), kSlots);
  std::vector<Slot> freed;
  for (const Slot slot : taken) {
    if (slot.value % kLeast != 0) freed.push_back(slot);
  }
  slots().free(freed);
  pass(4);
  EXPECT_TRUE(discarder_.all.empty());
}

TEST_F(DiscardsTest, WhatIsBeingDiscardedIsGivenToNobody) {
  while (!discarder_.busy) step();
  ASSERT_GE(discarder_.begun.size(), kLeast);
  const std::vector<Slot> taken = take(kSlots);
  EXPECT_EQ(taken.size(), kSlots - discarder_.begun.size());
  for (const Slot slot : taken) EXPECT_EQ(std::ranges::count(discarder_.begun, slot), 0);
  step();
  EXPECT_EQ(slots().free_count(), 0u) << "its device is not done";
  discarder_.busy = false;
  step();
  EXPECT_EQ(slots().free_count(), discarder_.begun.size());
}

TEST_F(DiscardsTest, MostFreeSlotsStayForThoseWhoNeedThem) {
  while (!discarder_.busy) step();
  EXPECT_LE(discarder_.begun.size(), kSlots / 4);
}

TEST_F(DiscardsTest, ADeviceThatDoesNotWantToKnowLosesNoSlot) {
  discarder_.wants = false;
  pass(4);
  EXPECT_EQ(slots().free_count(), kSlots);
  EXPECT_EQ(discarded(), 0u);
  EXPECT_EQ(take(kSlots).size(), kSlots);
}

TEST_F(DiscardsTest, OfATierThatIsOfflineNothingIsBegun) {
  residency_->set_offline(kFirst);
  pass(4);
  EXPECT_TRUE(discarder_.all.empty());
}

TEST_F(DiscardsTest, TheyAreDueAgainAfterAPause) {
  EXPECT_EQ(discards_->due_ns(), 0u);
  step();
  EXPECT_EQ(discards_->due_ns(), now_ + Discards::kPauseNs);
}

class ManySlots : public DiscardsTest {
 protected:
  ManySlots() : DiscardsTest(8 * kMost) {}
};

TEST_F(ManySlots, NoMoreThanABatchIsDiscardedAtOnce) {
  while (!discarder_.busy) step();
  EXPECT_EQ(discarder_.begun.size(), kMost);
}

TEST(FreeListTakeAmong, TakesWhatIsThereOfARangeAndLeavesTheRest) {
  auto list = made(FreeList::make(100'000));
  std::vector<std::uint32_t> some(30'000);
  ASSERT_EQ(list->take(some), some.size());
  std::vector<std::uint32_t> range(50'000);
  const std::size_t taken = list->take_among(20'000, 60'000, range);
  std::set<std::uint32_t> expected;
  for (std::uint32_t i = 20'000; i < 60'000; ++i) expected.insert(i);
  for (const std::uint32_t i : some) expected.erase(i);
  EXPECT_EQ(std::set(range.begin(), range.begin() + static_cast<std::ptrdiff_t>(taken)), expected);
  EXPECT_EQ(taken, expected.size()) << "none twice";
  EXPECT_EQ(list->count(), 70'000 - taken);
  std::vector<std::uint32_t> rest(100'000);
  rest.resize(list->take(rest));
  EXPECT_EQ(rest.size(), 70'000 - taken);
  for (const std::uint32_t i : rest) EXPECT_FALSE(expected.contains(i));
}

}  // namespace
}  // namespace kelvin::testing
