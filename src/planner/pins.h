// Pins: blocks that are not forgotten, or stay in one tier, until a time. They end by themselves.
//
// A pin on a tier keeps the copy there. A pin on none keeps the block: its last copy is never dropped, though
// it may be demoted. Each tier allows pins on a share of its slots; pins on none count in the last tier, for
// that is where the block may end.
//
// Memory: 8 bytes a block of the table, touched only where a block was ever pinned, and 4 for each pin.
//
// Thread contract: the planner's, under its lock. Invariants:
//   1. A block is in list_ exactly while its entry is set; it is counted once, where its entry says.
//   2. bound_[t] <= limit_[t], and loose_ + bound_[last tier] <= limit_[last tier], after every call.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/huge_array.h"
#include "kelvin/block.h"
#include "kelvin/status.h"

namespace kelvin {

class Pins {
 public:
  // `limit`: the most pins by tier; `last`: where blocks end. kFull: no memory.
  Status open(std::uint32_t blocks, const std::array<std::uint32_t, kMaxTiers>& limit,
              TierIndex last) noexcept;

  bool any() const noexcept { return !list_.empty(); }

  // All of them, or none: kFull where that would be more than the tier's share.
  Status pin(std::span<const BlockId> blocks, TierIndex tier, std::uint64_t duration_s,
             std::uint64_t now_ns) noexcept;
  void unpin(BlockId block) noexcept;

  // Blocks now end elsewhere: the latest pins beyond that tier's share end.
  void end_in(TierIndex last) noexcept;

  bool pinned(BlockId block, std::uint64_t now_ns) const noexcept {
    return entries_[block.value].until_s > now_ns / 1'000'000'000;
  }
  // Where it is pinned; kNoTier: wherever its last copy is. Precondition: pinned.
  TierIndex tier(BlockId block) const noexcept { return tier_of(entries_[block.value]); }

  // Pins whose time is not over.
  std::uint32_t count(std::uint64_t now_ns) noexcept;

 private:
  struct Entry {
    std::uint32_t until_s = 0;      // 0: not pinned
    std::uint32_t place : 27 = 0;   // in list_
    std::uint32_t tier : 4 = 0;     // kLoose: none
    std::uint32_t counted : 1 = 0;  // seen in the range at hand
  };
  static_assert(sizeof(Entry) == 8);
  static constexpr std::uint32_t kMostPins = 1u << 27;
  static constexpr std::uint32_t kLoose = kMaxTiers;

  static TierIndex tier_of(const Entry& entry) noexcept {
    return entry.tier == kLoose ? kNoTier : TierIndex(static_cast<std::uint8_t>(entry.tier));
  }
  std::uint32_t& counter(TierIndex tier) noexcept { return tier ? bound_[tier.value] : loose_; }
  bool fits() const noexcept;
  bool would_fit(std::span<const BlockId> blocks, TierIndex tier, std::size_t* added) noexcept;
  void set(BlockId block, TierIndex tier, std::uint32_t until_s) noexcept;
  void end_old(std::uint64_t now_ns) noexcept;

  HugeArray<Entry> entries_;
  std::vector<BlockId> list_;
  std::array<std::uint32_t, kMaxTiers> limit_{};
  std::array<std::uint32_t, kMaxTiers> bound_{};
  std::uint32_t loose_ = 0;
  TierIndex last_;
  std::uint32_t soonest_s_ = 0;  // no pin's time is over before
};

}  // namespace kelvin
