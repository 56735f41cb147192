// Recall: brings the blocks that a persistent tier's ledger lists back into the table and the tier's slots,
// when a space is opened, and when a tier that was offline is in use again.
//
//   1. What the ledger says of slots that are kKept is collected and sorted: parents before children, of one
//      key the newest first.
//   2. Each block gets a record, or keeps the one it has.
//   3. Each slot becomes its block's copy, in the order of writing, orphans before all others: what no prefix
//      leads to is the first to go. What contradicts a copy that was made meanwhile is forgotten.
//   4. What is still kKept goes free.
//
// Nothing is read but the ledger: whether the bytes are right shows when a block is loaded, by its checksum.
//
// Thread contract: the planner's, under its lock; other threads may use the table and the slots meanwhile.
// Invariants:
//   1. A slot becomes readable only after its block's checksum is known: the bytes will be compared with it.
//   2. A record that step 2 has guarded is unguarded in step 3, or by end().
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kelvin/tier.h"
#include "table/residency.h"

namespace kelvin {

class Recall {
 public:
  using Forgotten = std::function<void(BlockId)>;  // as for Table::detach

  // Throws std::bad_alloc; nothing else here allocates.
  Recall(Residency& residency, TierIndex tier, const Ledger& ledger);

  // Goes on for a while. Returns the blocks that got a readable copy in the tier; valid until the next step.
  std::span<const BlockId> step(const Forgotten& forgotten) noexcept;
  bool finished() const noexcept { return phase_ == Phase::kFinished; }

  // Leaves it at that: what was not reached stays kKept.
  void end(const Forgotten& forgotten) noexcept;

 private:
  enum class Phase : std::uint8_t { kCollect, kEnter, kPlace, kGiveUp, kFinished };
  struct Entry {
    Remembered what;
    BlockId block;  // none: the table has no room for it, or a newer slot holds it
  };
  struct Turn {  // of an entry, in a step
    std::uint64_t rank = 0;
    std::uint32_t entry = 0;
  };

  void collect() noexcept;
  void enter_some(const Forgotten& forgotten) noexcept;
  void place_some(const Forgotten& forgotten) noexcept;
  void give_up_some() noexcept;
  bool enter(Entry& entry, BlockId parent) noexcept;
  bool place(const Entry& entry) noexcept;
  bool add_copy(const Entry& entry) noexcept;
  void take_turns_by_prefix() noexcept;
  void take_turns_by_age() noexcept;
  Entry& turn(std::size_t i) noexcept { return entries_[turns_[i].entry]; }
  void prefetch(std::size_t i) noexcept;

  // Constant after construction.
  Residency& residency_;
  const TierIndex tier_;
  const Ledger& ledger_;

  Phase phase_ = Phase::kCollect;
  std::uint32_t next_slot_ = 0;  // of steps 1 and 4
  std::size_t next_ = 0;         // of steps 2 and 3
  std::vector<Entry> entries_;   // in the order of their slots
  std::vector<Turn> turns_;      // of step 2, then of step 3
  std::vector<bool> entered_;    // by block: one of the entries is its
  std::vector<bool> orphans_;    // by block
  std::vector<BlockId> placed_;
};

}  // namespace kelvin
