// From a config to one that can be simulated: the same tiers in number of blocks, as fakes on virtual time.
//
// A simulated block is kSimBlockBytes long and its tiers' speeds are scaled alike, so that every copy takes
// as long as the real one would and almost nothing is really copied.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "kelvin/config.h"

namespace kelvin::cli {

inline constexpr std::uint64_t kSimBlockBytes = 64;

// How fast blocks come from a tier and go to it.
struct TierSpeed {
  std::string tier;
  std::uint64_t latency_ns = 0;
  std::uint64_t load_bytes_per_second = 0;
  std::uint64_t store_bytes_per_second = 0;
  bool assumed = false;  // the config says nothing: a typical figure of that kind of memory
};

// By tier; the first tier's is never used.
std::vector<TierSpeed> speeds_of(const Config& config);

// The simulated config. kInvalid, with `why` (never null): a tier whose size the config does not tell.
Result<Config> simulated(const Config& config, std::string* why);

}  // namespace kelvin::cli
