// Retention, pins and shares, each by itself.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "planner/pins.h"
#include "planner/retention.h"
#include "planner/shares.h"

namespace kelvin::testing {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr TierIndex kFirst{0};
constexpr TierIndex kSecondTier{1};
constexpr BlockId kA{1};
constexpr BlockId kB{2};

// --- retention ---

class RetentionTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(retention_.open(10).ok()); }
  bool holds(BlockId block, std::uint64_t now_ns, int floor = Retention::kEveryone) const {
    return retention_.holds(block, now_ns, floor);
  }
  Retention retention_;
};

TEST_F(RetentionTest, HoldsForItsTimeNeverShorterAndASecondLongerAtMost) {
  EXPECT_FALSE(retention_.any());
  retention_.retain(kA, 50, 10, 5 * kSecond + kSecond / 2);
  EXPECT_TRUE(retention_.any());
  EXPECT_TRUE(holds(kA, 15 * kSecond + kSecond / 2));
  EXPECT_FALSE(holds(kA, 16 * kSecond + kSecond / 2));
  EXPECT_FALSE(holds(kB, 6 * kSecond));
}

TEST_F(RetentionTest, IsProlongedAndRaisedButNeverCut) {
  retention_.retain(kA, 60, 100, kSecond);
  retention_.retain(kA, 40, 1, kSecond);
  EXPECT_TRUE(holds(kA, 90 * kSecond, 59));
  retention_.retain(kA, 70, 1, kSecond);
  EXPECT_TRUE(holds(kA, 90 * kSecond, 69));
  retention_.retain(kA, 20, 10, 200 * kSecond);
  EXPECT_FALSE(holds(kA, 201 * kSecond, 20)) << "what is over counts no more";
}

TEST_F(RetentionTest, KnowsTheNextPriority) {
  EXPECT_EQ(retention_.next(Retention::kEveryone), Retention::kEveryone);
  retention_.retain(kA, 30, 10, 0);
  retention_.retain(kB, 200, 10, 0);
  EXPECT_EQ(retention_.next(Retention::kEveryone), 30);
  EXPECT_EQ(retention_.next(30), 100) << "there is nothing above";
  retention_.forget(kA);
  EXPECT_EQ(retention_.next(Retention::kEveryone), 100);
  retention_.forget(kB);
  retention_.forget(kB);
  EXPECT_FALSE(retention_.any());
}

TEST_F(RetentionTest, EndsWithTheClockAtTheLatest) {
  retention_.retain(kA, 50, ~std::uint32_t{0}, 4'000'000'000 * kSecond);
  EXPECT_TRUE(holds(kA, 4'000'000'001 * kSecond));
}

// --- pins ---

class PinsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(pins_.open(100, {2, 5}, kSecondTier).ok()); }
  Status pin(std::vector<BlockId> blocks, TierIndex tier, std::uint64_t seconds, std::uint64_t now_s = 0) {
    return pins_.pin(blocks, tier, seconds, now_s * kSecond);
  }
  static std::vector<BlockId> blocks(std::uint32_t first, std::uint32_t count) {
    std::vector<BlockId> blocks;
    for (std::uint32_t n = 0; n < count; ++n) blocks.emplace_back(first + n);
    return blocks;
  }
  Pins pins_;
};

TEST_F(PinsTest, CountInTheirTierOrWhereBlocksEnd) {
  EXPECT_TRUE(pin(blocks(0, 2), kFirst, 10).ok());
  EXPECT_EQ(pin(blocks(2, 1), kFirst, 10).code(), Code::kFull);
  EXPECT_TRUE(pin(blocks(10, 3), kNoTier, 10).ok());
  EXPECT_TRUE(pin(blocks(20, 2), kSecondTier, 10).ok());
  EXPECT_EQ(pin(blocks(30, 1), kNoTier, 10).code(), Code::kFull);
  EXPECT_EQ(pins_.count(0), 7u);
  EXPECT_EQ(pins_.tier(BlockId(0)), kFirst);
  EXPECT_EQ(pins_.tier(BlockId(10)), kNoTier);
}

TEST_F(PinsTest, AreAllOrNoneAndABlockCountsOnce) {
  EXPECT_EQ(pin(blocks(0, 3), kFirst, 10).code(), Code::kFull);
  EXPECT_FALSE(pins_.any());
  EXPECT_TRUE(pin({kA, kA, kA}, kFirst, 10).ok());
  EXPECT_EQ(pins_.count(0), 1u);
  EXPECT_TRUE(pin({kA, kB}, kFirst, 10).ok());
  EXPECT_TRUE(pin({kA}, kNoTier, 5).ok()) << "it moves over";
  EXPECT_TRUE(pin(blocks(5, 1), kFirst, 10).ok());
  EXPECT_TRUE(pins_.pinned(kA, 10 * kSecond)) << "and is not cut short";
}

TEST_F(PinsTest, EndByThemselvesAndMakeRoom) {
  EXPECT_TRUE(pin({kA}, kFirst, 10).ok());
  EXPECT_TRUE(pin({kB}, kFirst, 20).ok());
  EXPECT_TRUE(pins_.pinned(kA, 10 * kSecond));
  EXPECT_FALSE(pins_.pinned(kA, 11 * kSecond));
  EXPECT_TRUE(pin(blocks(7, 1), kFirst, 10, 11).ok());
  EXPECT_EQ(pins_.count(11 * kSecond), 2u);
  EXPECT_EQ(pins_.count(100 * kSecond), 0u);
  EXPECT_FALSE(pins_.any());
}

TEST_F(PinsTest, EndInAnyOrder) {
  EXPECT_TRUE(pin(blocks(0, 5), kNoTier, 10).ok());
  for (const std::uint32_t n : {1u, 4u, 0u, 0u, 9u}) pins_.unpin(BlockId(n));
  EXPECT_EQ(pins_.count(0), 2u);
  EXPECT_TRUE(pins_.pinned(BlockId(2), 0));
  EXPECT_TRUE(pins_.pinned(BlockId(3), 0));
  EXPECT_TRUE(pin(blocks(50, 3), kNoTier, 10).ok());
  EXPECT_EQ(pin(blocks(60, 1), kNoTier, 10).code(), Code::kFull);
}

TEST_F(PinsTest, TheLatestGoWhenTheTierWhereBlocksEndGoesOffline) {
  EXPECT_TRUE(pin(blocks(0, 4), kNoTier, 10).ok());
  EXPECT_TRUE(pin(blocks(10, 1), kFirst, 10).ok());
  pins_.end_in(kFirst);
  EXPECT_EQ(pins_.count(0), 2u);
  EXPECT_TRUE(pins_.pinned(BlockId(0), 0));
  EXPECT_TRUE(pins_.pinned(BlockId(10), 0));
  pins_.end_in(kNoTier);
  EXPECT_EQ(pins_.count(0), 1u);
}

// --- shares ---

class SharesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::array<double, 2> shares = {0.5, 0.25};
    ASSERT_TRUE(shares_.open(100, shares, {8, 100}).ok());
  }
  void put(std::uint32_t first, std::uint32_t count, TenantIndex tenant) {
    for (std::uint32_t n = first; n < first + count; ++n) {
      shares_.begin(BlockId(n), tenant);
      shares_.came(BlockId(n), kFirst);
    }
  }
  bool guarded(std::uint32_t block) const { return (shares_.guarded(BlockId(block)) & 1) != 0; }
  Shares shares_;
};

