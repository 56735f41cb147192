// Random numbers for the trace models, in integers only: the same seed gives the same trace on every
// platform, which neither std::*_distribution nor the C library's exp and log promise.
//
// Thread contract: one thread at a time.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kelvin::cli {

constexpr std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// A counter through a mixer (splitmix64). Streams of one seed are independent of each other.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed, std::uint64_t stream = 0) noexcept
      : state_(mix_bits(seed + 0x9E3779B97F4A7C15ULL) ^ mix_bits(stream * 0xD1B54A32D192ED03ULL + 1)) {}

  constexpr std::uint64_t next() noexcept { return mix_bits(state_ += 0x9E3779B97F4A7C15ULL); }

  // 0 .. n - 1. Precondition: n > 0.
  constexpr std::uint32_t below(std::uint32_t n) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
  }
  // From low to high, both included.
  constexpr std::uint32_t between(std::uint32_t low, std::uint32_t high) noexcept {
    assert(low <= high && high - low < ~std::uint32_t{0});
    return low + below(high - low + 1);
  }
  constexpr bool chance(std::uint32_t per_mille) noexcept { return below(1000) < per_mille; }

 private:
  std::uint64_t state_;
};

// One point of a distribution: `per_mille` of the values are at most `value`.
struct Quantile {
  std::uint32_t per_mille;
  std::uint64_t value;
};

// Draws from the distribution that runs straight between the points. They ascend from 0 to 1000; values
// stay below 2^43.
constexpr std::uint64_t draw(std::span<const Quantile> points, Random& random) noexcept {
  constexpr std::uint32_t kFine = 1000;
  const std::uint32_t at = random.below(1000 * kFine);
  std::size_t i = 1;
  while (i + 1 < points.size() && points[i].per_mille * kFine <= at) ++i;
  const Quantile& low = points[i - 1];
  const Quantile& high = points[i];
  const std::uint64_t width = std::uint64_t{high.per_mille - low.per_mille} * kFine;
  return low.value + (high.value - low.value) * (at - low.per_mille * kFine) / width;
}

// Waiting times of a Poisson process, for a mean of 1000.
inline constexpr Quantile kExponential[] = {{0, 0},      {100, 105},  {250, 288},  {500, 693},  {750, 1386},
                                            {900, 2303}, {950, 2996}, {990, 4605}, {1000, 6900}};

// Draws 0 .. n - 1 with weights 1 / (i + offset): popularity as it is found everywhere.
class Zipf {
 public:
  Zipf(std::uint32_t n, std::uint32_t offset) {
    assert(n > 0 && offset > 0);
    sums_.reserve(n);
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < n; ++i) sums_.push_back(sum += (std::uint64_t{1} << 40) / (i + offset));
  }

  std::uint32_t draw(Random& random) const noexcept {
    const std::uint64_t at = random.next() % sums_.back();
    return static_cast<std::uint32_t>(std::ranges::upper_bound(sums_, at) - sums_.begin());
  }

 private:
  std::vector<std::uint64_t> sums_;
};

}  // namespace kelvin::cli
