// The copies in one tier, in an array whose front holds those that nothing nearer to compute builds on.
//
// Thread contract: one thread. Allocates at construction only.
// Invariants:
//   1. A block is in `order_` exactly while it has a copy here; place_[order_[i]] == i.
//   2. It is in front, i < leaves_, exactly while children_ of it is 0.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace kelvin::heat {

class Copies {
 public:
  Copies(std::uint32_t slots, std::uint32_t blocks)
      : place_(blocks, kNowhere), children_(blocks, 0), slots_(slots) {
    order_.reserve(slots);
  }

  bool contains(std::uint32_t block) const noexcept { return place_[block] != kNowhere; }
  std::uint32_t leaves() const noexcept { return leaves_; }
  bool leaf(std::uint32_t block) const noexcept { return contains(block) && place_[block] < leaves_; }
  std::span<const std::uint32_t> all() const noexcept { return order_; }  // the leaves first

  std::uint64_t bytes() const noexcept {
    return order_.capacity() * sizeof(order_[0]) + place_.size() * sizeof(place_[0]) +
           children_.size() * sizeof(children_[0]);
  }

  void add(std::uint32_t block) noexcept {
    if (contains(block) || order_.size() >= slots_) return;
    place_[block] = static_cast<std::uint32_t>(order_.size());
    order_.push_back(block);
    if (children_[block] == 0) swap(place_[block], leaves_++);
  }
  void remove(std::uint32_t block) noexcept {
    if (!contains(block)) return;
    if (place_[block] < leaves_) swap(place_[block], --leaves_);
    swap(place_[block], static_cast<std::uint32_t>(order_.size()) - 1);
    order_.pop_back();
    place_[block] = kNowhere;
    prefetch_ends();
  }

  // Children of `block` that have a copy in this tier or a nearer one; a block with 65,535 of them at once
  // stays behind the leaves for good.
  std::uint32_t children(std::uint32_t block) const noexcept { return children_[block]; }
  void add_child(std::uint32_t block) noexcept {
    if (children_[block] == kMany) return;
    if (children_[block]++ == 0 && contains(block)) swap(place_[block], --leaves_);
  }
  void remove_child(std::uint32_t block) noexcept {
    if (children_[block] == kMany || children_[block] == 0) return;
    if (--children_[block] == 0 && contains(block)) swap(place_[block], leaves_++);
  }
  // The record ends; whatever takes its id has no children yet.
  void reset(std::uint32_t block) noexcept {
    remove(block);
    children_[block] = 0;
  }

 private:
  static constexpr std::uint32_t kNowhere = 0xFFFF'FFFF;
  static constexpr std::uint16_t kMany = 0xFFFF;

  // What the next removal moves.
  void prefetch_ends() const noexcept {
    if (leaves_ != 0) __builtin_prefetch(&place_[order_[leaves_ - 1]], 1);
    if (!order_.empty()) __builtin_prefetch(&place_[order_.back()], 1);
  }

  void swap(std::uint32_t i, std::uint32_t j) noexcept {
    std::swap(order_[i], order_[j]);
    place_[order_[i]] = i;
    place_[order_[j]] = j;
  }

  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> place_;  // by block
  std::vector<std::uint16_t> children_;
  const std::uint32_t slots_;
  std::uint32_t leaves_ = 0;
};

}  // namespace kelvin::heat
