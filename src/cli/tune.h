// Tuning: many settings simulated on the same traces, and which of them are worth having.
//
// What a setting gains is, by the objective, the share of blocks hit or the seconds of GPU time saved. What
// it costs: bytes written behind, the slowest requests' time to first token (p99), and the capacity of each
// tier whose capacity is varied. A setting is on the Pareto front if no other is at least as good in all of
// these and better in one, and none before it is equal in all.
//
// Thread contract: run_trials is called by one thread and uses several; the rest are pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/sim.h"
#include "cli/tune_search.h"

namespace kelvin::cli {

enum class Objective : std::uint8_t {
  kHits,     // most blocks hit
  kSeconds,  // most GPU time saved
  kTtft,     // least time to first token, p99; the front gains hits
};

struct Trial {
  std::size_t number = 0;           // in the order of the search; 0 = the config as it was given
  std::vector<std::string> values;  // by dimension; "": a key that this trial's policy does not have
  Config config;
  SimResult result;
  bool on_front = false;
};

struct Tuning {
  std::vector<Trial> trials;  // those that were simulated to the end, by number
  std::size_t planned = 0;    // how many there were to be
  std::size_t best = 0;       // index of trials

  const Trial& winner() const { return trials[best]; }
};

// What a trial is judged by.
double hit_ratio(const SimResult& result);
double bytes_written(const Trial& trial);

// Simulates the config as it is, then every candidate, on `jobs` threads (0: all). Ends early on Ctrl-C with
// the trials that are complete: none of them may be. `tick` hears how many are done.
Result<Tuning> run_trials(const TraceSet& traces, const Config& config,
                          const std::vector<Dimension>& dimensions, const Search& search, std::size_t jobs,
                          const std::function<void(std::size_t done)>& tick, std::string* why);

// Marks the front and finds the best: by the objective, of equals the one that costs less (bytes written,
// p99, capacity, in this order), of equals the first. It is on the front. Precondition: there is a trial.
void judge(Tuning& tuning, const std::vector<Dimension>& dimensions, Objective objective);

}  // namespace kelvin::cli
