// Numbers, sizes and times as text, both ways.
//
// Thread contract: pure functions.
// Invariants:
//   1. Reading is strict: no sign but a leading '-', no blanks, nothing after the last character.
//   2. What a write_ function wrote, the read_ function reads back to the same value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kelvin::config {

inline constexpr double kNoLimit = 1e18;  // OptionSpec's default maximum

// What is wrong with a text that was to be read, of static storage duration; null: nothing, `value` is set.
using Complaint = const char*;

Complaint read_integer(std::string_view text, std::int64_t& value);
// Finite. "0.5", "1e3"; never "nan" or "inf".
Complaint read_real(std::string_view text, double& value);
// A number as read_real, or "2.5%" = 0.025.
Complaint read_share(std::string_view text, double& value);
// As parse_bytes and parse_duration_ns.
Complaint read_bytes(std::string_view text, std::uint64_t& bytes);
Complaint read_duration(std::string_view text, std::uint64_t& ns);

std::string write_bytes(std::uint64_t bytes);  // "8GiB", "1000B": the largest binary unit that is exact
std::string write_duration(std::uint64_t ns);  // "10min"
std::string write_real(double value);          // the shortest text that reads back
std::string write_share(double value);         // "2%", or as write_real where that is shorter

}  // namespace kelvin::config
