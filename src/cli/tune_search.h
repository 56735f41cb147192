// Which settings `kelvin tune` tries, in which order: all of a grid, or some drawn at random.
//
// Thread contract: a pure function. The same config, dimensions and options give the same candidates in the
// same order, on every platform but for the last digit of a range by factors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/tune_vary.h"
#include "kelvin/config.h"

namespace kelvin::cli {

// One setting of everything that is varied.
struct Candidate {
  std::vector<std::string> values;  // by dimension; "": a key that this candidate's policy does not have
  Config config;
};

struct SearchOptions {
  std::uint64_t budget = 64;  // candidates at most
  bool random = false;        // even where the whole grid is within the budget
  std::uint64_t seed = 1;
};

struct Search {
  std::vector<Candidate> candidates;  // all different; the last dimension changes fastest on a grid
  double grid = 0;                    // settings that the whole grid has
  bool random = false;
};

// On failure `why` (never null) says which candidate is no good config, and why.
Result<Search> plan_search(const Config& config, const std::vector<Dimension>& dimensions,
                           const SearchOptions& options, std::string* why);

}  // namespace kelvin::cli
