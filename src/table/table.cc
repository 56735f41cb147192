// See table.h.
#include "table/table.h"

#include <algorithm>
#include <new>

namespace kelvin {

Result<std::unique_ptr<Table>> Table::make(std::uint32_t capacity, std::uint64_t seed) noexcept {
  std::unique_ptr<Table> table(new (std::nothrow) Table);
  if (table == nullptr) return Status(Code::kFull, "making the table");
  auto records = HugeArray<BlockRecord>::make(capacity);
  if (!records.ok()) return records.status();
  table->records_ = std::move(records).value();
  auto index = Index::make(capacity, seed, &table->records_);
  if (!index.ok()) return index.status();
  table->index_ = std::move(index).value();
  auto free_list = FreeList::make(capacity);
  if (!free_list.ok()) return free_list.status();
  table->free_ = std::move(free_list).value();
  return table;
}

void Table::begin(BlockId id, const BlockKey& key, BlockId parent, std::uint32_t depth, TierIndex tier,
                  Slot slot, bool guarded) noexcept {
  BlockRecord& r = record(id);
  r.key_hi.store(key.hi, std::memory_order_release);  // pairs with BlockRecord::holds
  r.key_lo.store(key.lo, std::memory_order_release);
  r.parent.store(parent.value, std::memory_order_relaxed);
  r.children.store(guarded ? 1 : 0, std::memory_order_relaxed);
  r.depth.store(static_cast<std::uint16_t>(std::min(depth, BlockRecord::kMaxDepth)),
                std::memory_order_relaxed);
  for (auto& copy : r.copies) copy.store(Slot::kNone, std::memory_order_relaxed);
  r.copies[tier.value].store(slot.value, std::memory_order_relaxed);
  const std::uint16_t generation = r.state.load(std::memory_order_relaxed) & static_cast<std::uint16_t>(~3u);
  // Pairs with the acquire in BlockRecord::holds: who sees it live sees all of the above.
  r.state.store(static_cast<std::uint16_t>((generation + BlockRecord::kGeneration) | BlockRecord::kLive),
                std::memory_order_release);
}

Result<Table::Offer> Table::find_or_begin(const BlockKey& key, BlockId parent, std::uint32_t depth,
                                          TierIndex tier, Slot slot, bool guarded) noexcept {
  SpinGuard guard(index_.shard_of(key).lock);
  if (const BlockId known = index_.find(key)) {
    record(known).children.fetch_add(1, std::memory_order_acq_rel);
    return Offer{known, true};
  }
  std::uint32_t id = 0;
  if (free_->take({&id, 1}) == 0)
    return Status(Code::kFull, "publishing a block: no record left in the table");
  begin(BlockId(id), key, parent, depth, tier, slot, guarded);
  if (!index_.insert(key, BlockId(id))) {
    record(BlockId(id))
        .state.fetch_and(static_cast<std::uint16_t>(~BlockRecord::kLive), std::memory_order_release);
    free_->give({&id, 1});
    return Status(Code::kFull, "publishing a block: its part of the index is full");
  }
  if (parent) record(parent).children.fetch_add(1, std::memory_order_acq_rel);
  return Offer{BlockId(id), false};
}

bool Table::attach(BlockId block, TierIndex tier, Slot slot) noexcept {
  BlockRecord& r = record(block);
  SpinGuard guard(index_.shard_of(r.key()).lock);
  if (r.copies[tier.value].load(std::memory_order_relaxed) != Slot::kNone) return false;
  r.copies[tier.value].store(slot.value, std::memory_order_release);
  return true;
}

bool Table::revive(BlockId block, TierIndex tier, Slot slot, std::uint32_t online) noexcept {
  BlockRecord& r = record(block);
  SpinGuard guard(index_.shard_of(r.key()).lock);
  const std::uint32_t counted = online | 1u << tier.value;
  for (std::size_t t = 0; t < kMaxTiers; ++t) {
    if ((counted >> t & 1) != 0 && r.copies[t].load(std::memory_order_relaxed) != Slot::kNone) return false;
  }
  // The bytes are made anew; those of the copies it had may have differed in rounding.
  r.state.fetch_and(static_cast<std::uint16_t>(~BlockRecord::kChecksumKnown), std::memory_order_relaxed);
  r.copies[tier.value].store(slot.value, std::memory_order_release);
  return true;
}

BlockId Table::guard(const BlockKey& key) noexcept {
  SpinGuard guard(index_.shard_of(key).lock);
  const BlockId block = index_.find(key);
  if (block) record(block).children.fetch_add(1, std::memory_order_acq_rel);
  return block;
}

// Takes an unused record out of the index. True: it was unused, and is the caller's now. Of several threads
// that come to the same conclusion at once, the shard's lock lets one through.
bool Table::end_if_unused(BlockId block) noexcept {
  BlockRecord& r = record(block);
  const BlockKey key = r.key();
  SpinGuard guard(index_.shard_of(key).lock);
  const std::uint16_t state = r.state.load(std::memory_order_relaxed);
  if ((state & BlockRecord::kLive) == 0 || r.key() != key || r.children.load(std::memory_order_acquire) != 0)
    return false;
  for (const auto& copy : r.copies) {
    if (copy.load(std::memory_order_relaxed) != Slot::kNone) return false;
  }
  index_.erase(key, block);
  r.state.store(static_cast<std::uint16_t>((state & ~3u) + BlockRecord::kGeneration),
                std::memory_order_release);
  return true;
}

void Table::recycle(BlockId block) noexcept { free_->give({&block.value, 1}); }

}  // namespace kelvin
