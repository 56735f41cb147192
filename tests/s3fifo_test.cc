// Policy "s3fifo": beside a naive one, and by itself.
#include "policies/s3fifo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "policy_fixture.h"
#include "textbook_cache.h"

namespace kelvin::testing {
namespace {

// Algorithm 1 of the paper: S, M and G are queues, each item counts its uses up to three. The front is the
// end that leaves. M gives way where it has more than its nine tenths, S where it has its tenth.
class NaiveS3Fifo {
 public:
  explicit NaiveS3Fifo(std::size_t slots) : slots_(slots), small_(slots / 10) {}

  BlockId access(std::uint32_t x) {
    if (std::ranges::count(s_, x) + std::ranges::count(m_, x) != 0) {
      uses_[x] = std::min(uses_[x] + 1, 3);
      return {};
    }
    BlockId gone;
    while (s_.size() + m_.size() == slots_) {
      const bool from_small = m_.size() <= slots_ - small_ && s_.size() >= small_;
      gone = from_small ? leave_small() : leave_main();
    }
    (std::erase(g_, x) != 0 ? m_ : s_).push_back(x);
    uses_[x] = 0;
    return gone;
  }

 private:
  // One step: out, or into M.
  BlockId leave_small() {
    const std::uint32_t x = s_.front();
    s_.pop_front();
    if (uses_[x] > 1) {
      m_.push_back(x);
      uses_[x] = 0;
      return {};
    }
    g_.push_back(x);
    if (g_.size() > slots_ - small_) g_.pop_front();
    return BlockId(x);
  }
  // One step: out, or queued again.
  BlockId leave_main() {
    const std::uint32_t x = m_.front();
    m_.pop_front();
    if (uses_[x] == 0) return BlockId(x);
    --uses_[x];
    m_.push_back(x);
    return {};
  }

  const std::size_t slots_, small_;
  std::deque<std::uint32_t> s_, m_, g_;
  std::map<std::uint32_t, int> uses_;
};

TEST(S3FifoReference, TakesTheVictimsOfTheNaiveOne) {
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    NaiveS3Fifo naive(40);
    expect_same_victims(kS3FifoPolicy, naive, 40, seed);
  }
}

class S3Fifo : public ::testing::Test {
 protected:
  void ask(std::initializer_list<std::uint32_t> items) {
    for (const std::uint32_t item : items) static_cast<void>(cache_.access(item));
  }
  void scan(std::uint32_t items) {
    for (std::uint32_t i = 0; i < items; ++i) static_cast<void>(cache_.access(next_++));
  }

  TextbookCache cache_{kS3FifoPolicy, 1000, 20};
  std::uint32_t next_ = 100;
};

TEST_F(S3Fifo, WhatIsUsedOnceAndNeverAgainPassesThroughTheSmallQueue) {
  ask({1, 1, 1});
  scan(500);
  EXPECT_TRUE(cache_.holds(1)) << "used twice more while it was in the small queue: it moved over";
  EXPECT_FALSE(cache_.holds(100));
}

TEST_F(S3Fifo, OneMoreUseIsNotEnough) {
  ask({1, 1});
  scan(25);
  EXPECT_FALSE(cache_.holds(1));
}

TEST_F(S3Fifo, WhatComesBackSoonEntersTheMainQueue) {
  ask({1});
  scan(25);
  ASSERT_FALSE(cache_.holds(1));
  ask({1});
  scan(500);
  EXPECT_TRUE(cache_.holds(1));
}

TEST_F(S3Fifo, WhatComesBackLateBeginsAnew) {
  ask({1});
  scan(60);  // the small queue's ghosts are eighteen
  ask({1});
  scan(60);
  EXPECT_FALSE(cache_.holds(1));
}

class S3FifoInPlans : public PolicyFixture {};

TEST_F(S3FifoInPlans, BlocksOfALeaseEnterDeepestFirst) {
  begin(kS3FifoPolicy, 1);
  lease({1, 2, 3}, 0);
  publish_chain({1, 2, 3}, 0);
  unlease({1, 2, 3});
  release({3, 2, 1}, 0);
  EXPECT_EQ(victims(3), (Ids{3, 2, 1}));
}

TEST_F(S3FifoInPlans, FindsTheOneBlockThatMayGoBehindLeasedOnes) {
  begin(kS3FifoPolicy, 1);
  publish_chain({1, 2, 3}, 0);
  release({3, 2, 1}, 0);
  lease({2, 3}, 0);
  EXPECT_EQ(victims(1), Ids{1}) << "2 is leased itself, and so is what builds on it: that counts once";
}

TEST_F(S3FifoInPlans, EndsThoughEverythingIsLeasedOrInUse) {
  begin(kS3FifoPolicy, 1, 0, 4);
  publish({1, 2, 3, 4}, 0);
  for (int i = 0; i < 5; ++i) release({4, 3, 2, 1}, 0);
  lease({1, 2, 3, 4}, 0);
  EXPECT_EQ(victims(4), Ids{});
  unlease({1, 2, 3, 4});
  EXPECT_EQ(victims(4).size(), 4u);
}

}  // namespace
}  // namespace kelvin::testing
