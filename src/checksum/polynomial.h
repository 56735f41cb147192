// Arithmetic on crc32c's polynomial at compile time: where every table and folding constant comes from.
//
// Polynomials over GF(2) are kept bit-reflected, as crc32c defines them: the highest bit of a word is x^0.
//
// Thread contract: constant expressions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kelvin::crc {

inline constexpr std::uint32_t kPolynomial = 0x82F63B78U;  // Castagnoli, reflected, without its x^32

// v * x mod P.
constexpr std::uint32_t times_x(std::uint32_t v) noexcept {
  return (v >> 1) ^ ((v & 1U) != 0 ? kPolynomial : 0U);
}

// x^n mod P.
constexpr std::uint32_t x_to_the(std::size_t n) noexcept {
  std::uint32_t v = 0x80000000U;
  for (; n > 0; --n) v = times_x(v);
  return v;
}

// The factor that carries a 32-bit state over `bytes` of later message: clmul(state, factor), taken as 64
// message bits from state 0, gives state * x^(8 * bytes). The reflected product is one power of x too high
// and taking it as message adds 32 more, hence the 33.
constexpr std::uint32_t shift_factor(std::size_t bytes) noexcept { return x_to_the(8 * bytes - 33); }

// The factors that carry a 128-bit piece over `bits` of later message: one for its first eight bytes (which
// are 64 powers higher), one for its last eight. The 1 is again the reflected product's.
struct FoldFactors {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
constexpr FoldFactors fold_factors(std::size_t bits) noexcept {
  return {std::uint64_t{x_to_the(bits + 63)} << 32, std::uint64_t{x_to_the(bits - 1)} << 32};
}

// tables[k][b]: what byte b does to the state when k zero bytes follow it.
using SlicingTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr SlicingTables slicing_tables() noexcept {
  SlicingTables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t v = b;
    for (int bit = 0; bit < 8; ++bit) v = times_x(v);
    tables[0][b] = v;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const std::uint32_t before = tables[k - 1][b];
      tables[k][b] = (before >> 8) ^ tables[0][before & 0xFFU];
    }
  }
  return tables;
}

static_assert(slicing_tables()[0][1] == 0xF26B8303U, "the table every crc32c shares");

}  // namespace kelvin::crc
