// See report.h.
#include "bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "bench/machine.h"

namespace kelvin::bench {
namespace {

// Medians are taken over so many repetitions; --benchmark_repetitions changes it.
constexpr const char* kDefaults[] = {"--benchmark_repetitions=7", "--benchmark_min_time=0.2",
                                     "--benchmark_enable_random_interleaving=true"};

// Prints as usual, and keeps every counter of every repetition.
class Collector final : public benchmark::ConsoleReporter {
 public:
  Collector() : ConsoleReporter(OO_Tabular) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) failed_ = true;
      if (run.error_occurred || run.run_type != Run::RT_Iteration) continue;
      for (const auto& [name, counter] : run.counters) {
        samples_[run.run_name.function_name][name].push_back(counter.value);
      }
    }
    // The single runs are for the table and the JSON; people read the medians.
    std::vector<Run> shown;
    std::copy_if(runs.begin(), runs.end(), std::back_inserter(shown), [&](const Run& run) {
      return run.error_occurred || run.repetitions <= 1 || run.aggregate_name == "median" ||
             run.aggregate_name == "cv";
    });
    ConsoleReporter::ReportRuns(shown);
  }

  std::optional<double> median(const std::string& benchmark, const std::string& counter) {
    std::vector<double>& values = samples_[benchmark][counter];
    if (values.empty()) return std::nullopt;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
  }
  bool failed() const noexcept { return failed_; }

 private:
  std::map<std::string, std::map<std::string, std::vector<double>>> samples_;
  bool failed_ = false;
};

double shown(const Comparison& c, double value) { return c.inverse ? c.scale / value : value * c.scale; }

std::optional<double> peer_of(Collector& collector, const Comparison& c) {
  if (c.peer.empty()) return std::nullopt;
  const auto peer = collector.median(c.peer, c.counter);
  const auto other = c.or_peer.empty() ? std::nullopt : collector.median(c.or_peer, c.counter);
  return other.value_or(HUGE_VAL) < peer.value_or(-HUGE_VAL) ? other : peer;
}

void print_row(const Comparison& c, double ours, std::optional<double> peer) {
  // In what is shown, more is better unless `inverse` made a cost of a rate: the ratio is one of rates.
  const double measured = peer ? ours / *peer : shown(c, ours);
  char goal[48] = "";
  if (c.goal != 0) {
    const bool met = c.at_most ? measured <= c.goal : measured >= c.goal;
    std::snprintf(goal, sizeof goal, "(goal %s %.4g) %s", c.at_most ? "<=" : ">=", c.goal,
                  met ? "met" : "MISSED");
  }
  if (peer) {
    std::printf("%-44s %9.2f / %9.2f %-9s = %5.2f  %s\n", c.what.c_str(), shown(c, ours), shown(c, *peer),
                c.unit.c_str(), measured, goal);
  } else {
    std::printf("%-44s %9.2f             %-9s           %s\n", c.what.c_str(), shown(c, ours), c.unit.c_str(),
                goal);
  }
}

}  // namespace

Run::Run(int argc, char** argv) {
  std::vector<char*> arguments{argv[0]};
  // Ours go first, so that what is given replaces them.
  for (const char* flag : kDefaults) arguments.push_back(const_cast<char*>(flag));
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    if (argument.starts_with("--dir=")) {
      dir_ = argument.substr(6);
    } else if (argument == "--small") {
      small_ = true;
    } else {
      arguments.push_back(argv[i]);
    }
  }
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  describe_machine();
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    std::fputs("Besides Google Benchmark's flags: --dir=FOLDER for scratch files, --small\n", stderr);
    std::exit(2);  // NOLINT(concurrency-mt-unsafe): before there is a second thread
  }
}

void Run::compare_speed(std::string what, std::string ours, std::string peer, double goal) {
  compare({.what = std::move(what),
           .ours = std::move(ours),
           .peer = std::move(peer),
           .counter = "bytes_per_second",
           .goal = goal,
           .scale = 1e-9,
           .unit = "GB/s"});
}

void Run::skip(const std::string& what) {
  std::fprintf(stderr, "SKIPPED: %s\n", what.c_str());
  skipped_.push_back(what);
}

int Run::finish() {
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  std::printf("\n%-44s %9s / %9s\n", "medians", "ours", "peer");
  for (const Comparison& c : comparisons_) {
    const auto ours = collector.median(c.ours, c.counter);
    const auto peer = peer_of(collector, c);
    if (ours && (peer || c.peer.empty())) print_row(c, *ours, peer);
  }
  for (const std::string& what : skipped_) std::printf("SKIPPED: %s\n", what.c_str());
  std::printf("load after: %s%s\n", load_average().c_str(),
              small_ ? "   (--small: these figures mean nothing)" : "");
  benchmark::Shutdown();
  return collector.failed() ? 1 : 0;
}

void require(const Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(std::string(what) + ": " + status.message());
}

int guarded(int (*run_all)(int argc, char** argv), int argc, char** argv) {
  try {
    return run_all(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
}

}  // namespace kelvin::bench
