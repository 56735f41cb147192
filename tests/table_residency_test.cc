// Residency: which copies are readable, and pinning them under the key that was looked up.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "core_parts.h"
#include "table/residency.h"

namespace kelvin {
namespace {

using testing::add_copy;
using testing::kFirst;
using testing::kSecond;
using testing::kThird;
using testing::PlainTier;
using testing::put_block;

BlockKey key_of(std::uint64_t n) { return {n * 0x9E3779B97F4A7C15, ~n}; }

class ResidencyTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kSlots = 300;

  ResidencyTest() : tiers_{PlainTier("a", kSlots), PlainTier("b", kSlots), PlainTier("c", kSlots)} {
    const std::array<const TierInfo*, 3> infos = {&tiers_[0].info(), &tiers_[1].info(), &tiers_[2].info()};
    residency_ = testing::make_residency(3 * kSlots, infos);
  }

  BlockId put(std::uint64_t n, TierIndex tier) { return put_block(*residency_, key_of(n), {}, 0, tier); }
  Slot slot_of(BlockId block, TierIndex tier) { return residency_->table().record(block).copy(tier); }
  bool start_drop(BlockId block, TierIndex tier) {
    return residency_->slots(tier).start_drop(slot_of(block, tier), block);
  }
  void drop(BlockId block, TierIndex tier) {
    const Slot slot = slot_of(block, tier);
    ASSERT_TRUE(start_drop(block, tier));
    residency_->table().detach(block, tier, [](BlockId) {});
    residency_->slots(tier).free({&slot, 1});
  }

