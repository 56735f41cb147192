// The budget of writes: never more than the rate allows, never less than it leaves.
#include "planner/write_budget.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace kelvin {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

std::uint32_t take_all(WriteBudget& budget, std::uint64_t now_ns) {
  std::uint32_t taken = 0;
  for (; budget.left(now_ns) != 0; ++taken) budget.take();
  return taken;
}

TEST(WriteBudget, WithoutALimitNeverRunsOut) {
  WriteBudget budget;
  EXPECT_FALSE(budget.limited());
  for (int i = 0; i < 1000; ++i) budget.take();
  EXPECT_EQ(budget.left(1), ~std::uint32_t{0});
}

TEST(WriteBudget, HoldsAMinutesWorthAtFirstAndAfterAPause) {
  WriteBudget budget(10);
  EXPECT_EQ(take_all(budget, kSecond), 600u);
  EXPECT_EQ(take_all(budget, kSecond), 0u);
  EXPECT_EQ(take_all(budget, 100 * kSecond), 600u);
}

TEST(WriteBudget, FillsWithTime) {
  WriteBudget budget(10);
  take_all(budget, kSecond);
  EXPECT_EQ(budget.left(kSecond + kSecond / 20), 0u);
  EXPECT_EQ(budget.left(kSecond + kSecond / 10 + 1), 1u);
}

TEST(WriteBudget, OfLessThanOneBlockAMinuteSavesUpForOne) {
  WriteBudget budget(0.01);
  EXPECT_EQ(take_all(budget, kSecond), 1u);
  EXPECT_EQ(take_all(budget, 100 * kSecond), 0u);
  EXPECT_EQ(take_all(budget, 102 * kSecond), 1u);
}

TEST(WriteBudget, KeepsItsRateWhateverTheCallsAre) {
  std::mt19937_64 random(1);
  WriteBudget budget(100);
  std::uint64_t now_ns = kSecond;
  std::uint64_t taken = 0;
  while (now_ns < 61 * kSecond) {
    now_ns += random() % (kSecond / 50);
    for (std::uint64_t i = random() % 8; i > 0 && budget.left(now_ns) != 0; --i) {
      budget.take();
      ++taken;
    }
  }
  EXPECT_LE(taken, 100u * 120 + 1);
  EXPECT_GE(taken, 100u * 115);
}

}  // namespace
}  // namespace kelvin
