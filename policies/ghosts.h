// GhostLists: which blocks are gone, in up to two lists, oldest first. 22 to 24 bytes a ghost.
//
// Bounded: where it is full, the oldest ghost of the list that is added to (of the other, if that is empty)
// is forgotten. A key is known by a fingerprint of 63 bits; an error would cost one block of misplaced trust.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. Nothing is allocated after construction.
//   2. Every ghost is in one list and in the chain of its key's bucket; every other entry is free.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/wide.h"
#include "kelvin/block.h"

namespace kelvin {

class GhostLists {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  explicit GhostLists(std::uint32_t capacity)
      : ghosts_(capacity), buckets_(std::bit_floor(std::max(1u, capacity)), kNone) {
    for (std::uint32_t i = capacity; i-- > 0;) {
      ghosts_[i].next = free_;
      free_ = i;
    }
  }

  std::uint32_t size(unsigned list = 0) const noexcept { return ends_[list].size; }

  // The number of its ghost, below the capacity and its own while it is there; kNone: it has none.
  std::uint32_t find(const BlockKey& key) const noexcept {
    const Print print(key);
    std::uint32_t at = buckets_[bucket_of(print.low)];
    while (at != kNone && (ghosts_[at].low != print.low || ghosts_[at].high != print.high))
      at = ghosts_[at].next;
    return at;
  }
  // Precondition: a ghost has this number.
  unsigned list_of(std::uint32_t ghost) const noexcept { return ghosts_[ghost].list; }

  // Adds the key as the newest of the list; moves it there if it has a ghost. Returns the ghost's number;
  // kNone: there is room for none.
  std::uint32_t push(const BlockKey& key, unsigned list = 0) noexcept {
    if (ghosts_.empty()) return kNone;
    static_cast<void>(take(key));
    if (free_ == kNone) pop(size(list) != 0 ? list : 1 - list);
    const std::uint32_t i = free_;
    Ghost& ghost = ghosts_[i];
    free_ = ghost.next;
    const Print print(key);
    ghost.low = print.low;
    ghost.high = print.high & 0x7FFFFFFFu;
    ghost.list = list & 1u;
    ghost.next = std::exchange(buckets_[bucket_of(print.low)], i);
    append(i);
    return i;
  }

  // Takes the key's ghost out. Returns the number that it had; kNone: it had none.
  std::uint32_t take(const BlockKey& key) noexcept {
    const std::uint32_t i = find(key);
    if (i != kNone) remove(i);
    return i;
  }

  // Forgets the oldest of a list, if there is one.
  void pop(unsigned list = 0) noexcept {
    if (ends_[list].oldest != kNone) remove(ends_[list].oldest);
  }

 private:
  struct Print {
    explicit Print(const BlockKey& key) {
      const std::uint64_t mixed = folded_product(key.hi ^ 0x9E3779B97F4A7C15, key.lo ^ 0xD6E8FEB86659FD93);
      low = static_cast<std::uint32_t>(mixed);
      high = static_cast<std::uint32_t>(mixed >> 33);
    }
    std::uint32_t low, high;
  };
  struct Ghost {
    std::uint32_t low = 0;
    std::uint32_t high : 31 = 0;
    std::uint32_t list : 1 = 0;
    std::uint32_t next = kNone;  // in its bucket, or free
    std::uint32_t older = kNone;
    std::uint32_t newer = kNone;
  };
  static_assert(sizeof(Ghost) == 20);
  struct Ends {
    std::uint32_t oldest = kNone, newest = kNone, size = 0;
  };

  std::size_t bucket_of(std::uint32_t low) const noexcept { return low & (buckets_.size() - 1); }

  void append(std::uint32_t i) noexcept {
    Ends& ends = ends_[ghosts_[i].list];
    ghosts_[i].older = ends.newest;
    ghosts_[i].newer = kNone;
    (ends.newest == kNone ? ends.oldest : ghosts_[ends.newest].newer) = i;
    ends.newest = i;
    ++ends.size;
  }
  void remove(std::uint32_t i) noexcept {
    Ghost& ghost = ghosts_[i];
    Ends& ends = ends_[ghost.list];
    (ghost.newer == kNone ? ends.newest : ghosts_[ghost.newer].older) = ghost.older;
    (ghost.older == kNone ? ends.oldest : ghosts_[ghost.older].newer) = ghost.newer;
    --ends.size;
    std::uint32_t* at = &buckets_[bucket_of(ghost.low)];
    while (*at != i) at = &ghosts_[*at].next;
    *at = ghost.next;
    ghost.next = std::exchange(free_, i);
  }

  std::vector<Ghost> ghosts_;
  std::vector<std::uint32_t> buckets_;
  std::array<Ends, 2> ends_{};
  std::uint32_t free_ = kNone;
};

}  // namespace kelvin
