// Ages in bins of half an octave, from a quarter of a second to three days.
//
// Thread contract: constants and pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace kelvin::heat {

inline constexpr int kBins = 40;
inline constexpr std::uint64_t kFirstEdgeNs = 250'000'000;  // everything younger is in bin 0

namespace detail {

constexpr std::array<std::uint64_t, kBins + 1> make_edges() {
  std::array<std::uint64_t, kBins + 1> edges{};
  for (std::uint32_t k = 1; k < edges.size(); ++k) {
    const std::uint64_t octave = kFirstEdgeNs << (k / 2);
    edges[k] = k % 2 == 0 ? octave : octave / 1'000'000 * 1'414'214;  // square root of 2
  }
  return edges;
}

}  // namespace detail

// Bin k holds the ages from kEdges[k] on, below kEdges[k + 1]; the last one everything older too.
inline constexpr std::array<std::uint64_t, kBins + 1> kEdges = detail::make_edges();

constexpr int age_bin(std::uint64_t age_ns) noexcept {
  if (age_ns < kEdges[1]) return 0;
  if (age_ns >= kEdges[kBins - 1]) return kBins - 1;
  const int octaves = static_cast<int>(std::bit_width(age_ns / kFirstEdgeNs)) - 1;
  const int bin = 2 * octaves;  // age_ns is at least the first edge
  return age_ns >= kEdges[static_cast<std::size_t>(bin) + 1] ? bin + 1 : bin;
}

// 0 for 0, else 1 + the logarithm of base 2, rounded down, at most `most`.
constexpr std::uint8_t octave(std::uint64_t value, int most) noexcept {
  const int width = static_cast<int>(std::bit_width(value));
  return static_cast<std::uint8_t>(width < most ? width : most);
}

}  // namespace kelvin::heat
