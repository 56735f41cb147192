// What a simulation says at its end: a table for a person, JSON for a program.
//
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/sim.h"
#include "cli/sim_config.h"

namespace kelvin::cli {

// The most hits anybody could have in the first tiers together, as a memory of their slots.
struct SimBound {
  std::string tiers;  // "dram", "dram+nvme"
  std::uint64_t slots = 0;
  std::uint64_t hit = 0;  // blocks
};

struct SimReport {
  SimResult own;              // of the config
  SimResult lru;              // of the same config with policy "lru"
  std::vector<SimBound> min;  // one for each tier: itself with all nearer ones
  std::vector<TierSpeed> speeds;
  std::uint64_t block_bytes = 0;
  std::optional<std::uint64_t>
      unaided_wait_ns;  // load_wait_ns if nothing were brought near ahead of its need
};

std::string sim_table(const SimReport& report);
std::string sim_json(const SimReport& report, const Config& config);

// Share of the time that requests would wait for loads, which they did not; negative: they waited longer.
double hidden_share(const SimReport& report);

// Blocks written to lower tiers for each block published.
double write_amplification(const SimResult& result);

}  // namespace kelvin::cli
