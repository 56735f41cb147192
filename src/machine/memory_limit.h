// How much memory this process may ever have: the machine's, or its control group's if that is less.
//
// Thread contract: pure but for reading /proc and /sys; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace kelvin {

struct MemoryLimit {
  std::uint64_t bytes = ~std::uint64_t{0};  // all ones: unknown
  std::string source;                       // who says so, for messages: a path, or "" if unknown
};

// Reads the limits below `root`; tests give a root of their own. What cannot be read does not limit.
MemoryLimit memory_limit(const std::string& root = "");

}  // namespace kelvin
