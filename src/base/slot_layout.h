// Where slots lie in host memory: their layout's checks, and the ranges that links register.
//
// Thread contract: pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kelvin/tier.h"

namespace kelvin {

// Slot s of segment g is [bases[g] + s * stride_bytes, ... + segment_bytes).
struct SlotLayout {
  std::span<std::byte* const> bases;
  std::uint64_t stride_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint32_t slots = 0;
};

// Registrations of more than this fail or stall on some devices.
inline constexpr std::uint64_t kMaxRangeBytes = 1ULL << 30;

// Whether two pieces of memory that the layout names share a byte. Precondition: segment_bytes <=
// stride_bytes, slots > 0, no address beyond the end of memory.
bool segments_overlap(const SlotLayout& layout) noexcept;

// Ranges in order of address that hold every segment, none cut in two (unless it is larger than
// kMaxRangeBytes), each of at most kMaxRangeBytes. They do not overlap. Preconditions as above and no
// overlap. Allocates.
std::vector<HostRange> slot_ranges(const SlotLayout& layout);

// The largest power of two, at most 2 MiB, that divides every segment's address.
std::uint32_t common_alignment(const SlotLayout& layout) noexcept;

}  // namespace kelvin
