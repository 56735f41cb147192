// IndexedHeap: blocks by a 64-bit rank, least first; a block's rank may change. 20 bytes a block.
//
// A walk takes blocks out from the least on. They stay known, with their ranks, and go back when the next
// walk begins; most of them are removed before that, which then costs nothing.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. Nothing is allocated after construction.
//   2. entries_[0 .. size_) is a heap, four children to a parent; behind it is what was taken.
//   3. places_[entries_[i].block] == i; a block without an entry has place kNone.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kelvin/block.h"

namespace kelvin {

class IndexedHeap {
 public:
  static constexpr std::uint32_t kNone = BlockId::kNone;

  explicit IndexedHeap(std::uint32_t blocks) : places_(blocks, kNone) { entries_.reserve(blocks); }

  bool contains(std::uint32_t block) const noexcept { return places_[block] != kNone; }
  std::uint32_t least() const noexcept { return size_ == 0 ? kNone : entries_[0].block; }
  // Precondition: it is there.
  std::uint64_t rank(std::uint32_t block) const noexcept { return entries_[places_[block]].rank; }

  // Inserts it, puts it back, or changes its rank.
  void set(std::uint32_t block, std::uint64_t rank) noexcept {
    if (contains(block) && places_[block] < size_) {
      entries_[places_[block]].rank = rank;
      sink(rise(places_[block]));
      return;
    }
    remove(block);
    if (size_ < entries_.size()) append(entries_[size_]);
    if (size_ == entries_.size()) entries_.emplace_back();
    entries_[size_] = {rank, block};
    places_[block] = size_;
    rise(size_++);
  }

  void remove(std::uint32_t block) noexcept {
    std::uint32_t at = places_[block];
    if (at == kNone) return;
    if (at < size_) {
      exchange(at, --size_);
      if (at < size_) sink(rise(at));
      at = size_;
    }
    exchange(at, static_cast<std::uint32_t>(entries_.size() - 1));
    entries_.pop_back();
    places_[block] = kNone;
  }

  // What walks have taken goes back.
  void begin_walk() noexcept {
    while (size_ != entries_.size()) rise(size_++);
  }
  // The next block of a walk; kNone: none is left.
  std::uint32_t take_least() noexcept {
    if (size_ == 0) return kNone;
    exchange(0, --size_);
    sink(0);
    return entries_[size_].block;
  }
  // What was taken last goes back with another rank. Precondition: it is there still.
  void rerank_taken(std::uint64_t rank) noexcept { entries_[size_].rank = rank; }

 private:
  static constexpr std::uint32_t kFan = 4;  // entries of one cache line

  struct Entry {
    std::uint64_t rank;
    std::uint32_t block;
  };

  void append(const Entry& entry) noexcept {
    places_[entry.block] = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back(entry);
  }
  void exchange(std::uint32_t a, std::uint32_t b) noexcept {
    std::swap(entries_[a], entries_[b]);
    places_[entries_[a].block] = a;
    places_[entries_[b].block] = b;
  }
  std::uint32_t rise(std::uint32_t at) noexcept {
    for (; at > 0 && entries_[at].rank < entries_[(at - 1) / kFan].rank; at = (at - 1) / kFan)
      exchange(at, (at - 1) / kFan);
    return at;
  }
  void sink(std::uint32_t at) noexcept {
    for (;;) {
      std::uint32_t least = at;
      const std::uint32_t first = kFan * at + 1;
      for (std::uint32_t child = first; child < first + kFan && child < size_; ++child) {
        if (entries_[child].rank < entries_[least].rank) least = child;
      }
      if (least == at) return;
      exchange(at, least);
      at = least;
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> places_;
  std::uint32_t size_ = 0;  // of the heap
};

}  // namespace kelvin
