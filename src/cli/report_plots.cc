// See report_plots.h.
#include "cli/report_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/ratio.h"

namespace kelvin::cli {
namespace {

double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string percent(double value) { return fmt::format("{:.2f} %", 100 * value); }

// Each with the same figure of the first of the others, if there is one.
std::vector<Headline> headlines(const NamedResult& own, const std::vector<NamedResult>& others,
                                std::uint64_t block_bytes, double bound) {
  std::vector<Headline> lines;
  const auto add = [&](const char* name, const auto& figure) {
    Headline line{name, figure(*own.result), {}};
    if (!others.empty()) line.beside = fmt::format("{}: {}", others[0].name, figure(*others[0].result));
    lines.push_back(std::move(line));
  };
  const auto time = [](double value) { return unit_text(Unit::kSeconds, value); };
  add("Blocks hit", [](const SimResult& result) { return percent(hit_ratio(result)); });
  lines[0].beside += fmt::format("{}MIN: {}", others.empty() ? "" : ", ", percent(bound));
  add("GPU time saved", [&](const SimResult& result) { return time(result.saved_seconds); });
  add("Waited for loads, in all",
      [&](const SimResult& result) { return time(seconds(result.load_wait_ns)); });
  add("Time to first token, p99",
      [&](const SimResult& result) { return time(seconds(result.ttft_ns.percentile(99))); });
  add("Written behind", [&](const SimResult& result) {
    return unit_text(Unit::kBytes,
                     static_cast<double>(result.written_behind) * static_cast<double>(block_bytes));
  });
  return lines;
}

const SweepCurve* curve_of(const std::vector<SweepCurve>& curves, std::string_view policy) {
  const auto found = std::ranges::find(curves, policy, &SweepCurve::policy);
  return found == curves.end() ? nullptr : &*found;
}

double bound_of(const std::vector<SweepCurve>& curves) {
  const SweepPoint& point = curves.front().as_configured();
  return share(point.bound_hit, point.result.referenced);
}

PageTable policy_table(const std::vector<SweepCurve>& curves, std::uint64_t block_bytes) {
  PageTable table{
      "Policies at the size of the config",
      "The marked one has the config's settings, the others their defaults.",
      {"Policy", "Hit ratio", "GPU time saved", "Waited for loads", "TTFT p50", "TTFT p99", "Written behind"},
      {}};
  for (const SweepCurve& curve : curves) {
    const SimResult& result = curve.as_configured().result;
    const double written = static_cast<double>(result.written_behind) * static_cast<double>(block_bytes);
    const auto time = [](double value) { return Cell{unit_text(Unit::kSeconds, value), value}; };
    table.rows.push_back({{{curve.policy},
                           {percent(hit_ratio(result)), hit_ratio(result)},
                           time(result.saved_seconds),
                           time(seconds(result.load_wait_ns)),
                           time(seconds(result.ttft_ns.percentile(50))),
                           time(seconds(result.ttft_ns.percentile(99))),
                           {unit_text(Unit::kBytes, written), written}},
                          curve.own});
  }
  return table;
}

// What requests waited for loads; beside it, where that is known, what they did not wait for.
void add_waits(const SimResult& own, std::vector<NamedResult> waits, const Sweep& sweep, ReportPage& page) {
  if (sweep.unaided) waits.push_back({"without prefetching", &*sweep.unaided});
  page.plots.push_back(wait_plot(waits));
  if (!sweep.unaided) return;
  page.plots.push_back(hidden_plot(own, *sweep.unaided));
  const std::uint64_t without_ns = sweep.unaided->load_wait_ns;
  page.headlines.push_back(
      {"Load time hidden", percent(hidden_share(own.load_wait_ns, without_ns)),
       fmt::format("without prefetching: {}", unit_text(Unit::kSeconds, seconds(without_ns)))});
}

std::string settings_note(const TuneReport& report, const Trial& trial) {
  std::string note;
  for (std::size_t d = 0; d < report.dimensions.size(); ++d) {
    if (trial.values[d].empty()) continue;
    note += fmt::format("{}{} = {}", note.empty() ? "" : "\n", report.dimensions[d].key, trial.values[d]);
  }
  return note;
}

PageTable trial_table(const TuneReport& report) {
  PageTable table;
  table.title = "Every setting tried";
  table.caption = fmt::format(
      "{} of {} planned. Marked: the Pareto front, where nothing is gained without a cost elsewhere. Click a "
      "heading to sort.",
      report.tuning.trials.size(), report.tuning.planned);
  table.head = {"", "Front"};
  for (const Dimension& dimension : report.dimensions) table.head.push_back(dimension.key);
  for (const char* name : {"Hit ratio", "GPU time saved", "Written behind", "TTFT p50", "TTFT p99"}) {
    table.head.emplace_back(name);
  }
  for (const Trial& trial : report.tuning.trials) {
    const SimResult& result = trial.result;
    const bool best = &trial == &report.tuning.winner();
    const std::string name = trial.number == 0 ? "as given" : fmt::format("{}", trial.number);
    PageTable::Row row{{{name, static_cast<double>(trial.number)},
                        {best             ? "best"
                         : trial.on_front ? "front"
                                          : ""}},
                       trial.on_front};
    for (const std::string& value : trial.values) row.cells.push_back({value.empty() ? "-" : value});
    row.cells.push_back({percent(hit_ratio(result)), hit_ratio(result)});
    row.cells.push_back({unit_text(Unit::kSeconds, result.saved_seconds), result.saved_seconds});
    row.cells.push_back({unit_text(Unit::kBytes, bytes_written(trial)), bytes_written(trial)});
    for (const double part : {50.0, 99.0}) {
      const double wait = seconds(result.ttft_ns.percentile(part));
      row.cells.push_back({unit_text(Unit::kSeconds, wait), wait});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

Plot capacity_plot(const std::vector<SweepCurve>& curves) {
  Plot plot;
  plot.id = "capacity";
  plot.title = "Hit ratio against capacity";
  plot.caption =
      "All tiers of the config made smaller and larger alike. MIN knows the future: no policy hits more in "
      "one "
      "memory of that size.";
  plot.x = {"Capacity of all tiers", Unit::kBytes, true};
  plot.y = {"Blocks hit", Unit::kShare, false};
  for (const SweepCurve& curve : curves) {
    Series line{curve.own ? curve.policy + " (this config)" : curve.policy, {}, {}, {}, curve.own};
    for (const SweepPoint& point : curve.points) {
      line.x.push_back(static_cast<double>(point.capacity));
      line.y.push_back(hit_ratio(point.result));
    }
    plot.series.push_back(std::move(line));
  }
  Series bound{"MIN", {}, {}, {}, false, true};
  for (const SweepPoint& point : curves.front().points) {
    bound.x.push_back(static_cast<double>(point.capacity));
    bound.y.push_back(share(point.bound_hit, point.result.referenced));
  }
  plot.series.push_back(std::move(bound));
  return plot;
}

Plot hits_plot(const SimResult& result, const Config& config) {
  Plot plot;
  plot.id = "tiers";
  plot.title = "Hits by tier over time";
  plot.caption =
      fmt::format("Under policy {}: where the blocks that were asked for were found.", result.policy);
  plot.kind = PlotKind::kStacked;
  plot.x = {"Time of the trace", Unit::kSeconds, false};
  plot.y = {"Blocks found", Unit::kShare, false};
  for (std::size_t t = 0; t < config.tiers.size(); ++t) {
    Series area{config.tiers[t].name, {}, {}, {}};
    for (const SimSample& sample : result.samples) {
      area.x.push_back(seconds(sample.until_ns));
      area.y.push_back(share(sample.hits_by_tier[t], sample.referenced));
    }
    plot.series.push_back(std::move(area));
  }
  return plot;
}

Plot wait_plot(const std::vector<NamedResult>& results) {
  Plot plot;
  plot.id = "waits";
  plot.title = "Waiting for loads over time";
  plot.caption =
      "What a request waits until its known blocks are in the first tier, on average in each stretch.";
  plot.x = {"Time of the trace", Unit::kSeconds, false};
  plot.y = {"Wait of a request", Unit::kSeconds, false};
  for (const NamedResult& named : results) {
    Series line{named.name, {}, {}, {}, named.strong};
    for (const SimSample& sample : named.result->samples) {
      if (sample.served == 0) continue;
      line.x.push_back(seconds(sample.until_ns));
      line.y.push_back(seconds(sample.load_wait_ns) / static_cast<double>(sample.served));
    }
    plot.series.push_back(std::move(line));
  }
  return plot;
}

Plot hidden_plot(const SimResult& with, const SimResult& without) {
  Plot plot;
  plot.id = "hidden";
  plot.title = "Load time hidden by prefetching";
  plot.caption = "How much less requests waited for loads than without prefetching, in each stretch.";
  plot.x = {"Time of the trace", Unit::kSeconds, false};
  plot.y = {"Load time hidden", Unit::kShare, false};
  Series line{with.policy, {}, {}, {}, true};
  for (std::size_t i = 0; i < std::min(with.samples.size(), without.samples.size()); ++i) {
    if (without.samples[i].load_wait_ns == 0) continue;
    line.x.push_back(seconds(with.samples[i].until_ns));
    line.y.push_back(hidden_share(with.samples[i].load_wait_ns, without.samples[i].load_wait_ns));
  }
  plot.series = {std::move(line)};
  return plot;
}

Plot tried_plot(const TuneReport& report) {
  Plot plot;
  plot.id = "tried";
  plot.title = "Settings tried";
  plot.caption = "Each point is one simulation. Better is higher, and further to the left.";
  plot.kind = PlotKind::kPoints;
  plot.x = {"Written behind", Unit::kBytes, false};
  plot.y = {"Blocks hit", Unit::kShare, false};
  Series other{"others", {}, {}, {}};
  Series front{"Pareto front", {}, {}, {}};
  Series given{"as given", {}, {}, {}};
  Series best{report.tuning.winner().number == 0 ? "best (as given)" : "best", {}, {}, {}, true};
  for (const Trial& trial : report.tuning.trials) {
    Series& series = &trial == &report.tuning.winner() ? best
                     : trial.number == 0               ? given
                     : trial.on_front                  ? front
                                                       : other;
    series.x.push_back(bytes_written(trial));
    series.y.push_back(hit_ratio(trial.result));
    series.notes.push_back(settings_note(report, trial));
  }
  for (Series* series : {&other, &front, &given, &best}) {  // the last lies on top
    if (!series->x.empty()) plot.series.push_back(std::move(*series));
  }
  return plot;
}

ReportPage report_of_sim(const SimReport& report, const Config& config, const Sweep& sweep) {
  ReportPage page;
  page.title = fmt::format("Simulation of policy {}", report.own.policy);
  page.config_text = to_toml(config);
  const NamedResult own{report.own.policy, &report.own, true};
  std::vector<NamedResult> others;
  if (report.own.policy != "lru") others.push_back({"lru", &report.lru});
  page.headlines = headlines(own, others, report.block_bytes, bound_of(sweep.curves));
  std::vector<NamedResult> waits = {own};
  waits.insert(waits.end(), others.begin(), others.end());
  page.plots = {capacity_plot(sweep.curves), hits_plot(report.own, config)};
  add_waits(report.own, std::move(waits), sweep, page);
  page.tables = {policy_table(sweep.curves, report.block_bytes)};
  return page;
}

ReportPage report_of_tuning(const TuneReport& report, const Sweep& sweep) {
  const Trial& best = report.tuning.winner();
  const Trial& given = report.tuning.trials.front();
  const std::uint64_t block_bytes = best.config.space.block_bytes;
  ReportPage page;
  page.title = fmt::format("Tuning: the best of {} settings", report.tuning.trials.size());
  page.traces = report.traces;
  page.config_name = report.config_name;
  page.config_text = tuned_toml(report);
  std::vector<NamedResult> others;
  if (&given != &best) others.push_back({"as given", &given.result});
  const SweepCurve* lru = curve_of(sweep.curves, "lru");
  if (lru != nullptr && !lru->own) others.push_back({"lru", &lru->as_configured().result});
  page.headlines = headlines({"best", &best.result, true}, others, block_bytes, bound_of(sweep.curves));
  std::vector<NamedResult> waits = {{"best", &best.result, true}};
  waits.insert(waits.end(), others.begin(), others.end());
  page.plots = {tried_plot(report), capacity_plot(sweep.curves), hits_plot(best.result, best.config)};
  add_waits(best.result, std::move(waits), sweep, page);
  page.tables = {trial_table(report), policy_table(sweep.curves, block_bytes)};
  return page;
}

}  // namespace kelvin::cli
