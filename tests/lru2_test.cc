// Policy "lru2": beside a naive one, and by itself.
#include "policies/lru2.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "policy_fixture.h"
#include "textbook_cache.h"

namespace kelvin::testing {
namespace {

// The paper's definition: of each item the times of the last two uses; the least last but one goes (none: the
// least of all), of equals the least last. What is gone is remembered, `history` items long.
class NaiveLru2 {
 public:
  NaiveLru2(std::size_t slots, std::size_t history) : slots_(slots), history_(history) {}

  BlockId access(std::uint32_t item) {
    BlockId gone;
    if (!here_.contains(item)) {
      if (here_.size() == slots_) gone = evict();
      std::erase(gone_, item);
      here_[item] = true;
    }
    times_[item] = {times_[item].second, ++now_};
    return gone;
  }

 private:
  using Times = std::pair<std::uint64_t, std::uint64_t>;  // last but one, last

  BlockId evict() {
    std::uint32_t victim = here_.begin()->first;
    for (const auto& [item, _] : here_) {
      if (times_[item] < times_[victim]) victim = item;
    }
    here_.erase(victim);
    gone_.push_back(victim);
    if (gone_.size() > history_) {
      times_.erase(gone_.front());
      gone_.pop_front();
    }
    return BlockId(victim);
  }

  const std::size_t slots_, history_;
  std::uint64_t now_ = 0;
  std::map<std::uint32_t, bool> here_;
  std::map<std::uint32_t, Times> times_;
  std::deque<std::uint32_t> gone_;
};

TEST(Lru2Reference, TakesTheVictimsOfTheNaiveOne) {
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    NaiveLru2 naive(40, 40 * 4);
    expect_same_victims(kLru2Policy, naive, 40, seed);
  }
}

TEST(Lru2Reference, TakesThemWithoutAnyHistory) {
  NaiveLru2 naive(30, 0);
  expect_same_victims(kLru2Policy, naive, 30, 4, {{"history", "0"}});
}

class Lru2 : public PolicyFixture {
 protected:
  Lru2() { begin(kLru2Policy, 1); }
  void use(const Ids& blocks) { release(blocks, 0); }
  void make(const Ids& blocks) {
    lease(blocks, 0);
    publish(blocks, 0);
    unlease(blocks);
    use(blocks);
  }
};

TEST_F(Lru2, WhatWasUsedOnceGoesFirstTheLongestUnusedOfIt) {
  make({1, 2, 3, 4});
  use({1});
  use({3});
  EXPECT_EQ(victims(4), (Ids{2, 4, 1, 3}));
}

TEST_F(Lru2, TheLastButOneUseDecidesNotTheLast) {
  make({1});
  make({2});
  use({2});
  use({1});  // 1 was used last, but 2 was used twice since 1 was used first
  EXPECT_EQ(victims(2), (Ids{1, 2}));
}

TEST_F(Lru2, WhatComesBackIsRememberedToHaveBeenUsed) {
  make({1, 2});
  leave({1}, 0);
  make({3, 1});
  EXPECT_EQ(victims(3), (Ids{2, 3, 1}));
}

TEST_F(Lru2, AnArrivalInALowerTierIsAUseThere) {
  begin(kLru2Policy, 2);
  arrive({1, 2}, 1);
  release({1}, 0);
  EXPECT_EQ(victims(2, 1), (Ids{2, 1}));
}

TEST_F(Lru2, TheDeepestOfAPrefixGoesFirstThoughItWasUsedMore) {
  publish_chain({1, 2, 3}, 0);
  use({3, 2, 1});
  use({3});
  use({3});
  EXPECT_EQ(victims(3), (Ids{3, 2, 1}));
}

TEST_F(Lru2, WhatIsLeasedIsPassedOverNowAndLater) {
  make({1, 2, 3});
  lease({1}, 0);
  EXPECT_EQ(victims(1), Ids{2});
  view_.looks = 0;
  EXPECT_EQ(victims(1), Ids{2});
  EXPECT_EQ(view_.looks, 1u) << "the leased one was put behind";
}

}  // namespace
}  // namespace kelvin::testing
