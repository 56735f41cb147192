// Real time, for clocks that nobody supplied and for deadlines of waiting callers.
#pragma once

#include <chrono>
#include <cstdint>

namespace kelvin {

inline std::uint64_t monotonic_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace kelvin
