// Promotions beside a sorted map.
#include "policies/promotions.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace kelvin {
namespace {

TEST(Promotions, ComeByTimeAndThenInTheOrderOfTheirAdding) {
  Promotions promotions(8);
  EXPECT_EQ(promotions.due_ns(), Policy::kNever);
  EXPECT_TRUE(promotions.add(1, 20));
  EXPECT_TRUE(promotions.add(2, 10));
  EXPECT_TRUE(promotions.add(3, 10));
  EXPECT_EQ(promotions.due_ns(), 10U);
  EXPECT_EQ(promotions.take(), 2U);
  EXPECT_EQ(promotions.take(), 3U);
  EXPECT_EQ(promotions.take(), 1U);
  EXPECT_EQ(promotions.due_ns(), Policy::kNever);
}

TEST(Promotions, TakeNoMoreThanTheyHaveRoomFor) {
  Promotions promotions(2);
  EXPECT_TRUE(promotions.add(1, 1));
  EXPECT_TRUE(promotions.add(2, 2));
  EXPECT_FALSE(promotions.add(3, 0));
  EXPECT_EQ(promotions.take(), 1U);
  EXPECT_TRUE(promotions.add(3, 0));
  EXPECT_EQ(promotions.take(), 3U);
}

TEST(Promotions, AreAsASortedMap) {
  std::mt19937 random(5);
  Promotions promotions(64);
  std::multimap<std::uint64_t, std::uint32_t> model;  // keeps the order of equal ones
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 && model.size() < 64) {
      const std::uint64_t due = random() % 50;
      EXPECT_TRUE(promotions.add(i, due));
      model.emplace(due, i);
    } else if (!model.empty()) {
      ASSERT_EQ(promotions.due_ns(), model.begin()->first);
      ASSERT_EQ(promotions.take(), model.begin()->second);
      model.erase(model.begin());
    }
  }
}

}  // namespace
}  // namespace kelvin
