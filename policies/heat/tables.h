// What a heat policy has learned, as bytes.
//
// Format, all little-endian: u32 magic "KHT1", u32 version (1), u32 count n, n numbers as IEEE-754 binary32
// (those of Hazard, then those of Pace), u32 crc32c of everything before it.
//
// Thread contract: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kelvin/status.h"

namespace kelvin::heat {

// Appends to `bytes`. May throw std::bad_alloc.
void write_tables(std::span<const float> numbers, std::vector<std::byte>& bytes);

// Fills `numbers`. kCorrupt: cut short, altered or not finite; kUnsupported: of another version or size.
// `numbers` is unspecified then.
Status read_tables(std::span<const std::byte> bytes, std::span<float> numbers) noexcept;

}  // namespace kelvin::heat
