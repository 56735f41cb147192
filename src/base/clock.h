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

// The end of a caller's wait that begins now; a negative timeout is none.
inline std::uint64_t deadline_after(std::chrono::nanoseconds timeout) noexcept {
  return monotonic_ns() + static_cast<std::uint64_t>(timeout.count() > 0 ? timeout.count() : 0);
}

}  // namespace kelvin
