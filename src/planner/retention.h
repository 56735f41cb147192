// Retention: blocks that their engine asked to keep, at a priority, for a while. An order, not a promise:
// what is retained goes after everything that is not, and the lower priority goes first.
//
// Memory: 8 bytes a block of the table, touched only where a block was ever retained.
//
// Thread contract: the planner's, under its lock. Invariants:
//   1. blocks_[p] counts the entries that are set with priority p, whether or not their time is over.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/huge_array.h"
#include "kelvin/block.h"

namespace kelvin {

class Retention {
 public:
  static constexpr int kEveryone = -1;  // a floor below every priority
  static constexpr std::uint8_t kMostPriority = 100;

  // kFull: no memory.
  Status open(std::uint32_t blocks) noexcept {
    auto entries = HugeArray<Entry>::make(blocks);
    if (!entries.ok()) return entries.status();
    entries_ = std::move(entries).value();
    return Status();
  }

  bool any() const noexcept { return set_ != 0; }

  // While it runs, a further wish can only prolong it and raise it.
  void retain(BlockId block, std::uint8_t priority, std::uint32_t seconds, std::uint64_t now_ns) noexcept {
    Entry& entry = entries_[block.value];
    const auto now_s = static_cast<std::uint32_t>(now_ns / 1'000'000'000);
    const std::uint32_t most = ~std::uint32_t{0} - 1 - now_s;
    const std::uint32_t until_s = now_s + 1 + std::min(seconds, most);
    priority = std::min(priority, kMostPriority);
    if (entry.until_s > now_s) priority = std::max(priority, entry.priority);
    const std::uint32_t last = std::max(until_s, entry.until_s);
    forget(block);
    entry = {last, priority};
    ++blocks_[priority];
    ++set_;
  }
  void forget(BlockId block) noexcept {
    Entry& entry = entries_[block.value];
    if (entry.until_s == 0) return;
    --blocks_[entry.priority];
    --set_;
    entry = {};
  }

  // It is retained at that moment, at a priority above `floor`.
  bool holds(BlockId block, std::uint64_t now_ns, int floor) const noexcept {
    const Entry& entry = entries_[block.value];
    return entry.until_s > now_ns / 1'000'000'000 && entry.priority > floor;
  }

  // The lowest priority above `floor` at which blocks may be retained; `floor` if there is none.
  int next(int floor) const noexcept {
    for (int priority = floor + 1; priority <= kMostPriority; ++priority) {
      if (blocks_[static_cast<std::size_t>(priority)] != 0) return priority;
    }
    return floor;
  }

 private:
  struct Entry {
    std::uint32_t until_s = 0;  // 0: not set
    std::uint8_t priority = 0;
  };
  static_assert(sizeof(Entry) == 8);

  HugeArray<Entry> entries_;
  std::array<std::uint32_t, kMostPriority + 1> blocks_{};
  std::uint32_t set_ = 0;
};

}  // namespace kelvin