  std::array<PlainTier, 3> tiers_;
  std::unique_ptr<Residency> residency_;
};

TEST_F(ResidencyTest, ACopyIsReadableWhileItIsResident) {
  const BlockId block = put(1, kSecond);
  EXPECT_EQ(residency_->readable(block), 0b010u);
  const Slot filling = residency_->slots(kFirst).take_filling(block, 0);
  ASSERT_TRUE(residency_->table().attach(block, kFirst, filling));
  EXPECT_EQ(residency_->readable(block), 0b010u) << "one is still on its way";
  EXPECT_EQ(residency_->nearest(block), kSecond);
  residency_->slots(kFirst).filled(filling, block, 0);
  EXPECT_EQ(residency_->readable(block), 0b011u);
  EXPECT_EQ(residency_->nearest(block), kFirst);
  ASSERT_TRUE(start_drop(block, kFirst));
  EXPECT_EQ(residency_->readable(block), 0b010u) << "one is leaving";
  EXPECT_EQ(residency_->nearest(block), kSecond);
}

TEST_F(ResidencyTest, AGhostIsNowhere) {
  const BlockId parent = put(1, kFirst);
  const BlockId child = put_block(*residency_, key_of(2), parent, 1, kFirst);
  ASSERT_TRUE(child);
  drop(parent, kFirst);
  EXPECT_EQ(residency_->table().find(key_of(1)), parent);
  EXPECT_EQ(residency_->readable(parent), 0u);
  EXPECT_EQ(residency_->nearest(parent), kNoTier);
  EXPECT_FALSE(residency_->pin(parent, key_of(1), kFirst));
  const std::array keys = {key_of(1), key_of(2)};
  std::array<TierIndex, 2> tiers;
  EXPECT_EQ(residency_->locate(keys, tiers), 0u);
}

TEST_F(ResidencyTest, PinningNeedsACopyInThatTierAndTheKeyLookedUp) {
  const BlockId block = put(1, kSecond);
  EXPECT_FALSE(residency_->pin(block, key_of(1), kFirst)) << "it is elsewhere";
  EXPECT_FALSE(residency_->pin(block, key_of(2), kSecond)) << "it is another block";
  EXPECT_EQ(residency_->slots(kSecond).word(slot_of(block, kSecond)).pins(), 0u) << "no pin is left behind";
  const Slot slot = residency_->pin(block, key_of(1), kSecond);
  EXPECT_EQ(slot, slot_of(block, kSecond));
  EXPECT_EQ(residency_->slots(kSecond).word(slot).pins(), 1u);
}

TEST_F(ResidencyTest, AnIdThatWasUsedAgainPinsNothingForTheOldKey) {
  const BlockId old = put(1, kFirst);
  drop(old, kFirst);
  std::vector<BlockId> others;
  for (std::uint64_t n = 2; n < 2 + kSlots && (others.empty() || others.back() != old); ++n)
    others.push_back(put(n, kFirst));
  ASSERT_EQ(others.back(), old) << "the record was not used again";
  EXPECT_FALSE(residency_->pin(old, key_of(1), kFirst));
  EXPECT_TRUE(residency_->pin(old, key_of(1 + others.size()), kFirst));
}

TEST_F(ResidencyTest, StateSaysWhatAPolicyMayKnow) {
  const BlockId parent = put(1, kFirst);
  const BlockId block = put_block(*residency_, key_of(2), parent, 1, kFirst);
  ASSERT_TRUE(add_copy(*residency_, block, kThird));
  ASSERT_TRUE(residency_->pin(block, key_of(2), kThird));
  const BlockState state = residency_->state(block);
  EXPECT_EQ(state.key, key_of(2));
  EXPECT_EQ(state.parent, parent);
  EXPECT_EQ(state.depth, 1u);
  EXPECT_EQ(state.children, 0u);
  EXPECT_EQ(state.tiers, 0b101u);
  EXPECT_EQ(state.leased, 0b100u);
  EXPECT_EQ(residency_->state(parent).children, 1u);
  EXPECT_FALSE(residency_->state(parent).parent);
}

TEST_F(ResidencyTest, ATierThatIsOfflineHoldsNothingReadable) {
  const BlockId both = put(1, kFirst);
  ASSERT_TRUE(add_copy(*residency_, both, kThird));
  const BlockId far = put(2, kThird);
  residency_->set_offline(kThird);
  EXPECT_TRUE(residency_->online(kFirst));
  EXPECT_FALSE(residency_->online(kThird));
  EXPECT_EQ(residency_->readable(both), 0b001u);
  EXPECT_EQ(residency_->readable(far), 0u);
  EXPECT_EQ(residency_->nearest(far), kNoTier);
  EXPECT_EQ(residency_->state(both).tiers, 0b001u);
  EXPECT_FALSE(residency_->pin(far, key_of(2), kThird));
  const std::array keys = {key_of(1), key_of(2)};
  std::array<TierIndex, 2> tiers;
  EXPECT_EQ(residency_->locate(keys, tiers), 1u);
  EXPECT_EQ(tiers[0], kFirst);
}

TEST_F(ResidencyTest, LocateNamesTheNearestCopyThatIsReadable) {
  const BlockId filling = put(1, kSecond);
  const Slot slot = residency_->slots(kFirst).take_filling(filling, 0);
  ASSERT_TRUE(residency_->table().attach(filling, kFirst, slot));
  const BlockId near = put(2, kFirst);
  ASSERT_TRUE(add_copy(*residency_, near, kSecond));
  const BlockId leaving = put(3, kFirst);
  ASSERT_TRUE(add_copy(*residency_, leaving, kThird));
  ASSERT_TRUE(start_drop(leaving, kFirst));
  const std::array keys = {key_of(1), key_of(2), key_of(3), key_of(4)};
  std::array<TierIndex, 4> tiers;
  ASSERT_EQ(residency_->locate(keys, tiers), 3u);
  EXPECT_EQ(tiers[0], kSecond);
  EXPECT_EQ(tiers[1], kFirst);
  EXPECT_EQ(tiers[2], kThird);
}

TEST_F(ResidencyTest, LocateEndsBeforeTheFirstBlockThatNobodyCanRead) {
  for (std::uint64_t n = 0; n < 3; ++n) put(n, kFirst);
  const BlockId lost = residency_->table().find(key_of(1));
  ASSERT_TRUE(add_copy(*residency_, lost, kSecond));
  ASSERT_TRUE(start_drop(lost, kFirst));
  ASSERT_TRUE(start_drop(lost, kSecond));
  const std::array keys = {key_of(0), key_of(1), key_of(2)};
  std::array<TierIndex, 3> tiers;
  EXPECT_EQ(residency_->locate(keys, tiers), 1u);
}

TEST_F(ResidencyTest, LocateAgreesWithAskingBlockByBlock) {
  std::mt19937 random(6);
  for (std::uint64_t n = 0; n < 250; ++n) {
    const BlockId block = put(n, TierIndex(static_cast<std::uint8_t>(random() % 3)));
    for (std::uint8_t t = 0; t < 3; ++t) {
      if (random() % 4 == 0 && !slot_of(block, TierIndex(t))) add_copy(*residency_, block, TierIndex(t));
    }
  }
  for (int round = 0; round < 500; ++round) {
    std::vector<BlockKey> keys(random() % (Residency::kLocateBatch + 1));
    for (BlockKey& key : keys) key = key_of(random() % 255);  // some of them are unknown
    std::vector<TierIndex> tiers(keys.size());
    const std::size_t known = residency_->locate(keys, tiers);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const BlockId block = residency_->table().find(keys[i]);
      ASSERT_EQ(i < known, static_cast<bool>(block));
      if (i == known) break;
      ASSERT_EQ(tiers[i], residency_->nearest(block));
    }
  }
}

}  // namespace
}  // namespace kelvin
