// The slots of one tier: a SlotWord each, and the list of the free ones.
//
// Thread contract: any thread, lock-free but for the free list's shards.
// Invariants:
//   1. Every transition is one that may_become() allows (asserted).
//   2. A slot is in the free list exactly when it is kFree and the tier is owned.
//   3. A pinned copy stays: kResident with pins > 0 never becomes kDropping.
//   4. Making a slot kResident is a release that pairs with the acquire of pin(): who pinned a copy sees its
//      bytes and its block's record.
//   5. A slot that is kFree or kBad has no entry in the tier's ledger.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/huge_array.h"
#include "kelvin/tier.h"
#include "slots/free_list.h"
#include "slots/slot_word.h"

namespace kelvin {

class SlotMap {
 public:
  // `adopted`: the engine names the slots; take() then has none to give. `ledger`: of a persistent tier, null
  // for others; it forgets a slot's block before the slot is given out again.
  static Result<std::unique_ptr<SlotMap>> make(std::uint32_t slots, bool adopted,
                                               Ledger* ledger = nullptr) noexcept;

  // kFree -> kHeld for up to out.size() slots of the free list; returns how many.
  std::size_t take_held(std::span<Slot> out) noexcept;
  // kFree -> kFilling by move number `move`, for one slot of the free list; none if there is none.
  Slot take_filling(BlockId block, std::uint32_t move) noexcept;
  // The same for slots the engine names. False: not free (or not adopted); nothing changed.
  bool claim_held(Slot slot) noexcept;
  bool claim_filling(Slot slot, BlockId block, std::uint32_t move) noexcept;

  // kHeld -> kResident with one pin, which is the caller's.
  void publish(Slot slot, BlockId block) noexcept;
  // kFilling -> kResident with `pins` pins.
  void filled(Slot slot, BlockId block, std::uint32_t pins) noexcept;

  // One more pin, if the slot is kResident with `block` and a pin is to be had.
  bool pin(Slot slot, BlockId block) noexcept;
  void unpin(Slot slot) noexcept;

  // kResident without pins -> kDropping, if it holds `block`.
  bool start_drop(Slot slot, BlockId block) noexcept;

  // kHeld, kFilling, kDropping -> kFree. Precondition: nobody uses the bytes any more.
  void free(std::span<const Slot> slots) noexcept;
  // kFilling, kDropping -> kBad: never given out again.
  void quarantine(Slot slot) noexcept;

  // Blocks that a persistent tier held before: withhold() takes all free slots out of the list, restore()
  // makes one of them kResident without pins (false: it was not free), and give_rest() puts the others back.
  // Precondition of all three: nobody else takes or frees slots of this tier meanwhile.
  void withhold() noexcept;
  bool restore(Slot slot, BlockId block) noexcept;
  void give_rest() noexcept;

  SlotWord word(Slot slot) const noexcept { return {words_[slot.value].load(std::memory_order_acquire)}; }
  void prefetch(Slot slot) const noexcept { __builtin_prefetch(&words_[slot.value]); }

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(words_.size()); }
  std::uint32_t free_count() const noexcept;
  std::uint32_t quarantined() const noexcept { return quarantined_.load(std::memory_order_relaxed); }
  bool adopted() const noexcept { return adopted_; }
  std::size_t bytes() const noexcept { return words_.bytes() + list_->bytes(); }

 private:
  SlotMap() = default;
  void turn(Slot slot, SlotWord to) noexcept;
  bool claim(Slot slot, SlotWord to) noexcept;

  // Constant after make.
  HugeArray<std::atomic<std::uint64_t>> words_;
  std::unique_ptr<FreeList> list_;
  bool adopted_ = false;
  Ledger* ledger_ = nullptr;

  std::atomic<std::uint32_t> adopted_free_{0};
  std::atomic<std::uint32_t> quarantined_{0};
};

}  // namespace kelvin
