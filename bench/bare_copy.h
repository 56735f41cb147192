// The peer of a move in host memory: nothing but a loop of loads and non-temporal stores.
//
// Thread contract: pure functions.
#pragma once

#include <cstddef>

namespace kelvin::bench {

// Copies with the widest vectors the CPU has. Both aligned to 64; `bytes` is a multiple of 256.
void bare_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

// "AVX-512", "AVX2", "memcpy" (where there are no such stores): which loop runs here.
const char* bare_copy_name() noexcept;

}  // namespace kelvin::bench
