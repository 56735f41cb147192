// Branches beside lists of children.
#include "policies/branches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace kelvin {
namespace {

constexpr std::uint32_t kBlocks = 50;

// The children of each block, the one used last at the back.
class NaiveBranches {
 public:
  void arrive(std::uint32_t block, std::uint32_t parent) {
    leave(block);
    children_[parent].push_back(block);
    parent_[block] = parent;
  }
  void use(std::uint32_t block) {
    if (parent_.contains(block)) arrive(block, parent_[block]);
  }
  void leave(std::uint32_t block) {
    if (!parent_.contains(block)) return;
    std::erase(children_[parent_[block]], block);
    parent_.erase(block);
  }
  std::uint32_t end_of(std::uint32_t block, const std::set<std::uint32_t>& named) const {
    const auto at = children_.find(block);
    if (at == children_.end()) return block;
    for (const std::uint32_t child : at->second) {
      if (!named.contains(child)) return end_of(child, named);
    }
    return block;
  }

 private:
  std::map<std::uint32_t, std::vector<std::uint32_t>> children_;
  std::map<std::uint32_t, std::uint32_t> parent_;
};

TEST(BranchesTest, AgreeWithListsOfChildrenOnRandomRuns) {
  Branches branches(kBlocks);
  NaiveBranches naive;
  std::set<std::uint32_t> named;
  std::mt19937 random(1);
  for (int step = 0; step < 50000; ++step) {
    const auto block = static_cast<std::uint32_t>(1 + random() % (kBlocks - 1));
    const auto parent = static_cast<std::uint32_t>(random() % block);  // so that there are no rings
    switch (random() % 5) {
      case 0:
        branches.leave(block);
        naive.leave(block);
        break;
      case 1:
        branches.use(block);
        naive.use(block);
        break;
      case 2:
        if (named.erase(block) == 0) named.insert(block);
        branches.name(block, named.contains(block));
        break;
      default:
        branches.arrive(block, BlockId(parent));
        naive.arrive(block, parent);
        break;
    }
    for (std::uint32_t from = 0; from < kBlocks; ++from) {
      ASSERT_EQ(branches.end_of(from), naive.end_of(from, named)) << "step " << step << ", from " << from;
      ASSERT_EQ(branches.is_built_on(from), naive.end_of(from, named) != from);
    }
  }
}

TEST(BranchesTest, ABlockWithoutAParentIsARoot) {
  Branches branches(3);
  branches.arrive(0, BlockId{});
  branches.arrive(1, BlockId(0));
  EXPECT_EQ(branches.end_of(0), 1u);
  branches.leave(0);  // its copy is gone; 1 is in the tier still
  EXPECT_EQ(branches.end_of(0), 1u);
  branches.arrive(1, BlockId{});
  EXPECT_EQ(branches.end_of(0), 0u);
}

}  // namespace
}  // namespace kelvin
