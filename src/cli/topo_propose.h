// From a machine to a config: which tiers it can have, how large, and why.
//
// Thread contract: one thread; propose() looks at drives and file systems, and opens a GPU if there is one,
// but changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/topo.h"
#include "kelvin/config.h"

namespace kelvin::cli {

struct Proposal {
  Config config;
  std::vector<std::string> reasons;   // for each tier, as its comment
  std::vector<std::string> left_out;  // what could be a tier and is none, and why; may have several lines
};

Proposal propose(const Machine& machine);

// Each line of a text behind `prefix`, with its end.
std::string with_prefix(const std::string& text, std::string_view prefix);

// The config with its reasons as comments; parse_config reads it back. `measured`: link speeds are in it,
// which is said.
std::string proposal_toml(const Proposal& proposal, bool measured);

}  // namespace kelvin::cli
