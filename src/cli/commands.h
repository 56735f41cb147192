// The kelvin command: its arguments, and one function for each thing it does.
//
// Exit codes: 0 it worked; 1 wrong input, or it failed, or a verification failed; 2 wrong usage.
//
// Thread contract: one thread, once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/trace_gen.h"
#include "cli/tune.h"

namespace kelvin::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

struct ReplayArguments {
  std::vector<std::string> traces;
  std::string config;
  std::string block_bytes;  // "": as in the config
  std::uint64_t skip = 0;
  std::uint64_t limit = 0;
  std::string json;  // "": none; "-": standard output, instead of the table
  bool no_verify = false;
};

struct SimArguments {
  std::vector<std::string> traces;
  std::string config;
  std::string policy;     // "": as in the config
  double look_ahead = 0;  // seconds
  std::string save_learned;
  std::uint64_t limit = 0;  // of each trace
  std::string json;         // "": none; "-": standard output, instead of the table
  std::string report;       // "": none; an HTML page
};

struct TuneArguments {
  std::vector<std::string> traces;
  std::string config;
  std::vector<std::string> vary;  // see tune_vary.h
  Objective objective = Objective::kHits;
  SearchOptions search;
  std::uint64_t jobs = 0;   // 0: as many as the machine runs at once
  std::uint64_t limit = 0;  // of each trace
  std::string out;          // "": none; the best config
  std::string report;       // "": none; an HTML page
  std::string json;         // "": none; "-": standard output, instead of the table
};

struct BenchArguments {
  std::string config;
  bool links = false;
  bool write = false;  // a copy of the config with what was measured
  std::string out;     // where; "": beside the config
  std::string json;    // "": none; "-": standard output, instead of the table
};

struct TopoArguments {
  std::string json;    // "": none; "-": standard output, instead of the tree
  std::string config;  // likewise; a config for this machine
  bool measure = false;
};

struct UpkeepArguments {
  std::string path;
  bool yes = false;      // format
  bool dry_run = false;  // fsck: repair nothing
  std::string budget;    // scrub: bytes a second
  std::string json;      // "": none; "-": standard output, instead of the table
};

struct GenArguments {
  TraceKind kind = TraceKind::kChat;
  std::uint64_t requests = 0;
  std::uint64_t seed = 0;
  std::string out = "-";
};

// Each returns an exit code and has said on standard error what is wrong.
int replay_command(const ReplayArguments& arguments);
int sim_command(const SimArguments& arguments);
int tune_command(const TuneArguments& arguments);
int bench_command(const BenchArguments& arguments);
int topo_command(const TopoArguments& arguments);
int nvme_format_command(const UpkeepArguments& arguments);
int nvme_info_command(const UpkeepArguments& arguments);
int nvme_fsck_command(const UpkeepArguments& arguments);
int nvme_scrub_command(const UpkeepArguments& arguments);
int trace_gen_command(const GenArguments& arguments);
int trace_info_command(const std::string& trace);
int config_check_command(const std::string& path);

// Parses and does it all.
int run_command_line(int argc, const char* const* argv);

}  // namespace kelvin::cli
