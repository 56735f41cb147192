// crc32c (Castagnoli) of memory, alone or fused into a copy that does not pollute the caches.
//
// The instruction set is chosen once, at first use, from what the CPU has; a portable version is always
// there.
//
// Thread contract: pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kelvin {

// crc32c of [data, data + bytes), continuing from `crc` (0 at first). Any alignment.
std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc = 0) noexcept;

// Copies `bytes` with non-temporal stores where both sides allow and returns crc32c(from, bytes, crc).
// The ranges must not overlap. The stores are fenced: another thread told of the copy sees all of it.
std::uint32_t copy_crc32c(void* to, const void* from, std::size_t bytes, std::uint32_t crc = 0) noexcept;

// The same copy without a checksum.
void copy_stream(void* to, const void* from, std::size_t bytes) noexcept;

// What was chosen, for `kelvin` and the benches to print: "avx512+vpclmul", "avx2+pclmul", "portable", ...
const char* crc32c_kernel() noexcept;

}  // namespace kelvin
