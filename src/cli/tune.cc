// See tune.h.
#include "cli/tune.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <span>
#include <utility>

#include "cli/interrupt.h"
#include "cli/ratio.h"
#include "cli/workers.h"

namespace kelvin::cli {
namespace {

// Smaller is better in each.
using Costs = std::vector<double>;

double p99(const Trial& trial) { return static_cast<double>(trial.result.ttft_ns.percentile(99)); }

double gain(const Trial& trial, Objective objective) {
  return objective == Objective::kSeconds ? trial.result.saved_seconds : hit_ratio(trial.result);
}

Costs costs_of(const Trial& trial, const std::vector<Dimension>& dimensions, Objective objective) {
  Costs costs = {-gain(trial, objective), bytes_written(trial), p99(trial)};
  for (const TierConfig& tier : trial.config.tiers) {
    const std::string key = "tier." + tier.name + ".capacity";
    const bool varied = std::ranges::find(dimensions, key, &Dimension::key) != dimensions.end();
    if (varied) costs.push_back(static_cast<double>(tier.capacity_bytes));
  }
  return costs;
}

// At least as good in all, better in one.
bool dominates(const Costs& a, const Costs& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better = better || a[i] < b[i];
  }
  return better;
}

void mark_front(Tuning& tuning, const std::vector<Dimension>& dimensions, Objective objective) {
  std::vector<Costs> costs;
  costs.reserve(tuning.trials.size());
  for (const Trial& trial : tuning.trials) costs.push_back(costs_of(trial, dimensions, objective));
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const auto earlier = std::span(costs).first(i);
    tuning.trials[i].on_front =
        std::ranges::find(earlier, costs[i]) == earlier.end() &&
        std::ranges::none_of(costs, [&](const Costs& other) { return dominates(other, costs[i]); });
  }
}

std::vector<std::string> values_of(const Config& config, const std::vector<Dimension>& dimensions) {
  std::vector<std::string> values;
  for (const Dimension& dimension : dimensions) {
    const auto value = value_at(config, dimension.key, nullptr);
    values.push_back(value.ok() ? *value : std::string());
  }
  return values;
}

}  // namespace

double hit_ratio(const SimResult& result) { return share(result.hit, result.referenced); }

double bytes_written(const Trial& trial) {
  return static_cast<double>(trial.result.written_behind) *
         static_cast<double>(trial.config.space.block_bytes);
}

Result<Tuning> run_trials(const TraceSet& traces, const Config& config,
                          const std::vector<Dimension>& dimensions, const Search& search, std::size_t jobs,
                          const std::function<void(std::size_t)>& tick, std::string* why) try {
  std::vector<Trial> trials;
  trials.push_back({0, values_of(config, dimensions), config, {}, false});
  for (const Candidate& candidate : search.candidates) {
    if (candidate.values == trials.front().values) continue;  // the config as it is: once is enough
    trials.push_back({trials.size(), candidate.values, candidate.config, {}, false});
  }
  std::vector<char> complete(trials.size());  // not bool: threads write neighbours
  const Work work = [&](std::size_t number, std::string* what) -> Status {
    auto result = simulate(traces, trials[number].config, {}, what);
    if (!result.ok()) return result.status();
    trials[number].result = std::move(*result);
    complete[number] = trials[number].result.requests == traces.requests.size() ? 1 : 0;
    return {};
  };
  if (Status status = run_parallel(trials.size(), jobs, work, tick, why); !status.ok()) return status;
  Tuning tuning;
  tuning.planned = trials.size();
  for (Trial& trial : trials) {
    if (complete[trial.number] != 0) tuning.trials.push_back(std::move(trial));
  }
  return tuning;
} catch (const std::bad_alloc&) {
  *why = "the settings to try do not fit into memory: give a smaller --budget";
  return Status(Code::kFull, "tuning");
}

void judge(Tuning& tuning, const std::vector<Dimension>& dimensions, Objective objective) {
  assert(!tuning.trials.empty());
  mark_front(tuning, dimensions, objective);
  // In order of what matters; the least of all is dominated by none, so it is on the front.
  const auto order = [&](const Trial& trial) {
    Costs costs = costs_of(trial, dimensions, objective);
    if (objective == Objective::kTtft) std::rotate(costs.begin(), costs.begin() + 2, costs.begin() + 3);
    return std::pair(std::move(costs), trial.number);
  };
  const auto best = std::ranges::min_element(tuning.trials, {}, order);
  tuning.best = static_cast<std::size_t>(best - tuning.trials.begin());
}

}  // namespace kelvin::cli
