// RecencyList: blocks in order of use. Lists that never hold the same block at the same time share their
// links: 8 bytes a block for all of them.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. Nothing is allocated after construction.
//   2. A block's links are those of the one list that holds it, or kUnlisted.
#pragma once

#include <cstdint>
#include <vector>

#include "kelvin/block.h"

namespace kelvin {

struct RecencyLink {
  static constexpr std::uint32_t kUnlisted = BlockId::kNone - 1;

  std::uint32_t older = kUnlisted;
  std::uint32_t newer = kUnlisted;
};
using RecencyLinks = std::vector<RecencyLink>;  // by block

class RecencyList {
 public:
  static constexpr std::uint32_t kNone = BlockId::kNone;

  // `links` outlive the list.
  explicit RecencyList(RecencyLinks& links) : links_(links) {}

  std::uint32_t size() const noexcept { return size_; }
  std::uint32_t oldest() const noexcept { return oldest_; }  // kNone: the list is empty
  std::uint32_t newest() const noexcept { return newest_; }
  std::uint32_t newer_than(std::uint32_t block) const noexcept { return links_[block].newer; }
  // Is it in this list, or in another one on the same links?
  bool contains(std::uint32_t block) const noexcept { return links_[block].older != RecencyLink::kUnlisted; }

  // Adds a block that is in no list, as the newest.
  void push(std::uint32_t block) noexcept {
    links_[block] = {newest_, kNone};
    (newest_ == kNone ? oldest_ : links_[newest_].newer) = block;
    newest_ = block;
    ++size_;
  }
  // Precondition: it is in this list.
  void remove(std::uint32_t block) noexcept {
    const RecencyLink own = links_[block];
    (own.newer == kNone ? newest_ : links_[own.newer].older) = own.older;
    (own.older == kNone ? oldest_ : links_[own.older].newer) = own.newer;
    links_[block] = {};
    --size_;
  }
  // Makes a block of this list its newest.
  void touch(std::uint32_t block) noexcept {
    if (newest_ == block) return;
    remove(block);
    push(block);
  }

 private:
  RecencyLinks& links_;
  std::uint32_t oldest_ = kNone;
  std::uint32_t newest_ = kNone;
  std::uint32_t size_ = 0;
};

// A walk from the oldest to what was the newest when it began; what is touched on the way is not met again.
class OldestFirst {
 public:
  void begin(const RecencyList& list) noexcept {
    next_ = list.oldest();
    last_ = list.newest();
  }
  // Goes on from `block` to `last`.
  void go_to(std::uint32_t block, std::uint32_t last) noexcept {
    next_ = block;
    last_ = last;
  }
  // The next block, kNone at the end. It may be removed or touched before the next call.
  std::uint32_t next(const RecencyList& list) noexcept {
    const std::uint32_t block = next_;
    if (block != RecencyList::kNone) next_ = block == last_ ? RecencyList::kNone : list.newer_than(block);
    return block;
  }

 private:
  std::uint32_t next_ = RecencyList::kNone;
  std::uint32_t last_ = RecencyList::kNone;
};

}  // namespace kelvin
