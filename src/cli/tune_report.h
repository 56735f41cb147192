// What tuning says at its end: a table for a person, JSON for a program, a config file for the space.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "cli/tune.h"

namespace kelvin::cli {

struct TuneReport {
  std::vector<std::string> traces;
  std::string config_name;
  std::vector<Dimension> dimensions;
  SearchOptions options;
  Objective objective = Objective::kHits;
  bool random = false;
  double grid = 0;
  Tuning tuning;  // judged
};

// "hits", "seconds" or "ttft": as on the command line.
std::string objective_name(Objective objective);

// The front, best first, and the config as it was given beside it.
std::string tune_table(const TuneReport& report);

// Every trial.
std::string tune_json(const TuneReport& report);

// The best setting as TOML, headed by where it comes from.
std::string tuned_toml(const TuneReport& report);

// Varied keys whose every value gave the same figures: they do nothing in these simulations.
std::vector<std::string> idle_keys(const TuneReport& report);

// Trials on the front, those with the greater gain first; the best is always one of them.
std::vector<const Trial*> front_of(const TuneReport& report);

}  // namespace kelvin::cli
