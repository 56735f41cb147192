// WriteBudget: how many blocks may be written behind to one tier, so that on average so many a second are.
//
// A bucket that fills with time and holds a minute's worth (one block at least), so that a burst after a
// pause stays short.
//
// Thread contract: one thread at a time (the planner's lock).
// Invariants:
//   1. In any stretch of T seconds no more than rate * (T + kSeconds) + 1 blocks are taken.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kelvin {

class WriteBudget {
 public:
  static constexpr double kSeconds = 60;  // worth of writes that may be in hand

  WriteBudget() noexcept = default;
  explicit WriteBudget(double blocks_per_second) noexcept
      : rate_(blocks_per_second), left_(std::max(1.0, kSeconds * blocks_per_second)) {}

  bool limited() const noexcept { return rate_ > 0; }

  // How many whole blocks may be taken now.
  std::uint32_t left(std::uint64_t now_ns) noexcept {
    if (!limited()) return ~std::uint32_t{0};
    if (now_ns > seen_ns_) {
      const double seconds = seen_ns_ == 0 ? 0 : static_cast<double>(now_ns - seen_ns_) / 1e9;
      left_ = std::min(std::max(1.0, kSeconds * rate_), left_ + rate_ * seconds);
      seen_ns_ = now_ns;
    }
    return static_cast<std::uint32_t>(std::min(left_, 4e9));
  }
  // Precondition: left() was at least 1.
  void take() noexcept { left_ -= limited() ? 1 : 0; }

 private:
  double rate_ = 0;  // 0: no limit
  double left_ = 0;
  std::uint64_t seen_ns_ = 0;
};

}  // namespace kelvin
