// The table of one space: which blocks are known, and where each has copies.
//
// Thread contract: any thread. Look-ups take no lock; changes of one block take the spin lock of its key's
// shard. Invariants:
//   1. A key has at most one live record.
//   2. A record is live exactly while it has a copy (in any slot state), a child, or a guard of a publish.
//      One without copies is a ghost: it only keeps the chain below it together.
//   3. A record's parent, if it has one, is live: the child counts in the parent's `children`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/huge_array.h"
#include "kelvin/block.h"
#include "kelvin/status.h"
#include "slots/free_list.h"
#include "table/index.h"
#include "table/record.h"

namespace kelvin {

class Table {
 public:
  // For up to `capacity` blocks.
  static Result<std::unique_ptr<Table>> make(std::uint32_t capacity, std::uint64_t seed) noexcept;

  BlockId find(const BlockKey& key) const noexcept { return index_.find(key); }
  std::size_t find_prefix(std::span<const BlockKey> keys, std::span<BlockId> ids) const noexcept {
    return index_.find_prefix(keys, ids);
  }
  // Starts loading what an offer of `key` will look at.
  void prefetch(const BlockKey& key) const noexcept { index_.prefetch(key); }

  BlockRecord& record(BlockId id) noexcept { return records_[id.value]; }
  const BlockRecord& record(BlockId id) const noexcept { return records_[id.value]; }

  // What became of an offer to make `slot` of `tier` the first copy of a new block.
  struct Offer {
    BlockId block;
    bool known = false;  // the key has a record already: nothing was changed, and the record is guarded
  };
  // `parent`: a live record kept alive by the caller, or none. kFull: no record left.
  Result<Offer> offer(const BlockKey& key, BlockId parent, std::uint32_t depth, TierIndex tier,
                      Slot slot) noexcept {
    return find_or_begin(key, parent, depth, tier, slot, false);
  }
  // The block's record, guarded; where there is none, that of a new ghost. Else as offer.
  Result<Offer> enter(const BlockKey& key, BlockId parent, std::uint32_t depth) noexcept {
    return find_or_begin(key, parent, depth, TierIndex(0), Slot{}, true);
  }

  // Gives a ghost (a block without any copy) its first copy again. False: it has one. Copies in tiers that
  // are not in `online` count for nothing: they are dropped before their tier comes back, and never read
  // again. Precondition: guarded.
  bool revive(BlockId block, TierIndex tier, Slot slot, std::uint32_t online) noexcept;

  // Names `slot` as a further copy of a block that the caller keeps alive. False: it has one in `tier`.
  bool attach(BlockId block, TierIndex tier, Slot slot) noexcept;

  // Takes the copy in `tier` out of a block's record. Ends the record if that was the last thing that kept
  // it, and its ancestors that lived for it alone: `forgotten(BlockId)` is called for each, child first,
  // before its id can be reused. Precondition: the caller holds the copy's slot in kDropping or kFilling.
  template <class Forgotten>
  void detach(BlockId block, TierIndex tier, Forgotten&& forgotten) noexcept;

  // Finds a block and keeps its record alive until unguard().
  BlockId guard(const BlockKey& key) noexcept;
  template <class Forgotten>
  void unguard(BlockId block, Forgotten&& forgotten) noexcept;

  std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(records_.size()); }
  std::uint32_t size() const noexcept { return capacity() - free_->count(); }
  std::size_t bytes() const noexcept { return records_.bytes() + index_.bytes() + free_->bytes(); }

 private:
  Table() = default;
  Result<Offer> find_or_begin(const BlockKey& key, BlockId parent, std::uint32_t depth, TierIndex tier,
                              Slot slot, bool guarded) noexcept;
  void begin(BlockId id, const BlockKey& key, BlockId parent, std::uint32_t depth, TierIndex tier, Slot slot,
             bool guarded) noexcept;
  bool end_if_unused(BlockId block) noexcept;
  void recycle(BlockId block) noexcept;
  template <class Forgotten>
  void end_chain(BlockId block, Forgotten&& forgotten) noexcept;

  // Constant after make; the contents are guarded as record.h and index.h say.
  HugeArray<BlockRecord> records_;
  Index index_;
  std::unique_ptr<FreeList> free_;
};

template <class Forgotten>
void Table::end_chain(BlockId block, Forgotten&& forgotten) noexcept {
  while (block && end_if_unused(block)) {
    const BlockId parent(record(block).parent.load(std::memory_order_relaxed));
    forgotten(block);
    recycle(block);
    if (!parent) break;
    record(parent).children.fetch_sub(1, std::memory_order_acq_rel);
    block = parent;
  }
}

template <class Forgotten>
void Table::detach(BlockId block, TierIndex tier, Forgotten&& forgotten) noexcept {
  {
    SpinGuard guard(index_.shard_of(record(block).key()).lock);
    record(block).copies[tier.value].store(Slot::kNone, std::memory_order_release);
  }
  end_chain(block, forgotten);
}

template <class Forgotten>
void Table::unguard(BlockId block, Forgotten&& forgotten) noexcept {
  record(block).children.fetch_sub(1, std::memory_order_acq_rel);
  end_chain(block, forgotten);
}

}  // namespace kelvin
