// Promotions: blocks that should come to a nearer tier, each from a time of its own on.
//
// Bounded: where it is full, further ones are left out; they are loaded when they are asked for.
//
// Thread contract: one thread at a time. Allocates at construction only.
// Invariants:
//   1. A heap by time; those of one time come in the order in which they were added.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "kelvin/policy.h"

namespace kelvin {

class Promotions {
 public:
  explicit Promotions(std::uint32_t capacity) : capacity_(capacity) { heap_.reserve(capacity); }

  // False: there is no room.
  bool add(std::uint32_t block, std::uint64_t due_ns) noexcept {
    if (heap_.size() == capacity_) return false;
    heap_.push_back({due_ns, next_++, block});
    std::ranges::push_heap(heap_, std::greater<>());
    return true;
  }

  std::uint64_t due_ns() const noexcept { return heap_.empty() ? Policy::kNever : heap_.front().due_ns; }

  // Precondition: something is in it.
  std::uint32_t take() noexcept {
    std::ranges::pop_heap(heap_, std::greater<>());
    const std::uint32_t block = heap_.back().block;
    heap_.pop_back();
    return block;
  }

 private:
  struct Entry {
    std::uint64_t due_ns = 0;
    std::uint64_t order = 0;
    std::uint32_t block = 0;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  const std::size_t capacity_;
  std::vector<Entry> heap_;
  std::uint64_t next_ = 0;
};

}  // namespace kelvin
