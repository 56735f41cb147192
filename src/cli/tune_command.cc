// kelvin tune. See commands.h.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report_plots.h"
#include "cli/tune_report.h"

namespace kelvin::cli {
namespace {

// The traces, the config and what is to be tried, before anything is simulated.
struct Task {
  Config config;
  TraceSet traces;
  Search search;
};

Result<Task> prepare(const TuneArguments& arguments, TuneReport& report, std::string* why) {
  auto config = load_config(arguments.config, why);
  if (!config.ok()) return config.status();
  Task task{std::move(*config), {}, {}};
  auto dimensions = read_dimensions(task.config, arguments.vary, why);
  if (!dimensions.ok()) return dimensions.status();
  report.dimensions = std::move(*dimensions);
  auto search = plan_search(task.config, report.dimensions, arguments.search, why);
  if (!search.ok()) return search.status();
  task.search = std::move(*search);
  TraceSetOptions options;
  options.limit = arguments.limit;
  const SpaceConfig& space = task.config.space;
  options.layout = make_layout(space.model, space.block_bytes, space.block_tokens);
  auto traces = load_traces(arguments.traces, options, why);
  if (!traces.ok()) return traces.status();
  task.traces = std::move(*traces);
  return task;
}

Status simulate_all(const TuneArguments& arguments, const Task& task, TuneReport& report, std::string* why) {
  if (task.search.random && !arguments.search.random) {
    fmt::print(
        stderr,
        "kelvin: the grid has {:.0f} settings, more than --budget {}: {} are drawn at random, seed {}\n",
        task.search.grid, arguments.search.budget, task.search.candidates.size(), arguments.search.seed);
  }
  Progress progress(stderr);
  auto tuning = run_trials(
      task.traces, task.config, report.dimensions, task.search, arguments.jobs,
      [&](std::size_t done) {
        if (progress.due()) progress.show(done, task.search.candidates.size() + 1, "settings");
      },
      why);
  if (!tuning.ok()) return tuning.status();
  report.tuning = std::move(*tuning);
  if (report.tuning.trials.empty()) {
    *why = "interrupted before the first simulation was complete; --limit shortens them";
    return {Code::kCanceled, "tuning"};
  }
  judge(report.tuning, report.dimensions, report.objective);
  return {};
}

Status write_or_say(const std::string& path, const std::string& text, std::string* why) {
  if (path.empty() || write_text(path, text)) return {};
  *why = path + ": cannot be written";
  return {Code::kIo, "writing a result"};
}

Status write_page(const TuneArguments& arguments, const Task& task, const TuneReport& report,
                  std::string* why) {
  if (arguments.report.empty()) return {};
  Progress progress(stderr);
  const auto swept = sweep(
      task.traces, report.tuning.winner().config, arguments.jobs,
      [&](std::size_t done, std::size_t planned) {
        if (progress.due()) progress.show(done, planned, "simulations for the report");
      },
      why);
  if (!swept.ok()) return swept.status();
  return write_or_say(arguments.report, report_page(report_of_tuning(report, *swept)), why);
}

}  // namespace

int tune_command(const TuneArguments& arguments) {
  std::string why;
  TuneReport report;
  report.traces = arguments.traces;
  report.config_name = arguments.config;
  report.options = arguments.search;
  report.objective = arguments.objective;
  const auto task = prepare(arguments, report, &why);
  if (!task.ok()) return complain(why);
  report.random = task->search.random;
  report.grid = task->search.grid;

  catch_interrupts();
  if (!simulate_all(arguments, *task, report, &why).ok()) return complain(why);
  if (arguments.json != "-") fmt::print("{}", tune_table(report));
  std::fflush(stdout);
  if (!write_or_say(arguments.json, tune_json(report), &why).ok()) return complain(why);
  if (!write_or_say(arguments.out, tuned_toml(report), &why).ok()) return complain(why);
  if (!arguments.out.empty()) fmt::print(stderr, "kelvin: the best config is in {}\n", arguments.out);
  if (!write_page(arguments, *task, report, &why).ok()) return complain(why);
  return report.tuning.trials.size() == report.tuning.planned ? kExitOk : kExitFailed;
}

}  // namespace kelvin::cli
