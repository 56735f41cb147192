// GhostLists beside std containers.
#include "policies/ghosts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>

namespace kelvin {
namespace {

constexpr std::uint32_t kNone = GhostLists::kNone;

BlockKey key_of(std::uint64_t n) { return {n, ~n}; }

TEST(Ghosts, AgreeWithTwoQueuesOnRandomRuns) {
  constexpr std::uint32_t kCapacity = 37;
  GhostLists ghosts(kCapacity);
  std::array<std::deque<std::uint64_t>, 2> queues;
  std::mt19937_64 random(1);
  for (int step = 0; step < 50000; ++step) {
    const std::uint64_t n = random() % 120;
    const auto list = static_cast<unsigned>(random() % 2);
    const bool known = std::ranges::count(queues[0], n) + std::ranges::count(queues[1], n) != 0;
    ASSERT_EQ(ghosts.find(key_of(n)) != kNone, known) << step;
    switch (random() % 5) {
      case 0:
        ASSERT_EQ(ghosts.take(key_of(n)) != kNone, known);
        for (auto& queue : queues) std::erase(queue, n);
        break;
      case 1:
        ghosts.pop(list);
        if (!queues[list].empty()) queues[list].pop_front();
        break;
      default:
        for (auto& queue : queues) std::erase(queue, n);
        if (queues[0].size() + queues[1].size() == kCapacity)
          queues[queues[list].empty() ? 1 - list : list].pop_front();
        queues[list].push_back(n);
        ASSERT_LT(ghosts.push(key_of(n), list), kCapacity);
        ASSERT_EQ(ghosts.list_of(ghosts.find(key_of(n))), list);
    }
    ASSERT_EQ(ghosts.size(0), queues[0].size());
    ASSERT_EQ(ghosts.size(1), queues[1].size());
  }
}

TEST(Ghosts, KeepTheirNumbers) {
  GhostLists ghosts(3);
  const std::uint32_t one = ghosts.push(key_of(1));
  const std::uint32_t two = ghosts.push(key_of(2));
  EXPECT_NE(one, two);
  EXPECT_EQ(ghosts.find(key_of(1)), one);
  EXPECT_EQ(ghosts.take(key_of(1)), one);
  EXPECT_EQ(ghosts.find(key_of(2)), two);
}

TEST(Ghosts, WithoutRoomRememberNothing) {
  GhostLists ghosts(0);
  EXPECT_EQ(ghosts.push(key_of(1)), kNone);
  EXPECT_EQ(ghosts.find(key_of(1)), kNone);
  ghosts.pop();
  EXPECT_EQ(ghosts.size(), 0u);
}

}  // namespace
}  // namespace kelvin
