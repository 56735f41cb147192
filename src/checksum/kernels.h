// Every implementation of crc32c.h that this build holds, for the run-time choice and for tests.
//
// Thread contract: constant tables; any thread.
// Invariants:
//   1. All kernels give the same results; they differ in speed alone.
//   2. A kernel is called only where its `supported()` is true.
//   3. The last kernel of `kernels()` is portable and always supported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kelvin::crc {

// The functions keep the contracts of their namesakes in crc32c.h.
struct Kernel {
  const char* name;
  bool (*supported)() noexcept;
  std::uint32_t (*crc32c)(const void* data, std::size_t bytes, std::uint32_t crc) noexcept;
  std::uint32_t (*copy_crc32c)(void* to, const void* from, std::size_t bytes, std::uint32_t crc) noexcept;
  void (*copy_stream)(void* to, const void* from, std::size_t bytes) noexcept;
};

#if defined(__x86_64__)
extern const Kernel kAvx512Kernel;  // VPCLMULQDQ folding; bytes are loaded once for copy and checksum
extern const Kernel kAvx2Kernel;    // three crc32q streams fused with 32-byte non-temporal stores
extern const Kernel kSse42Kernel;   // three crc32q streams, 16-byte non-temporal stores
#elif defined(__aarch64__)
extern const Kernel kArmKernel;  // the CRC32 extension
#endif
extern const Kernel kPortableKernel;  // slicing by 8

// Best first.
std::span<const Kernel* const> kernels() noexcept;

}  // namespace kelvin::crc
