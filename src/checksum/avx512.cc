// crc32c by folding 256 bytes at a time with VPCLMULQDQ; a copy stores the very registers it folds.
//
// Four 64-byte accumulators each hold four 128-bit pieces of message. A step carries every piece over the 256
// bytes that follow (two carry-less multiplications, see fold_factors) and adds the new bytes there. What
// remains at the end is a short message with the same crc, which crc32q finishes.
//
// Thread contract: pure functions; any thread.
#if defined(__x86_64__)

#include <algorithm>

#include "checksum/kernels.h"
#include "checksum/x86_streams.h"

#define KELVIN_AVX512 __attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.2")))
#define KELVIN_AVX512_INLINE __attribute__((always_inline, target("avx512f,vpclmulqdq,pclmul,sse4.2"))) inline

namespace kelvin::crc {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kStep = 4 * kLine;
constexpr FoldFactors kOverStep = fold_factors(8 * kStep);
constexpr FoldFactors kOverLine = fold_factors(8 * kLine);

bool avx512_supported() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0 &&
         __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.2") != 0;
}

KELVIN_AVX512_INLINE __m512i load_line(const unsigned char* p) noexcept { return _mm512_loadu_si512(p); }

KELVIN_AVX512_INLINE __m512i spread(FoldFactors f) noexcept {
  const auto first = static_cast<long long>(f.first);
  const auto last = static_cast<long long>(f.last);
  return _mm512_set_epi64(last, first, last, first, last, first, last, first);
}

// `message` carried over as many bits as `factors` are for, plus `next`.
KELVIN_AVX512_INLINE __m512i fold(__m512i message, __m512i factors, __m512i next) noexcept {
  const __m512i first = _mm512_clmulepi64_epi128(message, factors, 0x00);
  const __m512i last = _mm512_clmulepi64_epi128(message, factors, 0x11);
  return _mm512_ternarylogic_epi64(first, last, next, 0x96);  // exclusive or of the three
}

// Loads the line at `at`, stores it past the caches where this is a copy; else `to` is null.
template <bool kCopy>
KELVIN_AVX512_INLINE __m512i pass_line(unsigned char* to, const unsigned char* from,
                                       std::size_t at) noexcept {
  const __m512i line = load_line(from + at);
  if constexpr (kCopy) _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), line);
  return line;
}

// The state after `bytes` of `from`, a multiple of kLine and at least kStep. `to` (kCopy) is a multiple
// of 64.
template <bool kCopy>
KELVIN_AVX512_INLINE std::uint32_t fold_lines(std::uint32_t state, unsigned char* to,
                                              const unsigned char* from, std::size_t bytes) noexcept {
  __m512i a = pass_line<kCopy>(to, from, 0);
  __m512i b = pass_line<kCopy>(to, from, kLine);
  __m512i c = pass_line<kCopy>(to, from, 2 * kLine);
  __m512i d = pass_line<kCopy>(to, from, 3 * kLine);
  a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(state))));
  std::size_t i = kStep;
  const __m512i over_step = spread(kOverStep);
  for (; i + kStep <= bytes; i += kStep) {
    a = fold(a, over_step, pass_line<kCopy>(to, from, i));
    b = fold(b, over_step, pass_line<kCopy>(to, from, i + kLine));
    c = fold(c, over_step, pass_line<kCopy>(to, from, i + 2 * kLine));
    d = fold(d, over_step, pass_line<kCopy>(to, from, i + 3 * kLine));
  }
  const __m512i over_line = spread(kOverLine);
  d = fold(fold(fold(a, over_line, b), over_line, c), over_line, d);
  for (; i < bytes; i += kLine) d = fold(d, over_line, pass_line<kCopy>(to, from, i));
  alignas(kLine) unsigned char rest[kLine];
  _mm512_store_si512(rest, d);
  return one_stream(0, rest, kLine);
}

KELVIN_AVX512 std::uint32_t avx512_crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint32_t state = ~crc;
  if (bytes >= kStep) {
    const std::size_t lines = bytes & ~(kLine - 1);
    state = fold_lines<false>(state, nullptr, p, lines);
    p += lines, bytes -= lines;
  }
  return ~one_stream(state, p, bytes);
}

KELVIN_AVX512 void avx512_copy(void* to, const void* from, std::size_t bytes) noexcept {
  if (bytes == 0) return;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  std::memcpy(out, in, head);
  out += head, in += head, bytes -= head;
  for (; bytes >= kLine; bytes -= kLine, out += kLine, in += kLine) pass_line<true>(out, in, 0);
  std::memcpy(out, in, bytes);
  _mm_sfence();
}

KELVIN_AVX512 std::uint32_t avx512_copy_crc32c(void* to, const void* from, std::size_t bytes,
                                               std::uint32_t crc) noexcept {
  if (bytes == 0) return crc;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  std::uint32_t state = ~crc;
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  std::memcpy(out, in, head);
  state = one_stream(state, in, head);
  out += head, in += head, bytes -= head;
  if (bytes >= kStep) {
    const std::size_t lines = bytes & ~(kLine - 1);
    state = fold_lines<true>(state, out, in, lines);
    out += lines, in += lines, bytes -= lines;
  }
  std::memcpy(out, in, bytes);
  state = one_stream(state, in, bytes);
  _mm_sfence();
  return ~state;
}

}  // namespace

constinit const Kernel kAvx512Kernel = {"avx512+vpclmul", avx512_supported, avx512_crc32c, avx512_copy_crc32c,
                                        avx512_copy};

}  // namespace kelvin::crc

#endif
