// See content.h.
#include "cli/content.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace kelvin::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "content is defined as little-endian words");

constexpr std::uint64_t kOddStep = 0x9E3779B97F4A7C15ULL;
constexpr std::uint64_t kOtherStep = 0xD1B54A32D192ED03ULL;
constexpr std::uint64_t kOther = 0x6A09E667F3BCC909ULL;

// A cache line of words. Compilers cut it into what the instruction set has.
using Line [[gnu::vector_size(64)]] = std::uint64_t;
constexpr std::size_t kWords = 8;

// Lines of one round of the loop: enough independent chains to keep two vector units busy.
constexpr std::size_t kLines = 4;
constexpr std::size_t kRoundBytes = kLines * sizeof(Line);

struct Stream {
  std::array<Line, kLines> next;  // the words to come
  Line step;                      // what one round adds
};

// The finaliser of splitmix64: a bijection, so different halves of a key give different words.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// The bodies are inlined into one function for each instruction set below.
[[gnu::always_inline]] inline void start(const BlockKey& key, Stream& stream) noexcept {
  const std::uint64_t even = mix(key.hi);
  const std::uint64_t odd = mix(key.lo ^ kOther);
  for (std::size_t line = 0; line < kLines; ++line) {
    for (std::size_t word = 0; word < kWords; word += 2) {
      const std::uint64_t i = (line * kWords + word) / 2;
      stream.next[line][word] = even + i * kOddStep;
      stream.next[line][word + 1] = odd + i * kOtherStep;
    }
  }
  for (std::size_t word = 0; word < kWords; word += 2) {
    stream.step[word] = kLines * kWords / 2 * kOddStep;
    stream.step[word + 1] = kLines * kWords / 2 * kOtherStep;
  }
}

[[gnu::always_inline]] inline void fill_body(const BlockKey& key, std::byte* to, std::size_t bytes) noexcept {
  Stream stream;
  start(key, stream);
  std::size_t at = 0;
  for (; at + kRoundBytes <= bytes; at += kRoundBytes) {
#pragma GCC unroll 4
    for (std::size_t line = 0; line < kLines; ++line) {
      std::memcpy(to + at + line * sizeof(Line), &stream.next[line], sizeof(Line));
      stream.next[line] += stream.step;
    }
  }
  if (at < bytes) std::memcpy(to + at, stream.next.data(), bytes - at);
}

[[gnu::always_inline]] inline bool check_body(const BlockKey& key, const std::byte* from,
                                              std::size_t bytes) noexcept {
  Stream stream;
  start(key, stream);
  std::array<Line, kLines> differ{};
  std::size_t at = 0;
  for (; at + kRoundBytes <= bytes; at += kRoundBytes) {
#pragma GCC unroll 4
    for (std::size_t line = 0; line < kLines; ++line) {
      Line found;
      std::memcpy(&found, from + at + line * sizeof(Line), sizeof(Line));
      differ[line] |= found ^ stream.next[line];
      stream.next[line] += stream.step;
    }
  }
  std::uint64_t any = 0;
  for (const Line& line : differ) {
    for (std::size_t word = 0; word < kWords; ++word) any |= line[word];
  }
  return any == 0 && (at == bytes || std::memcmp(from + at, stream.next.data(), bytes - at) == 0);
}

void fill_portable(const BlockKey& key, std::byte* to, std::size_t bytes) noexcept {
  fill_body(key, to, bytes);
}
bool check_portable(const BlockKey& key, const std::byte* from, std::size_t bytes) noexcept {
  return check_body(key, from, bytes);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void fill_avx2(const BlockKey& key, std::byte* to, std::size_t bytes) noexcept {
  fill_body(key, to, bytes);
}
[[gnu::target("avx2")]] bool check_avx2(const BlockKey& key, const std::byte* from,
                                        std::size_t bytes) noexcept {
  return check_body(key, from, bytes);
}
[[gnu::target("avx512f")]] void fill_avx512(const BlockKey& key, std::byte* to, std::size_t bytes) noexcept {
  fill_body(key, to, bytes);
}
[[gnu::target("avx512f")]] bool check_avx512(const BlockKey& key, const std::byte* from,
                                             std::size_t bytes) noexcept {
  return check_body(key, from, bytes);
}

constexpr std::array kRoutines = {ContentRoutines{"avx512f", fill_avx512, check_avx512},
                                  ContentRoutines{"avx2", fill_avx2, check_avx2},
                                  ContentRoutines{"portable", fill_portable, check_portable}};

std::size_t fastest() noexcept {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") != 0) return 0;
  return __builtin_cpu_supports("avx2") != 0 ? 1 : 2;
}
#else
constexpr std::array kRoutines = {ContentRoutines{"portable", fill_portable, check_portable}};

std::size_t fastest() noexcept { return 0; }
#endif

const ContentRoutines& best() noexcept {
  static const std::size_t chosen = fastest();
  return kRoutines[chosen];
}

}  // namespace

std::span<const ContentRoutines> content_routines() noexcept {
  return std::span(kRoutines).subspan(fastest());
}

void fill_content(const BlockKey& key, std::span<std::byte> block) noexcept {
  best().fill(key, block.data(), block.size());
}

bool check_content(const BlockKey& key, std::span<const std::byte> block) noexcept {
  return best().check(key, block.data(), block.size());
}

}  // namespace kelvin::cli
