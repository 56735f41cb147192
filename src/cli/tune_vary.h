// What `kelvin tune --vary` says: a key of the config and the values to try.
//
//   KEY=V1,V2,...             these
//   KEY=LO..HI                numbers, sizes or times between: 5 of them on a grid, any in a random search
//   KEY=LO..HI:STEPS          so many, evenly apart
//   KEY=LO..HI[:STEPS]:log    evenly apart by factors
//
// Thread contract: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kelvin/config.h"

namespace kelvin::cli {

// Both ends in the unit of the key's type: bytes, nanoseconds, or the number itself.
struct VaryRange {
  double low = 0;
  double high = 0;
  bool log = false;
};

struct Dimension {
  std::string key;                  // "tier.dram.capacity"
  OptionSpec spec;                  // of the key
  std::vector<std::string> values;  // of the grid: each differs from the others, as value_at would give it
  std::optional<VaryRange> range;   // a random search draws from here instead; given without STEPS only
};

// One for each of `given`, in their order but policy.name first. On failure `why` (never null) says which is
// wrong, and how to mend it: unknown or repeated keys, keys that cannot be tuned, values that the key does
// not take, bad ranges.
Result<std::vector<Dimension>> read_dimensions(const Config& config, const std::vector<std::string>& given,
                                               std::string* why);

// The value `share` (0 to 1) of the way through a range, rounded as a person would, within the range.
std::string value_in(const OptionSpec& spec, const VaryRange& range, double share);

}  // namespace kelvin::cli
