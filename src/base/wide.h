// 128-bit products, which ISO C++ has no word for.
#pragma once

#include <cstdint>

namespace kelvin {

__extension__ using Wide = unsigned __int128;

inline std::uint64_t high_product(std::uint64_t a, std::uint64_t b) noexcept {
  return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

// Both halves of the product folded into one: a strong mix for the price of a multiplication.
inline std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace kelvin
