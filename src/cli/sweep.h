// The same config at several sizes under each policy there is: what a policy is worth, and what more memory
// is.
//
// Thread contract: sweep is called by one thread and uses several.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/sim.h"

namespace kelvin::cli {

struct SweepPoint {
  double scale = 1;             // every tier has so many times the config's capacity
  std::uint64_t capacity = 0;   // bytes of all tiers together
  std::uint64_t bound_hit = 0;  // blocks: MIN, in one memory of that size
  SimResult result;
};

struct SweepCurve {
  std::string policy;
  bool own = false;  // the config's policy, with the config's options; the others have their defaults
  std::vector<SweepPoint> points;

  // The one at the config's own size.
  const SweepPoint& as_configured() const;
};

struct Sweep {
  std::vector<SweepCurve> curves;    // the own one is the first
  std::optional<SimResult> unaided;  // the config as it is, but nothing brought near ahead of its need
};

// The config without prefetching, if its policy does it and can do without.
std::optional<Config> without_prefetch(const Config& config);

// Simulates them on `jobs` threads (0: all). `unaided` is there if the config's policy has a key "prefetch"
// that is not false anyway. kCanceled: Ctrl-C.
Result<Sweep> sweep(const TraceSet& traces, const Config& config, std::size_t jobs,
                    const std::function<void(std::size_t done, std::size_t planned)>& tick, std::string* why);

}  // namespace kelvin::cli
