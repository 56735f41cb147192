// A lock of one byte for sections of some tens of nanoseconds; yields when it has to wait longer.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "base/thread_annotations.h"

namespace kelvin {

inline void cpu_relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class KELVIN_CAPABILITY("spin lock") SpinLock {
 public:
  void lock() noexcept KELVIN_ACQUIRE() {
    for (int spins = 0; !try_lock(); ++spins) {
      // The holder may have lost its CPU: with few cores, spinning on would only keep it from running.
      if (spins < 64) {
        cpu_relax();
      } else {
        ::sched_yield();
      }
    }
  }
  bool try_lock() noexcept KELVIN_TRY_ACQUIRE(true) {
    return locked_.load(std::memory_order_relaxed) == 0 &&
           locked_.exchange(1, std::memory_order_acquire) == 0;
  }
  void unlock() noexcept KELVIN_RELEASE() { locked_.store(0, std::memory_order_release); }

 private:
  std::atomic<std::uint8_t> locked_{0};
};

using SpinGuard = LockGuard<SpinLock>;

}  // namespace kelvin
