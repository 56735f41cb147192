// What a replay writes into a block: bytes that follow from the key alone, cheap to make and to check.
//
//   word[2i]     = mix(key.hi) + i * kOddStep        64-bit little-endian words; mix is a bijection
//   word[2i + 1] = mix(key.lo ^ kOther) + i * kOtherStep
//
// Every bit of a block takes part in the check, so a flipped bit is found; two keys give blocks that differ
// in all even or in all odd words, so a block, or a piece of at least 16 bytes, under another key's name is
// found as well; so is a piece at another offset.
//
// Thread contract: pure functions; nothing allocates. Made for speed out of cache: one pass, wide vectors
// where the processor has them (chosen at run time).
#pragma once

#include <cstddef>
#include <span>

#include "kelvin/block.h"

namespace kelvin::cli {

// One way to do it, for one instruction set. All ways give the same bytes.
struct ContentRoutines {
  const char* name;
  void (*fill)(const BlockKey& key, std::byte* to, std::size_t bytes) noexcept;
  bool (*check)(const BlockKey& key, const std::byte* from, std::size_t bytes) noexcept;
};

// Those this processor can run, fastest first; never empty.
std::span<const ContentRoutines> content_routines() noexcept;

// Fills `block` with the content of `key`.
void fill_content(const BlockKey& key, std::span<std::byte> block) noexcept;

// True if `block` holds exactly the content of `key`.
bool check_content(const BlockKey& key, std::span<const std::byte> block) noexcept;

}  // namespace kelvin::cli
