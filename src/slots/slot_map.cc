// See slot_map.h.
#include "slots/slot_map.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>

namespace kelvin {
namespace {

constexpr std::uint32_t kBatch = 64;
constexpr std::uint32_t kGrowth = 1024;  // brought in at once: enough for a burst, too few to be felt

}  // namespace

Result<std::unique_ptr<SlotMap>> SlotMap::make(std::uint32_t slots, bool adopted, Ledger* ledger,
                                               const Growth* growth) noexcept {
  assert(growth == nullptr || (ledger == nullptr && !adopted));
  std::unique_ptr<SlotMap> map(new (std::nothrow) SlotMap);
  if (map == nullptr) return Status(Code::kFull, "making a slot map");
  auto words = HugeArray<std::atomic<std::uint64_t>>::make(slots);
  if (!words.ok()) return words.status();
  auto list = FreeList::make(adopted ? 0 : slots, ledger == nullptr && growth == nullptr);
  if (!list.ok()) return list.status();
  map->words_ = std::move(words).value();
  map->list_ = std::move(list).value();
  map->adopted_ = adopted;
  map->ledger_ = ledger;
  for (std::uint32_t slot = 0; ledger != nullptr && slot < slots; ++slot)
    map->words_[slot].store(SlotWord::make(SlotState::kKept, BlockId{}, 0).bits, std::memory_order_relaxed);
  map->growth_ = growth;
  map->adopted_free_.store(adopted ? slots : 0, std::memory_order_relaxed);
  return map;
}

// The caller alone may change the word now: kHeld and kFilling belong to a lease or move, kDropping to who
// dropped, and kFree to who took it off the list.
void SlotMap::turn(Slot slot, SlotWord to) noexcept {
  assert(may_become(word(slot).state(), to.state()));
  words_[slot.value].store(to.bits, std::memory_order_release);
}

std::size_t SlotMap::take_held(std::span<Slot> out) noexcept {
  std::size_t taken = 0;
  std::array<std::uint32_t, kBatch> batch;
  while (taken < out.size()) {
    const std::uint32_t seen = grown_.load(std::memory_order_acquire);
    const std::size_t want = std::min<std::size_t>(kBatch, out.size() - taken);
    const std::size_t got = list_->take({batch.data(), want});
    for (std::size_t i = 0; i < got; ++i) {
      out[taken + i] = Slot(batch[i]);
      turn(out[taken + i], SlotWord::make(SlotState::kHeld, BlockId{}, 0));
    }
    taken += got;
    if (got < want && !grow(seen)) break;
  }
  return taken;
}

Slot SlotMap::take_filling(BlockId block, std::uint32_t move) noexcept {
  std::uint32_t index = 0;
  for (;;) {
    const std::uint32_t seen = grown_.load(std::memory_order_acquire);
    if (list_->take({&index, 1}) != 0) break;
    if (!grow(seen)) return Slot{};
  }
  turn(Slot(index), SlotWord::make(SlotState::kFilling, block, move));
  return Slot(index);
}

bool SlotMap::claim(Slot slot, SlotWord to) noexcept {
  if (!adopted_ || slot.value >= words_.size()) return false;
  std::uint64_t bits = words_[slot.value].load(std::memory_order_relaxed);
  if (SlotWord{bits}.state() != SlotState::kFree) return false;
  if (!words_[slot.value].compare_exchange_strong(bits, to.bits, std::memory_order_acq_rel)) return false;
  adopted_free_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

bool SlotMap::claim_held(Slot slot) noexcept {
  return claim(slot, SlotWord::make(SlotState::kHeld, BlockId{}, 0));
}

bool SlotMap::claim_filling(Slot slot, BlockId block, std::uint32_t move) noexcept {
  return claim(slot, SlotWord::make(SlotState::kFilling, block, move));
}

void SlotMap::publish(Slot slot, BlockId block) noexcept {
  turn(slot, SlotWord::make(SlotState::kResident, block, 1));
}

void SlotMap::filled(Slot slot, BlockId block, std::uint32_t pins) noexcept {
  turn(slot, SlotWord::make(SlotState::kResident, block, pins));
}

bool SlotMap::pin(Slot slot, BlockId block) noexcept {
  std::uint64_t bits = words_[slot.value].load(std::memory_order_relaxed);
  for (;;) {
    const SlotWord word{bits};
    if (word.state() != SlotState::kResident || word.block() != block || word.pins() == SlotWord::kMaxPins)
      return false;
    if (words_[slot.value].compare_exchange_weak(bits, bits + (std::uint64_t{1} << 32),
                                                 std::memory_order_acquire, std::memory_order_relaxed)) {
      return true;
    }
  }
}

void SlotMap::unpin(Slot slot) noexcept {
  // The release pairs with start_drop's acquire: what the holder read was read before the slot is reused.
  const std::uint64_t old = words_[slot.value].fetch_sub(std::uint64_t{1} << 32, std::memory_order_release);
  assert(SlotWord{old}.state() == SlotState::kResident && SlotWord{old}.pins() > 0);
  static_cast<void>(old);
}

bool SlotMap::start_drop(Slot slot, BlockId block) noexcept {
  std::uint64_t expected = SlotWord::make(SlotState::kResident, block, 0).bits;
  const std::uint64_t dropping = SlotWord::make(SlotState::kDropping, block, 0).bits;
  return words_[slot.value].compare_exchange_strong(expected, dropping, std::memory_order_acq_rel,
                                                    std::memory_order_relaxed);
}

void SlotMap::free(std::span<const Slot> slots) noexcept {
  if (ledger_ != nullptr) ledger_->forget(slots);
  std::array<std::uint32_t, kBatch> batch;
  std::size_t filled = 0;
  for (const Slot slot : slots) {
    turn(slot, SlotWord::make(SlotState::kFree, BlockId{}, 0));
    batch[filled++] = slot.value;
    if (filled == kBatch && !adopted_) {
      list_->give(batch);
      filled = 0;
    }
    if (adopted_) filled = 0;
  }
  if (adopted_) {
    adopted_free_.fetch_add(static_cast<std::uint32_t>(slots.size()), std::memory_order_relaxed);
  } else {
    list_->give({batch.data(), filled});
  }
}

void SlotMap::quarantine(Slot slot) noexcept {
  if (ledger_ != nullptr) ledger_->forget({&slot, 1});
  turn(slot, SlotWord::make(SlotState::kBad, BlockId{}, 0));
  quarantined_.fetch_add(1, std::memory_order_relaxed);
}

FreeMark SlotMap::mark_aged(Slot slot) noexcept {
  SlotWord now = word(slot);
  if (now.state() != SlotState::kFree) return FreeMark::kDiscarded;  // nothing to discard
  const auto mark = static_cast<FreeMark>(now.pins());
  if (mark != FreeMark::kFresh) return mark;
  // Where somebody takes the slot in this moment, that counts.
  const auto aged = static_cast<std::uint32_t>(FreeMark::kAged);
  words_[slot.value].compare_exchange_strong(now.bits, SlotWord::make(SlotState::kFree, BlockId{}, aged).bits,
                                             std::memory_order_relaxed);
  return FreeMark::kFresh;
}

std::size_t SlotMap::take_among(std::uint32_t first, std::uint32_t last,
                                std::span<std::uint32_t> out) noexcept {
  const std::size_t taken = list_->take_among(first, last, out);
  for (const std::uint32_t slot : out.first(taken)) {
    turn(Slot(slot), SlotWord::make(SlotState::kHeld, BlockId{}, 0));
  }
  return taken;
}

void SlotMap::free_discarded(std::span<const Slot> slots) noexcept {
  for (const Slot slot : slots) {
    const auto mark = static_cast<std::uint32_t>(FreeMark::kDiscarded);
    turn(slot, SlotWord::make(SlotState::kFree, BlockId{}, mark));
    list_->give({&slot.value, 1});
  }
}

void SlotMap::keep(Slot slot) noexcept { turn(slot, SlotWord::make(SlotState::kKept, BlockId{}, 0)); }

bool SlotMap::restore(Slot slot, BlockId block) noexcept {
  if (slot.value >= words_.size() || word(slot).state() != SlotState::kKept) return false;
  turn(slot, SlotWord::make(SlotState::kResident, block, 0));
  return true;
}

// From the last one on: low ones are taken first.
std::size_t SlotMap::give_up(Slot first, std::uint32_t count) noexcept {
  std::array<Slot, kBatch> batch;
  std::size_t filled = 0;
  std::size_t given = 0;
  for (std::uint32_t i = std::min(first.value + count, size()); i-- > first.value;) {
    if (word(Slot(i)).state() == SlotState::kKept) batch[filled++] = Slot(i);
    if (filled < kBatch && i != first.value) continue;
    free(std::span(batch).first(filled));
    given += filled;
    filled = 0;
  }
  return given;
}

// Slots that became ready, into the list. Whoever finds the list empty does it, so that nobody has to be
// woken. False: there is nothing new since `seen` was read, which was before the list was found empty.
bool SlotMap::grow(std::uint32_t seen) noexcept {
  if (growth_ == nullptr) return false;
  SpinGuard guard(growing_);
  const std::uint32_t first = grown_.load(std::memory_order_relaxed);
  if (first != seen) return true;
  // Pairs with the tier's release: the memory is there.
  const std::uint32_t end = std::min(growth_->ready.load(std::memory_order_acquire), first + kGrowth);
  // From the last one on: low ones are taken first.
  std::array<std::uint32_t, kBatch> batch;
  for (std::uint32_t left = end; left > first;) {
    const std::uint32_t count = std::min(kBatch, left - first);
    for (std::uint32_t i = 0; i < count; ++i) batch[i] = --left;
    list_->give({batch.data(), count});
  }
  grown_.store(end, std::memory_order_release);
  return end != first;
}

std::uint32_t SlotMap::free_count() const noexcept {
  if (adopted_) return adopted_free_.load(std::memory_order_relaxed);
  if (growth_ == nullptr) return list_->count();
  // In this order: `ready` only rises, so the difference is never negative.
  const std::uint32_t grown = grown_.load(std::memory_order_acquire);
  return list_->count() + growth_->ready.load(std::memory_order_acquire) - grown;
}

std::uint32_t SlotMap::coming() const noexcept {
  if (growth_ == nullptr || growth_->stopped.load(std::memory_order_acquire) != nullptr) return 0;
  return size() - growth_->ready.load(std::memory_order_acquire);
}

std::uint32_t SlotMap::usable() const noexcept {
  if (growth_ == nullptr || growth_->stopped.load(std::memory_order_acquire) == nullptr) return size();
  return growth_->ready.load(std::memory_order_acquire);
}

}  // namespace kelvin
