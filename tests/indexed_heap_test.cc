// IndexedHeap beside std::set.
#include "policies/indexed_heap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace kelvin {
namespace {

constexpr std::uint32_t kNone = IndexedHeap::kNone;

class HeapBesideASet : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kBlocks = 60;

  void set(std::uint32_t block, std::uint64_t rank) {
    erase(block);
    sorted_.emplace(rank, block);
    ranks_[block] = rank;
    heap_.set(block, rank);
  }
  void remove(std::uint32_t block) {
    erase(block);
    heap_.remove(block);
  }
  void erase(std::uint32_t block) {
    if (const auto at = ranks_.find(block); at != ranks_.end()) {
      sorted_.erase({at->second, block});
      ranks_.erase(at);
    }
  }
  void check() {
    for (std::uint32_t block = 0; block < kBlocks; ++block) {
      ASSERT_EQ(heap_.contains(block), ranks_.contains(block));
      if (heap_.contains(block)) {
        ASSERT_EQ(heap_.rank(block), ranks_[block]);
      }
    }
  }
  // Takes some, least first, and reranks some of them.
  void walk(std::mt19937_64& random) {
    heap_.begin_walk();
    ASSERT_EQ(heap_.least() == kNone, sorted_.empty());
    auto expected = sorted_;
    for (auto left = random() % (sorted_.size() + 2); left-- > 0;) {
      const std::uint32_t block = heap_.take_least();
      ASSERT_EQ(block == kNone, expected.empty());
      if (block == kNone) break;
      ASSERT_EQ(ranks_[block], expected.begin()->first);
      expected.erase({ranks_[block], block});
      if (random() % 4 != 0) continue;
      erase(block);
      ranks_[block] = random() % 1000;
      sorted_.emplace(ranks_[block], block);
      heap_.rerank_taken(ranks_[block]);
    }
  }

  IndexedHeap heap_{kBlocks};
  std::set<std::pair<std::uint64_t, std::uint32_t>> sorted_;
  std::map<std::uint32_t, std::uint64_t> ranks_;
};

TEST_F(HeapBesideASet, AgreesOnRandomRuns) {
  std::mt19937_64 random(1);
  for (int step = 0; step < 20000 && !HasFatalFailure(); ++step) {
    const auto block = static_cast<std::uint32_t>(random() % kBlocks);
    switch (random() % 4) {
      case 0: remove(block); break;
      case 1: walk(random); break;
      default: set(block, random() % 1000); break;
    }
    check();
  }
}

}  // namespace
}  // namespace kelvin
