// A histogram in fixed memory (15 KiB): percentiles of 64-bit values within 1/32 of the true value.
//
// Buckets are log-linear: values below 64 have one bucket each; above, every power of two is cut into 32
// equal parts.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. bucket_of is monotonic and covers every 64-bit value; lowest(bucket_of(v)) <= v.
//   2. The maximum is exact; a percentile is never above it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace kelvin::cli {

class Histogram {
 public:
  static constexpr unsigned kPartBits = 5;
  static constexpr std::size_t kParts = std::size_t{1} << kPartBits;
  static constexpr std::size_t kBuckets = (64 - kPartBits + 1) * kParts;

  void add(std::uint64_t value) noexcept { add(value, 1); }
  void add(std::uint64_t value, std::uint64_t times) noexcept {
    counts_[bucket_of(value)] += times;
    count_ += times;
    max_ = times > 0 ? std::max(max_, value) : max_;
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }

  // The value below or at which `percent` (0..100) of all values lie, rounded up to its bucket's end;
  // 0 where there are none.
  std::uint64_t percentile(double percent) const noexcept {
    if (count_ == 0) return 0;
    const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
    const auto wanted = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      below += counts_[bucket];
      if (below >= wanted) return std::min(max_, highest(bucket));
    }
    return max_;
  }

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < 2 * kParts) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kPartBits - 1;
    return shift * kParts + static_cast<std::size_t>(value >> shift);
  }

  static constexpr std::uint64_t lowest(std::size_t bucket) noexcept {
    if (bucket < 2 * kParts) return bucket;
    const auto shift = static_cast<unsigned>(bucket / kParts) - 1;
    return (std::uint64_t{bucket} - shift * kParts) << shift;
  }

  static constexpr std::uint64_t highest(std::size_t bucket) noexcept {
    return bucket + 1 == kBuckets ? ~std::uint64_t{0} : lowest(bucket + 1) - 1;
  }

 private:
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

static_assert(Histogram::bucket_of(~std::uint64_t{0}) == Histogram::kBuckets - 1);

}  // namespace kelvin::cli
