// What a replay says at its end: a table for a person, JSON for a program.
//
// JSON keys, fixed (docs/formats.md): requests, blocks.{referenced,hit,published}, hit_ratio,
// hits_by_tier{tier}, bytes_moved{"from>to"}, tenants{name}.{referenced,hit}, verify.{checked,corrupt},
// latency_us.{match,acquire,publish}.{p50,p99,max}, load_failures, seconds, config (TOML).
//
// Thread contract: pure functions.
#pragma once

#include <string>

#include "cli/replay.h"
#include "kelvin/config.h"

namespace kelvin::cli {

std::string report_table(const ReplayResult& result, bool verified);
std::string report_json(const ReplayResult& result, const Config& config);

}  // namespace kelvin::cli
