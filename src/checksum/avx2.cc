// crc32c as with SSE4.2, fused with 32-byte non-temporal copies.
//
// Thread contract: pure functions; any thread.
#if defined(__x86_64__)

#include <algorithm>

#include "checksum/kernels.h"
#include "checksum/x86_streams.h"

#define KELVIN_AVX2 __attribute__((target("avx2,pclmul")))
#define KELVIN_AVX2_INLINE __attribute__((always_inline, target("avx2,pclmul"))) inline

namespace kelvin::crc {
namespace {

constexpr std::size_t kPiece = 3 * kLongStream;

bool avx2_supported() noexcept {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}

KELVIN_AVX2 std::uint32_t avx2_crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  return ~many_streams(~crc, static_cast<const unsigned char*>(data), bytes);
}

KELVIN_AVX2_INLINE void stream_line(unsigned char* to, const unsigned char* from) noexcept {
  const auto* in = reinterpret_cast<const __m256i*>(from);
  auto* out = reinterpret_cast<__m256i*>(to);
  const __m256i a = _mm256_loadu_si256(in);
  const __m256i b = _mm256_loadu_si256(in + 1);
  _mm256_stream_si256(out, a);
  _mm256_stream_si256(out + 1, b);
}

// Copies the piece at `from` in order and sums the piece before it, which the copy has just brought into the
// first-level cache: memory sees one plain stream, and crc32q fills the cycles that wait for it.
KELVIN_AVX2_INLINE std::uint32_t copy_piece_sum_last(std::uint32_t state, unsigned char* to,
                                                     const unsigned char* from) noexcept {
  const unsigned char* last = from - kPiece;
  std::uint64_t a = state;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  for (std::size_t i = 0; i < kLongStream; i += 64) {
    for (std::size_t line = 3 * i; line < 3 * i + 192; line += 64) stream_line(to + line, from + line);
    for (std::size_t j = i; j < i + 64; j += 8) {
      a = _mm_crc32_u64(a, load64(last + j));
      b = _mm_crc32_u64(b, load64(last + kLongStream + j));
      c = _mm_crc32_u64(c, load64(last + 2 * kLongStream + j));
    }
  }
  return join_streams<kLongStream>(a, b, c);
}

// The state after `bytes` of `from`, a multiple of kPiece and not 0. `to` is a multiple of 64.
KELVIN_AVX2_INLINE std::uint32_t copy_pieces(std::uint32_t state, unsigned char* to,
                                             const unsigned char* from, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < kPiece; i += 64) stream_line(to + i, from + i);
  for (std::size_t i = kPiece; i < bytes; i += kPiece) state = copy_piece_sum_last(state, to + i, from + i);
  return three_streams<kLongStream>(state, from + bytes - kPiece);
}

KELVIN_AVX2 void avx2_copy(void* to, const void* from, std::size_t bytes) noexcept {
  if (bytes == 0) return;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  std::memcpy(out, in, head);
  out += head, in += head, bytes -= head;
  for (; bytes >= 64; bytes -= 64, out += 64, in += 64) stream_line(out, in);
  std::memcpy(out, in, bytes);
  _mm_sfence();
}

KELVIN_AVX2 std::uint32_t avx2_copy_crc32c(void* to, const void* from, std::size_t bytes,
                                           std::uint32_t crc) noexcept {
  if (bytes == 0) return crc;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  std::uint32_t state = ~crc;
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  std::memcpy(out, in, head);
  state = one_stream(state, in, head);
  out += head, in += head, bytes -= head;
  if (bytes >= kPiece) {
    const std::size_t pieces = bytes / kPiece * kPiece;
    state = copy_pieces(state, out, in, pieces);
    out += pieces, in += pieces, bytes -= pieces;
  }
  const std::size_t lines = bytes & ~std::size_t{63};
  for (std::size_t i = 0; i < lines; i += 64) stream_line(out + i, in + i);
  std::memcpy(out + lines, in + lines, bytes - lines);
  state = many_streams(state, in, bytes);
  _mm_sfence();
  return ~state;
}

}  // namespace

constinit const Kernel kAvx2Kernel = {"avx2+pclmul", avx2_supported, avx2_crc32c, avx2_copy_crc32c,
                                      avx2_copy};

}  // namespace kelvin::crc

#endif
