// How every benchmark runs and reports: repetitions of all benchmarks in one shuffled order, so that both
// sides of a ratio see the same machine; then a table of medians against goals.
//
//   int main(int argc, char** argv) {
//     Run run(argc, argv);                       // --dir, --small and Google Benchmark's own flags
//     ... benchmark::RegisterBenchmark(...) ...
//     run.compare({.what = "match", .ours = "ours", .peer = "theirs", .counter = "items_per_second", .goal =
//     4}); return run.finish();
//   }
//
// Thread contract: the main thread.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "kelvin/status.h"

namespace kelvin::bench {

// One line of the closing table. The values are medians over the repetitions of one counter.
struct Comparison {
  std::string what;
  std::string ours;          // name of a benchmark
  std::string peer;          // likewise; empty: `ours` alone is held against the goal
  std::string or_peer = {};  // the peer is this one if it has less of the counter
  std::string counter;       // of both: "items_per_second", ...
  double goal = 0;           // of ours / peer, or of ours alone; 0: none, shown for comparison
  bool at_most = false;
  double scale = 1;      // shown: value * scale, in `unit`
  bool inverse = false;  // shown: scale / value (ns from items a second: scale 1e9)
  std::string unit = {};
};

class Run {
 public:
  // Takes our own flags out of the command line, and ends the process for --help or unknown ones.
  Run(int argc, char** argv);

  // For scratch files; exists. From --dir, default the current one.
  const std::string& dir() const noexcept { return dir_; }
  // --small: sizes for a quick check that everything works; the figures then mean nothing.
  bool small() const noexcept { return small_; }

  void compare(Comparison comparison) { comparisons_.push_back(std::move(comparison)); }
  // Of bytes a second, shown in GB/s.
  void compare_speed(std::string what, std::string ours, std::string peer, double goal);
  // Says what is missing, now and again below the table.
  void skip(const std::string& what);

  // Runs everything, prints the table; the process's exit status: 0 unless a benchmark failed. A goal that
  // was missed is a finding, not a failure.
  int finish();

 private:
  std::string dir_ = ".";
  bool small_ = false;
  std::vector<Comparison> comparisons_;
  std::vector<std::string> skipped_;
};

// Registers a benchmark that says itself how long each of its iterations took (SetIterationTime).
template <class Body>
void add_timed(const std::string& name, int iterations, Body body,
               benchmark::TimeUnit unit = benchmark::kMillisecond) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime()->Iterations(iterations)->Unit(unit);
}

// Throws where `status` is not ok: a benchmark whose set-up fails measures nothing.
void require(const Status& status, const char* what);

// Calls `run_all` and turns what it throws into a message and exit status 1; scratch files are removed.
int guarded(int (*run_all)(int argc, char** argv), int argc, char** argv);

}  // namespace kelvin::bench
