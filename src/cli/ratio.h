// Ratios that reports show.
//
// Thread contract: pure functions.
#pragma once

#include <cstdint>

namespace kelvin::cli {

// 0 of nothing.
inline double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Of the time that loads take without prefetching, what they do not take with it; negative: they take longer.
inline double hidden_share(std::uint64_t with_ns, std::uint64_t without_ns) {
  return without_ns == 0 ? 0 : 1 - static_cast<double>(with_ns) / static_cast<double>(without_ns);
}

}  // namespace kelvin::cli
