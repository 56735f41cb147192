// crc32c and copies for any x86-64 with SSE4.2 and PCLMUL.
//
// Thread contract: pure functions; any thread.
#if defined(__x86_64__)

#include <algorithm>

#include "checksum/kernels.h"
#include "checksum/x86_streams.h"

#define KELVIN_SSE42 __attribute__((target("sse4.2,pclmul")))

namespace kelvin::crc {
namespace {

bool sse42_supported() noexcept {
  return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}

KELVIN_SSE42 std::uint32_t sse42_crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  return ~many_streams(~crc, static_cast<const unsigned char*>(data), bytes);
}

// `to` is a multiple of 64; unfenced.
KELVIN_SSE42 void stream_lines(unsigned char* to, const unsigned char* from, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += 64) {
    const auto* in = reinterpret_cast<const __m128i*>(from + i);
    auto* out = reinterpret_cast<__m128i*>(to + i);
    const __m128i a = _mm_loadu_si128(in);
    const __m128i b = _mm_loadu_si128(in + 1);
    const __m128i c = _mm_loadu_si128(in + 2);
    const __m128i d = _mm_loadu_si128(in + 3);
    _mm_stream_si128(out, a);
    _mm_stream_si128(out + 1, b);
    _mm_stream_si128(out + 2, c);
    _mm_stream_si128(out + 3, d);
  }
}

KELVIN_SSE42 void sse42_copy(void* to, const void* from, std::size_t bytes) noexcept {
  if (bytes == 0) return;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  const std::size_t lines = (bytes - head) & ~std::size_t{63};
  std::memcpy(out, in, head);
  stream_lines(out + head, in + head, lines);
  std::memcpy(out + head + lines, in + head + lines, bytes - head - lines);
  _mm_sfence();
}

KELVIN_SSE42 std::uint32_t sse42_copy_crc32c(void* to, const void* from, std::size_t bytes,
                                             std::uint32_t crc) noexcept {
  if (bytes == 0) return crc;
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  std::uint32_t state = ~crc;
  const std::size_t head = std::min(bytes, bytes_to_line(to));
  std::memcpy(out, in, head);
  state = one_stream(state, in, head);
  out += head, in += head, bytes -= head;
  // Each piece is summed while the copy has it still in the first-level cache.
  for (; bytes >= 3 * kLongStream; bytes -= 3 * kLongStream) {
    stream_lines(out, in, 3 * kLongStream);
    state = three_streams<kLongStream>(state, in);
    out += 3 * kLongStream, in += 3 * kLongStream;
  }
  const std::size_t lines = bytes & ~std::size_t{63};
  stream_lines(out, in, lines);
  std::memcpy(out + lines, in + lines, bytes - lines);
  state = many_streams(state, in, bytes);
  _mm_sfence();
  return ~state;
}

}  // namespace

constinit const Kernel kSse42Kernel = {"sse4.2+pclmul", sse42_supported, sse42_crc32c, sse42_copy_crc32c,
                                       sse42_copy};

}  // namespace kelvin::crc

#endif