TEST_F(SharesTest, GuardWhatIsWithinThem) {
  EXPECT_EQ(shares_.share(1, kFirst), 4u);
  EXPECT_EQ(shares_.share(2, kSecondTier), 25u);
  put(0, 4, 1);
  EXPECT_TRUE(guarded(0));
  put(4, 1, 1);
  EXPECT_FALSE(guarded(0)) << "one too many";
  shares_.left(BlockId(4), kFirst);
  EXPECT_TRUE(guarded(0));
  put(50, 2, kUnlisted);
  EXPECT_FALSE(guarded(50));
}

TEST_F(SharesTest, CountWhatIsOnItsWayOutAsGone) {
  put(0, 6, 1);
  shares_.set_out(BlockId(0), kFirst);
  shares_.set_out(BlockId(0), kFirst);
  EXPECT_FALSE(guarded(1));
  shares_.set_out(BlockId(1), kFirst);
  EXPECT_TRUE(guarded(2));
  EXPECT_TRUE(shares_.may_go_after_move(BlockId(0), kFirst));
  EXPECT_FALSE(shares_.may_go_after_move(BlockId(2), kFirst));
  shares_.stay(BlockId(1), kFirst);
  EXPECT_FALSE(guarded(2));
  shares_.left(BlockId(0), kFirst);
  EXPECT_EQ(shares_.copies(1, kFirst), 5u);
}

TEST_F(SharesTest, YieldToTheirOwnersNeedAlone) {
  put(0, 3, 1);
  shares_.need(1, kFirst, 1);
  EXPECT_TRUE(guarded(0)) << "there is a place left in its share";
  EXPECT_TRUE(shares_.insist(1));
  EXPECT_FALSE(guarded(0)) << "but nobody else can give one";
  EXPECT_FALSE(shares_.insist(1));
  shares_.end_needs();
  EXPECT_TRUE(guarded(0));
  shares_.need(1, kFirst, 2);
  EXPECT_FALSE(guarded(0)) << "more than its share";
  shares_.end_needs();
  shares_.need(2, kFirst, 5);
  EXPECT_TRUE(guarded(0)) << "another's need";
}

TEST_F(SharesTest, LearnWhoseABlockIsAfterItsCopies) {
  shares_.came(kA, kSecondTier);
  shares_.set_out(kA, kSecondTier);
  EXPECT_EQ(shares_.copies(kUnlisted, kSecondTier), 1u);
  shares_.begin(kA, 2);
  EXPECT_EQ(shares_.copies(kUnlisted, kSecondTier), 0u);
  EXPECT_EQ(shares_.copies(2, kSecondTier), 1u);
  EXPECT_EQ(shares_.leaving(kA), 2u);
  shares_.forget(kA);
  EXPECT_EQ(shares_.copies(2, kSecondTier), 0u);
  EXPECT_EQ(shares_.tenant(kA), kUnlisted);
}

TEST(NoTenants, AreCountedNowhere) {
  Shares shares;
  ASSERT_TRUE(shares.open(100, {}, {8}).ok());
  EXPECT_FALSE(shares.any());
}

}  // namespace
}  // namespace kelvin::testing
