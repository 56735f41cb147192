// How fast blocks move between the tiers of a config on this machine, as a space moves them: submitted,
// polled, checksums made and verified.
//
// Thread contract: measure_links is called by one thread; the rest are pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kelvin/config.h"

namespace kelvin::cli {

struct LinkSpeed {
  std::string name;                    // "dram>nvme"
  std::size_t near = 0;                // indices of Config::tiers; near < far
  std::size_t far = 0;                 //
  bool store = false;                  // away from the first tier
  std::uint32_t depth = 0;             // copies at once; 0: no direct link, the blocks go by way of others
  std::uint64_t blocks = 0;            // moved at once for bytes_per_second
  std::uint64_t one_block_ns = 0;      // of one block alone, median
  std::uint64_t bytes_per_second = 0;  // of many blocks at once, median
  std::string missing;                 // why it could not be measured; empty: it was

  // What a block alone takes beyond its share of the bandwidth.
  std::uint64_t latency_ns(std::uint64_t block_bytes) const;
};

struct MeasureOptions {
  std::uint64_t bytes = 256u << 20;  // moved at once, at most
  std::size_t rounds = 5;            // of many blocks
  std::size_t singles = 32;          // blocks alone
  // Of one pair of tiers, about, once they are open: slow ones then move fewer blocks, fewer times. 0: no
  // limit.
  std::uint64_t most_ns = 0;
};

// Measures the links of each tier with the first one and with the one before it. A pair that cannot be
// measured says so in `missing`. kCanceled: Ctrl-C. `tell` hears the name of each before it begins.
Result<std::vector<LinkSpeed>> measure_links(const Config& config, const MeasureOptions& options,
                                             const std::function<void(const std::string&)>& tell,
                                             std::string* why);

// Puts load_latency, load_bandwidth and store_bandwidth of every measured tier into the config: loads as they
// come to the first tier, stores as they come from the tier before.
void apply_speeds(const std::vector<LinkSpeed>& speeds, Config& config);

std::string link_table(const std::vector<LinkSpeed>& speeds, const Config& measured);
std::string link_json(const std::vector<LinkSpeed>& speeds, const Config& measured);

}  // namespace kelvin::cli
