// See tune_report.h.
#include "cli/tune_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "cli/sim_report.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

// The last part of a key says enough where it is the only one of that name.
std::string heading(const TuneReport& report, const std::string& key) {
  if (key == "policy.name") return "policy";
  const auto last = [](const std::string& text) { return text.substr(text.rfind('.') + 1); };
  const auto same = [&](const Dimension& other) { return last(other.key) == last(key); };
  return std::ranges::count_if(report.dimensions, same) == 1 ? last(key) : key;
}

std::size_t width_of(const TuneReport& report, std::size_t d) {
  std::size_t width = heading(report, report.dimensions[d].key).size();
  for (const Trial& trial : report.tuning.trials) width = std::max(width, trial.values[d].size());
  return width;
}

void head(const TuneReport& report, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<8}", "");
  for (std::size_t d = 0; d < report.dimensions.size(); ++d) {
    fmt::format_to(to, "{:<{}}  ", heading(report, report.dimensions[d].key), width_of(report, d));
  }
  fmt::format_to(to, "{:>8}{:>14}{:>12}{:>14}{:>11}\n", "hit %", "GPU saved s", "written GB", "TTFT p50 ms",
                 "p99 ms");
}

void row(const TuneReport& report, const Trial& trial, std::string_view name, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<8}", name);
  for (std::size_t d = 0; d < report.dimensions.size(); ++d) {
    const std::string& value = trial.values[d];
    fmt::format_to(to, "{:<{}}  ", value.empty() ? "-" : value, width_of(report, d));
  }
  fmt::format_to(to, "{:>8.2f}{:>14.1f}{:>12.2f}{:>14.0f}{:>11.0f}\n", 100 * hit_ratio(trial.result),
                 trial.result.saved_seconds, bytes_written(trial) / 1e9,
                 milliseconds(trial.result.ttft_ns.percentile(50)),
                 milliseconds(trial.result.ttft_ns.percentile(99)));
}

Json json_of(const TuneReport& report, const Trial& trial) {
  Json values = Json::object();
  for (std::size_t d = 0; d < report.dimensions.size(); ++d) {
    if (!trial.values[d].empty()) values[report.dimensions[d].key] = trial.values[d];
  }
  return {{"number", trial.number},
          {"values", values},
          {"policy", trial.result.policy},
          {"hit_ratio", hit_ratio(trial.result)},
          {"blocks_hit", trial.result.hit},
          {"gpu_seconds_saved", trial.result.saved_seconds},
          {"bytes_written_behind", bytes_written(trial)},
          {"write_amplification", write_amplification(trial.result)},
          {"ttft_ms",
           {{"p50", milliseconds(trial.result.ttft_ns.percentile(50))},
            {"p99", milliseconds(trial.result.ttft_ns.percentile(99))}}},
          {"load_wait_seconds", static_cast<double>(trial.result.load_wait_ns) / 1e9},
          {"on_front", trial.on_front}};
}

// A comment ends with its line.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string objective_words(Objective objective) {
  switch (objective) {
    case Objective::kHits: return "most blocks hit";
    case Objective::kSeconds: return "most GPU time saved";
    case Objective::kTtft: return "least time to first token, p99";
  }
  return {};
}

}  // namespace

std::string objective_name(Objective objective) {
  switch (objective) {
    case Objective::kHits: return "hits";
    case Objective::kSeconds: return "seconds";
    case Objective::kTtft: return "ttft";
  }
  return {};
}

std::vector<const Trial*> front_of(const TuneReport& report) {
  std::vector<const Trial*> front;
  for (const Trial& trial : report.tuning.trials) {
    if (trial.on_front) front.push_back(&trial);
  }
  std::ranges::stable_sort(front, {}, [&](const Trial* trial) {
    const double gained =
        report.objective == Objective::kSeconds ? trial->result.saved_seconds : hit_ratio(trial->result);
    return std::tuple(-gained, bytes_written(*trial), trial->number);
  });
  return front;
}

std::vector<std::string> idle_keys(const TuneReport& report) {
  const auto figures = [](const Trial& trial) {
    const SimResult& result = trial.result;
    return std::tuple(result.hit, result.hits_by_tier, result.written_behind, result.load_wait_ns);
  };
  std::vector<std::string> idle;
  for (std::size_t d = 0; d < report.dimensions.size(); ++d) {
    // Two trials that differ in this key alone must give the same figures, and there must be such a pair.
    bool pair = false;
    bool moved = false;
    for (const Trial& a : report.tuning.trials) {
      for (const Trial& b : report.tuning.trials) {
        std::vector<std::string> values = a.values;
        if (values[d] == b.values[d]) continue;
        values[d] = b.values[d];
        if (values != b.values) continue;
        pair = true;
        moved = moved || figures(a) != figures(b);
      }
    }
    if (pair && !moved) idle.push_back(report.dimensions[d].key);
  }
  return idle;
}

std::string tune_table(const TuneReport& report) {
  const Tuning& tuning = report.tuning;
  const std::vector<const Trial*> front = front_of(report);
  std::string out;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{} settings simulated", tuning.trials.size());
  if (tuning.trials.size() < tuning.planned) fmt::format_to(to, " of {} (interrupted)", tuning.planned);
  fmt::format_to(to, "; {} on the Pareto front, best first ({}):\n\n", front.size(),
                 objective_words(report.objective));
  head(report, out);
  row(report, tuning.winner(), "best", out);
  for (const Trial* trial : front) {
    if (trial != &tuning.winner()) row(report, *trial, trial->number == 0 ? "given" : "", out);
  }
  const Trial& given = tuning.trials.front();
  if (given.number == 0 && !given.on_front) row(report, given, "given", out);
  if (tuning.winner().number == 0) out += "\nNothing tried is better than the config as it was given.\n";
  for (const std::string& key : idle_keys(report)) fmt::format_to(to, "\n{} made no difference.\n", key);
  return out;
}

std::string tune_json(const TuneReport& report) {
  Json trials = Json::array();
  for (const Trial& trial : report.tuning.trials) trials.push_back(json_of(report, trial));
  Json vary = Json::object();
  for (const Dimension& dimension : report.dimensions) vary[dimension.key] = dimension.values;
  Json json = {{"traces", report.traces},
               {"config", report.config_name},
               {"objective", objective_name(report.objective)},
               {"vary", vary},
               {"grid", report.grid},
               {"random", report.random},
               {"seed", report.options.seed},
               {"budget", report.options.budget},
               {"planned", report.tuning.planned},
               {"best", report.tuning.winner().number},
               {"trials", trials},
               {"best_config", to_toml(report.tuning.winner().config)}};
  return json.dump(2) + "\n";
}

std::string tuned_toml(const TuneReport& report) {
  const Trial& best = report.tuning.winner();
  const std::string from =
      fmt::format("The best of {} settings of {} by kelvin tune: {}.", report.tuning.trials.size(),
                  report.config_name, objective_words(report.objective));
  const std::string figures = fmt::format(
      "Simulated on {}: {:.2f} % of the blocks hit, {:.2f} GB written behind, TTFT p99 {:.0f} ms.",
      fmt::join(report.traces, ", "), 100 * hit_ratio(best.result), bytes_written(best) / 1e9,
      milliseconds(best.result.ttft_ns.percentile(99)));
  return "# " + one_line(from) + "\n# " + one_line(figures) + "\n" + to_toml(best.config);
}

}  // namespace kelvin::cli
