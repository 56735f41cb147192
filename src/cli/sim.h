// A simulation: the space's own table, planner, mover and policy over fake tiers, on virtual time.
//
// Requests arrive when the trace says. Each acquires what is known of its prompt; once that is loaded, its
// missing blocks are published and everything is released: as a replay does, only that loads of several
// requests are under way at once and time passes virtually. Same traces, same config, same result.
//
// Time to first token: until the prefix is loaded and slots are found, plus computing the tokens that were
// not found, at space.prefill_tokens_per_second. Requests do not queue for the GPU.
//
// Thread contract: a pure function of its arguments; several may run at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/latency.h"
#include "cli/tenants.h"
#include "cli/trace_set.h"
#include "kelvin/config.h"
#include "kelvin/space.h"

namespace kelvin::cli {

// One stretch of virtual time.
struct SimSample {
  std::uint64_t until_ns = 0;
  std::uint64_t referenced = 0;             // blocks
  std::vector<std::uint64_t> hits_by_tier;  // by the nearest tier that held the block
  std::uint64_t served = 0;                 // requests that had their prefix and slots in this stretch
  std::uint64_t load_wait_ns = 0;           // how long these waited, summed
};

struct SimResult {
  std::string policy;
  std::uint64_t requests = 0;
  std::uint64_t referenced = 0;  // blocks
  std::uint64_t hit = 0;
  std::uint64_t published = 0;
  std::uint64_t unpublished = 0;            // found no room in tier 0
  std::vector<std::uint64_t> hits_by_tier;  // by the nearest tier that held the block
  std::uint64_t written_behind = 0;         // blocks moved away from tier 0, once for each hop
  std::uint64_t load_wait_ns = 0;           // summed over requests: from arrival to prefix and slots
  double prefill_seconds = 0;               // computing what was not found
  double saved_seconds = 0;                 // not computing what was found
  Histogram ttft_ns;
  std::vector<SimSample> samples;
  std::vector<TenantCount> tenants;
  double virtual_seconds = 0;
  double seconds = 0;  // of real time
  Stats stats;         // of the simulated space at the end: blocks count kSimBlockBytes
};

struct SimOptions {
  std::size_t samples = 60;
  std::string save_learned;         // a file for what the policy has learned; empty: none
  std::uint64_t look_ahead_ns = 0;  // how long before its arrival the scheduler announces a request; 0: never
};

// Runs `config` (a real one; it is turned into a simulated one here). On failure `why` (never null) says what
// is wrong.
Result<SimResult> simulate(const TraceSet& traces, const Config& config, const SimOptions& options,
                           std::string* why);

}  // namespace kelvin::cli
