// Which block has a readable copy where: the table and the slots of all tiers, read and pinned together.
//
// Thread contract: any thread, lock-free.
// Invariants:
//   1. A readable copy is a slot that a record names and that is kResident with that block, in a tier that
//      is online.
//   2. pin() answers a slot only if the block still has the key that the caller looked up: ids are reused.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/policy.h"
#include "slots/slot_map.h"
#include "table/table.h"

namespace kelvin {

class Residency {
 public:
  Residency(std::unique_ptr<Table> table, std::vector<std::unique_ptr<SlotMap>> slots) noexcept
      : table_(std::move(table)), slots_(std::move(slots)), online_((1u << slots_.size()) - 1) {}

  Table& table() noexcept { return *table_; }
  const Table& table() const noexcept { return *table_; }
  SlotMap& slots(TierIndex tier) noexcept { return *slots_[tier.value]; }
  const SlotMap& slots(TierIndex tier) const noexcept { return *slots_[tier.value]; }
  std::size_t tiers() const noexcept { return slots_.size(); }

  bool online(TierIndex tier) const noexcept { return (online_mask() >> tier.value & 1) != 0; }
  std::uint32_t online_mask() const noexcept { return online_.load(std::memory_order_relaxed); }
  // The nearest tier that is in use; the nearest at all where none is.
  TierIndex first_online() const noexcept {
    const std::uint32_t online = online_mask();
    return TierIndex(online == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(std::countr_zero(online)));
  }
  void set_offline(TierIndex tier) noexcept {
    online_.fetch_and(~(1u << tier.value), std::memory_order_relaxed);
  }
  // Precondition: the tier has no copies that a record names.
  void set_online(TierIndex tier) noexcept { online_.fetch_or(1u << tier.value, std::memory_order_relaxed); }

  // As Table::find_prefix, and starts loading the words of the slots that will be asked for next.
  std::size_t find_prefix(std::span<const BlockKey> keys, std::span<BlockId> ids) const noexcept;

  // As find_prefix, but ends before the first block without a readable copy, and answers with the nearest
  // tier of each. Where a block has one copy only, its slot is not looked at, which saves a cache miss: what
  // is still being filled has its source beside it. A copy that is being dropped may thus still be counted.
  // Precondition: keys.size() <= kLocateBatch, tiers.size() >= keys.size().
  static constexpr std::size_t kLocateBatch = 64;
  std::size_t locate(std::span<const BlockKey> keys, std::span<TierIndex> tiers) const noexcept;

  // Bit t: a readable copy in tier t. A snapshot.
  std::uint32_t readable(BlockId block) const noexcept;

  // The nearest tier (lowest number) with a readable copy; kNoTier if none.
  TierIndex nearest(BlockId block) const noexcept;

  // Pins the block's copy in `tier`, if it has one there and still is the block of `key`.
  Slot pin(BlockId block, const BlockKey& key, TierIndex tier) noexcept;

  BlockState state(BlockId block) const noexcept;

 private:
  std::uint32_t named(BlockId block) const noexcept;  // bit t: the record names a slot of tier t

  std::unique_ptr<Table> table_;                 // constant after construction
  std::vector<std::unique_ptr<SlotMap>> slots_;  // constant after construction
  std::atomic<std::uint32_t> online_;            // bit t: tier t is in use
};

}  // namespace kelvin
