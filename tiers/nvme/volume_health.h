// VolumeHealth: whether the device of a volume is there at all. One that says it is gone, or fails on block
// after block without one success, is lost: it stays so until the tier is opened again.
//
// Thread contract: any thread. Counts are approximate where several links end copies at once.
#pragma once

#include <atomic>
#include <cstdint>

#include "kelvin/status.h"

namespace kelvin::nvme {

class VolumeHealth {
 public:
  bool lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  // How a copy to or from `slot` ended. One slot that fails again and again says nothing of the others.
  void ended(std::uint32_t slot, Code code) noexcept {
    if (code == Code::kOk) {
      if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
    } else if (code == Code::kUnavailable) {
      lost_.store(true, std::memory_order_relaxed);
    } else if (code == Code::kIo && last_.exchange(slot, std::memory_order_relaxed) != slot) {
      if (failures_.fetch_add(1, std::memory_order_relaxed) + 1 >= kFailures) {
        lost_.store(true, std::memory_order_relaxed);
      }
    }
  }

 private:
  // More than a few bad places that many copies ask for at once; a dead device has so many in no time.
  static constexpr std::uint32_t kFailures = 32;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::atomic<bool> lost_{false};
  std::atomic<std::uint32_t> failures_{0};  // since the last success
  std::atomic<std::uint32_t> last_{kNone};  // slot that failed
};

}  // namespace kelvin::nvme
