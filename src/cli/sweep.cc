// See sweep.h.
#include "cli/sweep.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>
#include <utility>

#include "cli/belady.h"
#include "cli/interrupt.h"
#include "cli/workers.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

constexpr std::array<double, 6> kScales = {0.125, 0.25, 0.5, 1, 2, 4};
constexpr std::uint64_t kFewestBlocks = 8;  // a smaller tier says nothing about a policy

Config scaled(Config config, double scale) {
  for (TierConfig& tier : config.tiers) {
    tier.capacity_bytes = static_cast<std::uint64_t>(static_cast<double>(tier.capacity_bytes) * scale);
  }
  return config;
}

bool large_enough(const Config& config) {
  return std::ranges::all_of(config.tiers, [&](const TierConfig& tier) {
    return tier.capacity_bytes / config.space.block_bytes >= kFewestBlocks;
  });
}

std::uint64_t capacity_of(const Config& config) {
  std::uint64_t bytes = 0;
  for (const TierConfig& tier : config.tiers) bytes += tier.capacity_bytes;
  return bytes;
}

std::uint64_t bound_of(const TraceSet& traces, const Config& config) {
  std::uint64_t slots = 0;
  for (const TierConfig& tier : config.tiers) slots += tier.capacity_bytes / config.space.block_bytes;
  return belady_hits(traces, slots);
}

std::vector<SweepCurve> curves_of(const Config& config) {
  std::vector<SweepCurve> curves;
  curves.push_back({config.policy.name, true, {}});
  for (const PolicyFactory* factory : policy_factories()) {
    if (factory->name != config.policy.name) curves.push_back({std::string(factory->name), false, {}});
  }
  for (SweepCurve& curve : curves) {
    for (const double scale : kScales) {
      const Config sized = scaled(config, scale);
      if (scale == 1 || large_enough(sized)) curve.points.push_back({scale, capacity_of(sized), 0, {}});
    }
  }
  return curves;
}

}  // namespace

std::optional<Config> without_prefetch(const Config& config) {
  constexpr const char* kPrefetch = "policy.prefetch";
  const auto now = value_at(config, kPrefetch, nullptr);
  Config copy = config;
  if (!now.ok() || *now == "false" || !set_value(copy, kPrefetch, "false", nullptr).ok()) return std::nullopt;
  return copy;
}

const SweepPoint& SweepCurve::as_configured() const {
  const auto found = std::ranges::find(points, 1.0, &SweepPoint::scale);
  assert(found != points.end() && "the config's own size is always among them");
  return *found;
}

Result<Sweep> sweep(const TraceSet& traces, const Config& config, std::size_t jobs,
                    const std::function<void(std::size_t, std::size_t)>& tick, std::string* why) try {
  Sweep found{curves_of(config), {}};
  const std::optional<Config> without = without_prefetch(config);
  if (without) found.unaided.emplace();
  const std::size_t sizes = found.curves.front().points.size();
  const std::size_t points = found.curves.size() * sizes;
  const std::size_t count = points + (without ? 1 : 0);
  const Work work = [&](std::size_t number, std::string* what) -> Status {
    const bool extra = number == points;
    SweepCurve& curve = found.curves[extra ? 0 : number / sizes];
    SweepPoint& point = curve.points[number % sizes];
    Config sized = extra ? *without : scaled(config, point.scale);
    if (!curve.own) {
      sized.policy = {};
      sized.policy.name = curve.policy;
    }
    auto result = simulate(traces, sized, {}, what);
    if (!result.ok()) return result.status();
    (extra ? *found.unaided : point.result) = std::move(*result);
    if (curve.own && !extra) point.bound_hit = bound_of(traces, sized);
    return {};
  };
  const auto tell = [&](std::size_t done) { tick(done, count); };
  if (Status status = run_parallel(count, jobs, work, tell, why); !status.ok()) return status;
  if (interrupted()) {
    *why = "interrupted: the report needs every simulation, and was not written";
    return Status(Code::kCanceled, "simulating sizes and policies");
  }
  for (SweepCurve& curve : found.curves) {
    for (std::size_t i = 0; i < sizes; ++i)
      curve.points[i].bound_hit = found.curves.front().points[i].bound_hit;
  }
  return found;
} catch (const std::bad_alloc&) {
  *why = "out of memory while simulating sizes and policies";
  return Status(Code::kFull, "simulating sizes and policies");
}

}  // namespace kelvin::cli
