// See calibration.h.
#include "tiers/hbm/calibration.h"

#include <algorithm>

namespace kelvin::hbm {
namespace {

// First guesses: a bus of the fourth generation, and what one call and one piece cost.
constexpr std::uint64_t kBytesPerNs = 20;
constexpr std::array<std::uint64_t, kWays> kCallNs = {5'000, 8'000, 12'000};
constexpr std::array<std::uint64_t, kWays> kPieceNs = {2'000, 300, 50};

std::size_t table_of(Direction direction) noexcept {
  return std::min(static_cast<std::size_t>(direction), Calibration::kDirections - 1);
}

// The entry of an ascending list whose ratio to the value is nearest to one.
template <std::size_t N>
std::size_t nearest(const std::array<std::uint64_t, N>& list, std::uint64_t value) noexcept {
  const auto v = static_cast<double>(value);
  std::size_t i = 0;
  // Beyond the geometric mean of two neighbours the larger one is nearer.
  while (i + 1 < N && v * v > static_cast<double>(list[i]) * static_cast<double>(list[i + 1])) ++i;
  return i;
}

}  // namespace

Calibration::Calibration(const DeviceProperties& properties) noexcept {
  for (Table& table : tables_) {
    for (std::size_t s = 0; s < kSizes.size(); ++s) {
      for (std::size_t c = 0; c < kCounts.size(); ++c) {
        for (std::size_t w = 0; w < kWays; ++w) {
          const bool there = (properties.ways >> w & 1U) != 0;
          const std::uint64_t ns =
              kCallNs[w] + kPieceNs[w] * kCounts[c] + kSizes[s] * kCounts[c] / kBytesPerNs;
          table[s][c].ns[w] = there ? ns : kNever;
        }
      }
    }
  }
}

// The kernel takes multiprocessors away from the engine, and a batch needs a newer driver: each has to be an
// eighth faster than what is listed before it.
std::size_t Calibration::fastest(const Cell& cell, bool grained) noexcept {
  std::size_t best = kWays;
  for (std::size_t w = 0; w < kWays; ++w) {
    if (cell.ns[w] == kNever || (!grained && w == static_cast<std::size_t>(Way::kKernel))) continue;
    if (best == kWays || cell.ns[w] < cell.ns[best] - cell.ns[best] / 8) best = w;
  }
  return best == kWays ? 0 : best;
}

const Calibration::Cell& Calibration::cell(Direction direction, std::uint64_t piece_bytes,
                                           std::uint64_t pieces) const noexcept {
  const std::size_t size = nearest(kSizes, piece_bytes);
  std::size_t count = nearest(kCounts, pieces);
  while (count > 0 && kSizes[size] * kCounts[count] > kMostBytes) --count;
  return tables_[table_of(direction)][size][count];
}

Way Calibration::way(Direction direction, std::uint64_t piece_bytes, std::uint64_t pieces,
                     bool grained) const noexcept {
  const bool within_reach = direction != Direction::kToPeer;  // a kernel does not reach into each peer
  return static_cast<Way>(fastest(cell(direction, piece_bytes, pieces), grained && within_reach));
}

std::uint64_t Calibration::estimate_ns(Direction direction, std::uint64_t piece_bytes,
                                       std::uint64_t pieces) const noexcept {
  const std::size_t size = nearest(kSizes, piece_bytes);
  std::size_t count = nearest(kCounts, pieces);
  while (count > 0 && kSizes[size] * kCounts[count] > kMostBytes) --count;
  const Cell& near = tables_[table_of(direction)][size][count];
  const auto ns = static_cast<double>(near.ns[fastest(near, true)]);
  const double share = static_cast<double>(piece_bytes) * static_cast<double>(pieces) /
                       static_cast<double>(kSizes[size] * kCounts[count]);
  return static_cast<std::uint64_t>(std::max(ns * std::max(share, 0.1), 1.0));
}

}  // namespace kelvin::hbm
