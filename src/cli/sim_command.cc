// kelvin sim. See commands.h.
#include <fmt/format.h>

#include <cstdio>

#include "cli/belady.h"
#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report_plots.h"
#include "cli/sim.h"
#include "cli/sim_report.h"
#include "cli/sweep.h"

namespace kelvin::cli {
namespace {

std::vector<SimBound> bounds_of(const TraceSet& traces, const Config& config) {
  std::vector<SimBound> bounds;
  std::string names;
  std::uint64_t slots = 0;
  for (const TierConfig& tier : config.tiers) {
    names += (names.empty() ? "" : "+") + tier.name;
    slots += tier.capacity_bytes / config.space.block_bytes;
    bounds.push_back({names, slots, belady_hits(traces, slots)});
  }
  return bounds;
}

Result<SimReport> run(const TraceSet& traces, const Config& config, const SimOptions& options,
                      std::string* why) {
  SimReport report;
  report.speeds = speeds_of(config);
  report.block_bytes = config.space.block_bytes;
  auto own = simulate(traces, config, options, why);
  if (!own.ok()) return own.status();
  report.own = std::move(*own);
  const auto without = without_prefetch(config);
  if (config.tiers.size() > 1 && (without || options.look_ahead_ns != 0)) {
    auto unaided = simulate(traces, without.value_or(config), {}, why);
    if (!unaided.ok()) return unaided.status();
    report.unaided_wait_ns = unaided->load_wait_ns;
  }
  Config baseline = config;
  baseline.policy = {};
  baseline.policy.name = "lru";
  auto lru = config.policy.name == "lru" && options.look_ahead_ns == 0 ? Result<SimResult>(report.own)
                                                                       : simulate(traces, baseline, {}, why);
  if (!lru.ok()) return lru.status();
  report.lru = std::move(*lru);
  report.min = bounds_of(traces, config);
  return report;
}

Status write_report(const TraceSet& traces, const Config& config, const SimReport& report,
                    const SimArguments& arguments, std::string* why) {
  Progress progress(stderr);
  const auto swept = sweep(
      traces, config, 0,
      [&](std::size_t done, std::size_t planned) {
        if (progress.due()) progress.show(done, planned, "simulations for the report");
      },
      why);
  if (!swept.ok()) return swept.status();
  ReportPage page = report_of_sim(report, config, *swept);
  page.traces = arguments.traces;
  page.config_name = arguments.config;
  if (write_text(arguments.report, report_page(page))) return {};
  *why = arguments.report + ": cannot be written";
  return {Code::kIo, "writing a report"};
}

}  // namespace

int sim_command(const SimArguments& arguments) {
  std::string why;
  auto config = load_config(arguments.config, &why);
  if (!config.ok()) return complain(why);
  if (!arguments.policy.empty()) {
    config->policy = {};
    config->policy.name = arguments.policy;
  }
  if (Status status = validate(*config, &why); !status.ok()) return complain(why);
  TraceSetOptions options;
  options.limit = arguments.limit;
  options.layout = make_layout(config->space.model, config->space.block_bytes, config->space.block_tokens);
  const auto traces = load_traces(arguments.traces, options, &why);
  if (!traces.ok()) return complain(why);

  catch_interrupts();
  SimOptions how;
  how.save_learned = arguments.save_learned;
  how.look_ahead_ns = static_cast<std::uint64_t>(arguments.look_ahead * 1e9);
  const auto report = run(*traces, *config, how, &why);
  if (!report.ok()) return complain(why);
  if (arguments.json != "-") fmt::print("{}", sim_table(*report));
  std::fflush(stdout);
  if (!arguments.json.empty() && !write_text(arguments.json, sim_json(*report, *config))) {
    return complain(arguments.json + ": cannot be written");
  }
  if (arguments.report.empty()) return kExitOk;
  if (!write_report(*traces, *config, *report, arguments, &why).ok()) return complain(why);
  return kExitOk;
}

}  // namespace kelvin::cli
