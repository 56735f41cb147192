// Policy "arc": beside a naive one, and by itself.
#include "policies/arc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>

#include "policy_fixture.h"
#include "textbook_cache.h"

namespace kelvin::testing {
namespace {

// Figure 4 of the paper, line by line. The front of each list is its least recent end.
class NaiveArc {
 public:
  explicit NaiveArc(double slots) : c_(slots) {}

  BlockId access(std::uint32_t x) {
    BlockId gone;
    if (in(kT1, x) || in(kT2, x)) {  // case I
      move(x, kT2);
    } else if (in(kB1, x)) {  // case II
      p_ = std::min(c_, p_ + std::max(1.0, size(kB2) / size(kB1)));
      gone = replace(false);
      move(x, kT2);
    } else if (in(kB2, x)) {  // case III
      p_ = std::max(0.0, p_ - std::max(1.0, size(kB1) / size(kB2)));
      gone = replace(true);
      move(x, kT2);
    } else {
      gone = miss();
      move(x, kT1);
    }
    return gone;
  }

 private:
  enum List { kT1, kT2, kB1, kB2 };

  BlockId miss() {  // case IV
    if (size(kT1) + size(kB1) == c_) {
      if (size(kT1) < c_) {
        lists_[kB1].pop_front();
        return replace(false);
      }
      const std::uint32_t gone = lists_[kT1].front();
      lists_[kT1].pop_front();
      return BlockId(gone);
    }
    const double all = size(kT1) + size(kT2) + size(kB1) + size(kB2);
    if (all < c_) return {};
    if (all == 2 * c_) lists_[kB2].pop_front();
    return size(kT1) + size(kT2) < c_ ? BlockId() : replace(false);
  }
  BlockId replace(bool in_b2) {
    const bool first = size(kT1) >= 1 && ((in_b2 && size(kT1) == p_) || size(kT1) > p_);
    const std::uint32_t gone = lists_[first ? kT1 : kT2].front();
    move(gone, first ? kB1 : kB2);
    return BlockId(gone);
  }
  bool in(List list, std::uint32_t x) const { return std::ranges::count(lists_[list], x) != 0; }
  double size(List list) const { return static_cast<double>(lists_[list].size()); }
  void move(std::uint32_t x, List to) {
    for (auto& list : lists_) std::erase(list, x);
    lists_[to].push_back(x);
  }

  const double c_;
  double p_ = 0;
  std::array<std::deque<std::uint32_t>, 4> lists_;
};

TEST(ArcReference, TakesTheVictimsOfTheNaiveOne) {
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    NaiveArc naive(40);
    expect_same_victims(kArcPolicy, naive, 40, seed);
  }
}

constexpr std::uint32_t kSlots = 4;

class Arc : public ::testing::Test {
 protected:
  std::vector<std::uint32_t> gone_for(std::initializer_list<std::uint32_t> items) {
    std::vector<std::uint32_t> gone;
    for (const std::uint32_t item : items) {
      if (const BlockId victim = cache_.access(item)) gone.push_back(victim.value);
    }
    return gone;
  }
  using Ids = std::vector<std::uint32_t>;

  TextbookCache cache_{kArcPolicy, 100, kSlots};
};

TEST_F(Arc, WhatWasUsedTwiceOutlivesAScan) {
  EXPECT_EQ(gone_for({1, 1, 2, 2, 10, 11, 12, 13, 14}), (Ids{10, 11, 12}));
  EXPECT_TRUE(cache_.holds(1) && cache_.holds(2));
}

TEST_F(Arc, AReturnOfWhatWasUsedOnceGivesSuchBlocksMoreRoom) {
  EXPECT_EQ(gone_for({1, 1, 2, 2, 10, 11, 12}), Ids{10});
  // p was 0; 10 comes back: p is 1, T1 = {11, 12} is too large still; then p is 2.
  EXPECT_EQ(gone_for({10}), Ids{11});
  EXPECT_EQ(gone_for({11}), Ids{1}) << "now T2 makes room";
}

TEST_F(Arc, AReturnOfWhatWasUsedOftenTakesTheRoomBack) {
  gone_for({1, 1, 2, 2, 10, 11, 12, 10, 11});  // as above: 1 went from T2
  EXPECT_FALSE(cache_.holds(1));
  EXPECT_EQ(gone_for({1}), Ids{12}) << "p is 1 again";
}

class ArcInPlans : public PolicyFixture {};

TEST_F(ArcInPlans, TheDeepestOfAPrefixGoesFirstThoughItWasUsedMore) {
  begin(kArcPolicy, 1);
  publish_chain({1, 2, 3}, 0);
  release({3, 2, 1}, 0);
  release({3}, 0);
  EXPECT_EQ(victims(3), (Ids{3, 2, 1}));
}

TEST_F(ArcInPlans, AnArrivalInALowerTierIsAUseThere) {
  begin(kArcPolicy, 2);
  arrive({1, 2, 3}, 1);
  release({1}, 1);
  EXPECT_EQ(victims(3, 1), (Ids{2, 3, 1}));
}

}  // namespace
}  // namespace kelvin::testing
