// Pieces the x86 kernels share: crc32q on one stream and on three.
//
// crc32q takes three cycles and one can start in every cycle, so three independent streams run three times as
// fast as one; their states are then joined by two carry-less multiplications.
//
// Thread contract: pure functions; any thread. Call only from functions whose target has SSE4.2 and PCLMUL.
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "checksum/polynomial.h"

// Inlined into its caller, so that the caller's wider instruction set holds here as well.
#define KELVIN_CRC_INLINE __attribute__((always_inline, target("sse4.2,pclmul"))) inline

namespace kelvin::crc {

// Bytes of one stream: three of them fit a page, and each is a multiple of a cache line.
inline constexpr std::size_t kLongStream = 1344;
inline constexpr std::size_t kShortStream = 128;

KELVIN_CRC_INLINE std::uint64_t load64(const unsigned char* p) noexcept {
  std::uint64_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The state after [p, p + bytes): one stream, any length.
KELVIN_CRC_INLINE std::uint32_t one_stream(std::uint32_t state, const unsigned char* p,
                                           std::size_t bytes) noexcept {
  std::uint64_t s = state;
  for (; bytes >= 8; bytes -= 8, p += 8) s = _mm_crc32_u64(s, load64(p));
  auto t = static_cast<std::uint32_t>(s);
  for (; bytes > 0; --bytes, ++p) t = _mm_crc32_u8(t, *p);
  return t;
}

// The state of three streams of L bytes, one after the other in the message.
template <std::size_t L>
KELVIN_CRC_INLINE std::uint32_t join_streams(std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
  constexpr std::uint32_t kOverTwo = shift_factor(2 * L);
  constexpr std::uint32_t kOverOne = shift_factor(L);
  const __m128i factors = _mm_set_epi64x(kOverOne, kOverTwo);
  const __m128i wide_a = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(a)), factors, 0x00);
  const __m128i wide_b = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(b)), factors, 0x10);
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_xor_si128(wide_a, wide_b)));
  return static_cast<std::uint32_t>(_mm_crc32_u64(0, both) ^ c);
}

// The state after 3 * L bytes. Where `kAhead`, asks for the next 3 * L bytes in order meanwhile: the hardware
// does not follow three streams that short (11 against 30 GB/s out of memory).
template <std::size_t L, bool kAhead = false>
KELVIN_CRC_INLINE std::uint32_t three_streams(std::uint32_t state, const unsigned char* p) noexcept {
  static_assert(L % 64 == 0);
  std::uint64_t a = state;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  for (std::size_t line = 0; line < L; line += 64) {
    if constexpr (kAhead) {
      const auto* next = reinterpret_cast<const char*>(p + 3 * L + 3 * line);
      _mm_prefetch(next, _MM_HINT_T0);
      _mm_prefetch(next + 64, _MM_HINT_T0);
      _mm_prefetch(next + 128, _MM_HINT_T0);
    }
    for (std::size_t i = line; i < line + 64; i += 8) {
      a = _mm_crc32_u64(a, load64(p + i));
      b = _mm_crc32_u64(b, load64(p + L + i));
      c = _mm_crc32_u64(c, load64(p + 2 * L + i));
    }
  }
  return join_streams<L>(a, b, c);
}

// The state after [p, p + bytes): three streams as long as there is enough for them.
KELVIN_CRC_INLINE std::uint32_t many_streams(std::uint32_t state, const unsigned char* p,
                                             std::size_t bytes) noexcept {
  for (; bytes >= 6 * kLongStream; bytes -= 3 * kLongStream, p += 3 * kLongStream) {
    state = three_streams<kLongStream, true>(state, p);
  }
  if (bytes >= 3 * kLongStream) {
    state = three_streams<kLongStream>(state, p);
    bytes -= 3 * kLongStream, p += 3 * kLongStream;
  }
  for (; bytes >= 3 * kShortStream; bytes -= 3 * kShortStream, p += 3 * kShortStream) {
    state = three_streams<kShortStream>(state, p);
  }
  return one_stream(state, p, bytes);
}

// Bytes from `p` up to the next multiple of 64, the granule of write combining.
inline std::size_t bytes_to_line(const void* p) noexcept {
  return -reinterpret_cast<std::uintptr_t>(p) & 63U;
}

}  // namespace kelvin::crc

#endif
