// DepthLimit: how many requests a drive is given at once, so that none of them takes longer than wished.
//
// Beyond what keeps a drive busy, depth adds nothing but waiting, for the requests themselves and for those
// of the other direction. How much that is depends on the drive: so it is measured, one turn of requests
// after the other. A turn that took longer than wished takes a quarter of the depth away; one that stayed
// well below, and in which requests had to wait for others, adds one.
//
// Thread contract: one thread.
// Invariant: least <= now() <= most.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kelvin::nvme {

class DepthLimit {
 public:
  // `most` >= 1. `wished_ns`: of one request; 0: any time, which leaves it at `most`.
  DepthLimit(std::uint32_t most, std::uint64_t wished_ns) noexcept
      : most_(most), wished_ns_(wished_ns), now_(most) {}

  std::uint32_t now() const noexcept { return now_; }
  bool measures() const noexcept { return wished_ns_ != 0; }

  // A request ended after `latency_ns`; `short_of`: others wait for their turn.
  void ended(std::uint64_t latency_ns, bool short_of) noexcept {
    sum_ns_ += latency_ns;
    short_of_ = short_of_ || short_of;
    if (++count_ < now_) return;
    const std::uint64_t mean_ns = sum_ns_ / count_;
    if (mean_ns > wished_ns_) {
      now_ = std::max(least(), now_ - std::max(1u, now_ / 4));
    } else if (short_of_ && mean_ns < wished_ns_ / 4 * 3) {
      now_ = std::min(most_, now_ + 1);
    }
    sum_ns_ = count_ = 0;
    short_of_ = false;
  }

 private:
  // Fewer would leave a drive idle between one request and the next.
  std::uint32_t least() const noexcept { return std::min(2u, most_); }

  const std::uint32_t most_;
  const std::uint64_t wished_ns_;
  std::uint32_t now_;
  std::uint64_t sum_ns_ = 0;  // of this turn
  std::uint32_t count_ = 0;
  bool short_of_ = false;
};

}  // namespace kelvin::nvme
