// The state of one slot in one 64-bit word: who is in it, how many hold it, what may happen next.
//
//   bits  0-31  block   the block in the slot (kFilling, kResident, kDropping)
//   bits 32-55  pins    holders: leases, and moves that read from it (kResident);
//                       number of the move that writes into it (kFilling); a FreeMark (kFree)
//   bits 56-63  state
//
// All that can race about a slot races on this word: pinning against dropping is one compare-and-swap.
#pragma once

#include <cstdint>

#include "kelvin/block.h"

namespace kelvin {

enum class SlotState : std::uint8_t {
  kFree = 0,  // in the free list, or (adopted) in the engine's hands
  kHeld,      // writable, held by an unpublished lease
  kFilling,   // a move writes into it
  kResident,  // holds a readable copy
  kDropping,  // the copy is being taken out of the table; nobody can pin it any more
  kBad,       // quarantined after an I/O error
  kKept,      // the table names no block here, but the tier's ledger may: it is yet to be recalled
};

// What is known of the bytes of a slot that is kFree, for who discards them. Lost when the slot is taken.
enum class FreeMark : std::uint32_t {
  kFresh = 0,  // free since a short while, or nobody looked yet
  kAged,       // free for a while
  kDiscarded,  // its device knows that they are not needed
};

// The state machine: rows "from", columns "to".
constexpr bool may_become(SlotState from, SlotState to) noexcept {
  switch (from) {
    case SlotState::kFree: return to == SlotState::kHeld || to == SlotState::kFilling;
    case SlotState::kHeld: return to == SlotState::kResident || to == SlotState::kFree;
    case SlotState::kFilling:
      return to == SlotState::kResident || to == SlotState::kFree || to == SlotState::kBad;
    case SlotState::kResident: return to == SlotState::kDropping;
    case SlotState::kDropping:
      return to == SlotState::kFree || to == SlotState::kBad || to == SlotState::kKept;
    case SlotState::kBad: return false;
    case SlotState::kKept: return to == SlotState::kResident || to == SlotState::kFree;
  }
  return false;
}

struct SlotWord {
  static constexpr std::uint32_t kMaxPins = (1u << 24) - 1;

  std::uint64_t bits = 0;

  static constexpr SlotWord make(SlotState state, BlockId block, std::uint32_t pins) noexcept {
    return {(static_cast<std::uint64_t>(state) << 56) | (static_cast<std::uint64_t>(pins) << 32) |
            block.value};
  }

  constexpr SlotState state() const noexcept { return static_cast<SlotState>(bits >> 56); }
  constexpr std::uint32_t pins() const noexcept { return static_cast<std::uint32_t>(bits >> 32) & kMaxPins; }
  constexpr BlockId block() const noexcept { return BlockId(static_cast<std::uint32_t>(bits)); }
};

}  // namespace kelvin
