// See bare_copy.h.
#include "bench/bare_copy.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kelvin::bench {
namespace {

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void copy_avx512(std::byte* to, const std::byte* from,
                                                    std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += 256) {
    const __m512i a = _mm512_load_si512(from + i);
    const __m512i b = _mm512_load_si512(from + i + 64);
    const __m512i c = _mm512_load_si512(from + i + 128);
    const __m512i d = _mm512_load_si512(from + i + 192);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), a);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 64), b);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 128), c);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 192), d);
  }
  _mm_sfence();
}

__attribute__((target("avx2"))) void copy_avx2(std::byte* to, const std::byte* from,
                                               std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += 128) {
    const auto* source = reinterpret_cast<const __m256i*>(from + i);
    auto* target = reinterpret_cast<__m256i*>(to + i);
    const __m256i a = _mm256_load_si256(source);
    const __m256i b = _mm256_load_si256(source + 1);
    const __m256i c = _mm256_load_si256(source + 2);
    const __m256i d = _mm256_load_si256(source + 3);
    _mm256_stream_si256(target, a);
    _mm256_stream_si256(target + 1, b);
    _mm256_stream_si256(target + 2, c);
    _mm256_stream_si256(target + 3, d);
  }
  _mm_sfence();
}

#endif

void copy_memcpy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, bytes);
}

struct Kernel {
  const char* name;
  void (*copy)(std::byte*, const std::byte*, std::size_t) noexcept;
};

Kernel choose() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {"AVX-512", copy_avx512};
  if (__builtin_cpu_supports("avx2")) return {"AVX2", copy_avx2};
#endif
  return {"memcpy", copy_memcpy};
}

const Kernel kKernel = choose();

}  // namespace

void bare_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
  kKernel.copy(to, from, bytes);
}

const char* bare_copy_name() noexcept { return kKernel.name; }

}  // namespace kelvin::bench
