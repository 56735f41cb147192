// The slots of one tier: a SlotWord each, and the list of the free ones.
//
// Thread contract: any thread, lock-free but for the free list's shards.
// Invariants:
//   1. Every transition is one that may_become() allows (asserted).
//   2. A slot is in the free list exactly when it is kFree, the tier is owned, and grow() has brought it in;
//      what is not ready yet is kFree and in nobody's hands.
//   3. A pinned copy stays: kResident with pins > 0 never becomes kDropping.
//   4. Making a slot kResident is a release that pairs with the acquire of pin(): who pinned a copy sees its
//      bytes and its block's record.
//   5. A slot that is kFree or kBad has no entry in the tier's ledger. So all are kKept at first.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/huge_array.h"
#include "base/spin_lock.h"
#include "kelvin/tier.h"
#include "slots/free_list.h"
#include "slots/slot_word.h"

namespace kelvin {

class SlotMap {
 public:
  // `adopted`: the engine names the slots; take() then has none to give. `ledger`: of a persistent tier, null
  // for others; it forgets a slot's block before the slot is given out again, and all slots are kKept.
  // `growth`: of a tier that is not ready as a whole, null for others; it outlives the map. No tier has both.
  static Result<std::unique_ptr<SlotMap>> make(std::uint32_t slots, bool adopted, Ledger* ledger = nullptr,
                                               const Growth* growth = nullptr) noexcept;

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

  // What Discards does (mover/discards.h), of owned tiers. mark_aged: kFresh becomes kAged; what it was
  // before. take_among: kFree -> kHeld for up to out.size() slots of `first` .. `last - 1`; returns how many.
  // free_discarded: kHeld -> kFree, marked kDiscarded.
  FreeMark mark_aged(Slot slot) noexcept;
  std::size_t take_among(std::uint32_t first, std::uint32_t last, std::span<std::uint32_t> out) noexcept;
  void free_discarded(std::span<const Slot> slots) noexcept;

  // Of a tier with a ledger. keep: kDropping -> kKept, and the ledger's entry stays. restore: kKept ->
  // kResident without pins; false: it is in another state.
  void keep(Slot slot) noexcept;
  bool restore(Slot slot, BlockId block) noexcept;
  // kKept -> kFree for those of `count` slots from `first` on that are; the ledger forgets them. Returns how
  // many.
  std::size_t give_up(Slot first, std::uint32_t count) noexcept;

  SlotWord word(Slot slot) const noexcept { return {words_[slot.value].load(std::memory_order_acquire)}; }
  void prefetch(Slot slot) const noexcept { __builtin_prefetch(&words_[slot.value]); }

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(words_.size()); }
  // Slots that are ready and free.
  std::uint32_t free_count() const noexcept;
  // Slots that will be ready some time; 0 once they are, or growing has stopped.
  std::uint32_t coming() const noexcept;
  // All slots that there will ever be: fewer than size() once growing has stopped.
  std::uint32_t usable() const noexcept;
  std::uint32_t quarantined() const noexcept { return quarantined_.load(std::memory_order_relaxed); }
  bool adopted() const noexcept { return adopted_; }
  std::size_t bytes() const noexcept { return words_.bytes() + list_->bytes(); }

 private:
  SlotMap() = default;
  void turn(Slot slot, SlotWord to) noexcept;
  bool claim(Slot slot, SlotWord to) noexcept;
  bool grow(std::uint32_t seen) noexcept;

  // Constant after make.
  HugeArray<std::atomic<std::uint64_t>> words_;
  std::unique_ptr<FreeList> list_;
  bool adopted_ = false;
  Ledger* ledger_ = nullptr;
  const Growth* growth_ = nullptr;

  SpinLock growing_;
  std::atomic<std::uint32_t> grown_{0};  // slots that have been in the list; written under `growing_`
  std::atomic<std::uint32_t> adopted_free_{0};
  std::atomic<std::uint32_t> quarantined_{0};
};

}  // namespace kelvin
