// RecencyList beside std::deque: two lists on one set of links.
#include "policies/recency_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <vector>

namespace kelvin {
namespace {

constexpr std::uint32_t kBlocks = 40;

std::vector<std::uint32_t> all_of(const RecencyList& list) {
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t b = list.oldest(); b != RecencyList::kNone; b = list.newer_than(b)) blocks.push_back(b);
  return blocks;
}

TEST(RecencyListTest, AgreesWithQueuesOnRandomRuns) {
  RecencyLinks links(kBlocks);
  std::array<RecencyList, 2> lists = {RecencyList(links), RecencyList(links)};
  std::array<std::deque<std::uint32_t>, 2> queues;
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const auto block = static_cast<std::uint32_t>(random() % kBlocks);
    const std::size_t l = random() % 2;
    const bool here = std::ranges::count(queues[l], block) != 0;
    const bool elsewhere = std::ranges::count(queues[1 - l], block) != 0;
    ASSERT_EQ(lists[l].contains(block), here || elsewhere);
    if (here) {
      std::erase(queues[l], block);
      if (random() % 2 == 0) {
        lists[l].remove(block);
      } else {
        lists[l].touch(block);
        queues[l].push_back(block);
      }
    } else if (!elsewhere) {
      lists[l].push(block);
      queues[l].push_back(block);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(lists[i].size(), queues[i].size());
      ASSERT_EQ(all_of(lists[i]), std::vector<std::uint32_t>(queues[i].begin(), queues[i].end()));
    }
  }
}

TEST(RecencyListTest, AWalkEndsThoughWhatItMeetsIsTouched) {
  RecencyLinks links(kBlocks);
  RecencyList list(links);
  for (const std::uint32_t block : {3u, 1u, 2u}) list.push(block);
  OldestFirst walk;
  walk.begin(list);
  std::vector<std::uint32_t> met;
  for (std::uint32_t b = walk.next(list); b != RecencyList::kNone; b = walk.next(list)) {
    met.push_back(b);
    list.touch(b);
  }
  EXPECT_EQ(met, (std::vector<std::uint32_t>{3, 1, 2}));
  EXPECT_EQ(all_of(list), met);
}

}  // namespace
}  // namespace kelvin
