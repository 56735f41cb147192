// What the table knows of one block: one cache line.
//
// Thread contract: all fields are atomics. `key`, `parent`, `depth` are written by the thread that makes the
// record, before it is live; `copies` only under the lock of the key's shard; `children` by anyone who keeps
// the record alive (a pin on a copy, a child, or the shard's lock).
// Invariants:
//   1. A record is live from insertion until it has neither copies nor children.
//   2. `state` changes with each birth and each end of the record: who reads it alike before and after
//      reading the key has read the key of one block.
#pragma once

#include <atomic>
#include <cstdint>

#include "kelvin/block.h"

namespace kelvin {

struct alignas(64) BlockRecord {
  std::atomic<std::uint64_t> key_hi;
  std::atomic<std::uint64_t> key_lo;
  std::atomic<std::uint32_t> parent;    // BlockId of the block before it
  std::atomic<std::uint32_t> children;  // live records whose parent this is, and publishes about to add one
  std::atomic<std::uint32_t> checksum;  // crc32c of the bytes, if kChecksumKnown
  std::atomic<std::uint16_t> depth;     // blocks before it in its prefix; saturates
  std::atomic<std::uint16_t> state;     // bit 0 live, bit 1 checksum known, bits 2-15 generation
  std::atomic<std::uint32_t> copies[kMaxTiers];  // slot in each tier, Slot::kNone if none

  static constexpr std::uint16_t kLive = 1;
  static constexpr std::uint16_t kChecksumKnown = 2;
  static constexpr std::uint16_t kGeneration = 4;
  static constexpr std::uint32_t kMaxDepth = 0xFFFF;

  bool holds(const BlockKey& key) const noexcept {
    const std::uint16_t before = state.load(std::memory_order_acquire);
    if ((before & kLive) == 0) return false;
    // Acquire loads: what follows is not read before them, and a new key brings the new state along.
    const bool same =
        key_hi.load(std::memory_order_acquire) == key.hi && key_lo.load(std::memory_order_acquire) == key.lo;
    constexpr auto mask = static_cast<std::uint16_t>(~kChecksumKnown);
    return same && ((state.load(std::memory_order_relaxed) ^ before) & mask) == 0;
  }

  BlockKey key() const noexcept {
    return {key_hi.load(std::memory_order_relaxed), key_lo.load(std::memory_order_relaxed)};
  }
  Slot copy(TierIndex tier) const noexcept {
    return Slot(copies[tier.value].load(std::memory_order_acquire));
  }
};

static_assert(sizeof(BlockRecord) == 64);

}  // namespace kelvin
