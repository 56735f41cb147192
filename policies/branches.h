// Branches: which blocks of one tier build on which; the children of each, the one used last first. 16 bytes
// and a bit for each block.
//
// While a plan is made, victims are named: then they count as gone.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. The children of a block are a ring through older and newer; last_child names the one used last.
//   2. A block is in the ring of its parent while its copy is in the tier, and in no other.
//   3. Nothing is named between two plans.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kelvin/block.h"

namespace kelvin {

class Branches {
 public:
  explicit Branches(std::uint32_t blocks) : blocks_(blocks), named_(blocks) {}

  void arrive(std::uint32_t block, BlockId parent) noexcept {
    leave(block);
    if (!parent) return;
    Links& own = blocks_[block];
    own.parent = parent.value;
    std::uint32_t& last = blocks_[parent.value].last_child;
    if (last == kNone) {
      own.older = own.newer = block;
    } else {
      own.older = last;
      own.newer = std::exchange(blocks_[last].newer, block);
      blocks_[own.newer].older = block;
    }
    last = block;
  }
  void use(std::uint32_t block) noexcept {
    const std::uint32_t parent = blocks_[block].parent;
    if (parent != kNone && blocks_[parent].last_child != block) arrive(block, BlockId(parent));
  }
  void leave(std::uint32_t block) noexcept {
    Links& own = blocks_[block];
    const std::uint32_t parent = std::exchange(own.parent, kNone);
    if (parent == kNone) return;
    std::uint32_t& last = blocks_[parent].last_child;
    if (last == block) last = own.older == block ? kNone : own.older;
    blocks_[own.newer].older = own.older;
    blocks_[own.older].newer = own.newer;
  }

  void name(std::uint32_t block, bool is_named = true) noexcept { named_[block] = is_named; }
  bool named(std::uint32_t block) const noexcept { return named_[block]; }

  // The end of the branch from `block` on that was not used for longest; the block itself if it is a leaf.
  std::uint32_t end_of(std::uint32_t block) const noexcept {
    for (std::uint32_t child = coldest_child(block); child != kNone; child = coldest_child(block))
      block = child;
    return block;
  }
  bool is_built_on(std::uint32_t block) const noexcept { return coldest_child(block) != kNone; }

 private:
  static constexpr std::uint32_t kNone = BlockId::kNone;

  struct Links {
    std::uint32_t last_child = kNone;
    std::uint32_t parent = kNone;
    std::uint32_t older = kNone;
    std::uint32_t newer = kNone;
  };

  // The one that was not used for longest among those that are not named.
  std::uint32_t coldest_child(std::uint32_t block) const noexcept {
    const std::uint32_t last = blocks_[block].last_child;
    if (last == kNone) return kNone;
    std::uint32_t child = blocks_[last].newer;  // a ring: behind the newest comes the oldest
    while (named(child) && child != last) child = blocks_[child].newer;
    return named(child) ? kNone : child;
  }

  std::vector<Links> blocks_;
  std::vector<bool> named_;
};

}  // namespace kelvin
