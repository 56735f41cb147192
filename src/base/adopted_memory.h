// Whether memory that an engine hands over can be a tier.
//
// Thread contract: pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/slot_layout.h"
#include "kelvin/space.h"

namespace kelvin {

// What is wrong with it, for a person; empty if nothing is: its pieces make blocks of `block_bytes`, do not
// overlap, and are slots * block_bytes in all, if `capacity_bytes` is not 0.
std::string fault_of(const AdoptedMemory& memory, std::uint64_t block_bytes, std::uint64_t capacity_bytes);

// Lives as long as the memory's description.
inline SlotLayout layout_of(const AdoptedMemory& memory) noexcept {
  return {memory.bases, memory.stride_bytes, memory.segment_bytes, memory.slots};
}

}  // namespace kelvin
