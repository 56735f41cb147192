// See sim_report.h.
#include "cli/sim_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ratio.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double references_a_second(const SimResult& result) {
  return result.seconds > 0 ? static_cast<double>(result.referenced) / result.seconds : 0;
}

void row(const SimResult& result, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<12}{:>9.2f}", result.policy, 100 * share(result.hit, result.referenced));
  for (const std::uint64_t hits : result.hits_by_tier) {
    fmt::format_to(to, "{:>12.2f}", 100 * share(hits, result.referenced));
  }
  fmt::format_to(to, "{:>12.0f}{:>12.0f}{:>12.1f}{:>12.1f}{:>10.2f}\n",
                 milliseconds(result.ttft_ns.percentile(50)), milliseconds(result.ttft_ns.percentile(99)),
                 static_cast<double>(result.load_wait_ns) / 1e9, result.saved_seconds,
                 write_amplification(result));
}

void speeds(const SimReport& report, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "\n{:<12}{:>12}{:>14}{:>14}\n", "tier", "load us", "load GB/s", "store GB/s");
  for (std::size_t t = 1; t < report.speeds.size(); ++t) {
    const TierSpeed& speed = report.speeds[t];
    fmt::format_to(to, "{:<12}{:>12.0f}{:>14.2f}{:>14.2f}{}\n", speed.tier,
                   static_cast<double>(speed.latency_ns) / 1e3,
                   static_cast<double>(speed.load_bytes_per_second) / 1e9,
                   static_cast<double>(speed.store_bytes_per_second) / 1e9,
                   speed.assumed ? "   (assumed: give load_bandwidth)" : "");
  }
}

Json json_of(const SimResult& result, const SimReport& report) {
  Json hits = Json::object();
  for (std::size_t t = 0; t < report.speeds.size(); ++t) hits[report.speeds[t].tier] = result.hits_by_tier[t];
  Json moved = Json::object();
  for (const LinkStats& link : result.stats.links) moved[link.name] = link.copies * report.block_bytes;
  Json json = {
      {"policy", result.policy},
      {"requests", result.requests},
      {"blocks", {{"referenced", result.referenced}, {"hit", result.hit}, {"published", result.published}}},
      {"hit_ratio", share(result.hit, result.referenced)},
      {"hits_by_tier", hits},
      {"bytes_moved", moved},
      {"write_amplification", write_amplification(result)},
      {"ttft_ms",
       {{"p50", milliseconds(result.ttft_ns.percentile(50))},
        {"p99", milliseconds(result.ttft_ns.percentile(99))}}},
      {"load_wait_seconds", static_cast<double>(result.load_wait_ns) / 1e9},
      {"gpu_seconds", {{"computed", result.prefill_seconds}, {"saved", result.saved_seconds}}},
      {"virtual_seconds", result.virtual_seconds},
      {"seconds", result.seconds},
      {"references_per_second", references_a_second(result)},
  };
  for (const TenantCount& tenant : result.tenants)
    json["tenants"][tenant.name] = {{"referenced", tenant.referenced}, {"hit", tenant.hit}};
  return json;
}

}  // namespace

double write_amplification(const SimResult& result) { return share(result.written_behind, result.published); }

double hidden_share(const SimReport& report) {
  return hidden_share(report.own.load_wait_ns, report.unaided_wait_ns.value_or(0));
}

std::string sim_table(const SimReport& report) {
  const SimResult& own = report.own;
  std::string out;
  const auto to = std::back_inserter(out);
  fmt::format_to(
      to, "{} requests, {} blocks, {:.0f} s of the trace in {:.1f} s ({:.2f} M references a second)\n\n",
      own.requests, own.referenced, own.virtual_seconds, own.seconds, references_a_second(own) / 1e6);
  fmt::format_to(to, "{:<12}{:>9}", "policy", "hit %");
  for (const TierSpeed& speed : report.speeds) fmt::format_to(to, "{:>12}", speed.tier + " %");
  fmt::format_to(to, "{:>12}{:>12}{:>12}{:>12}{:>10}\n", "TTFT p50 ms", "p99 ms", "loading s", "GPU saved s",
                 "writes");
  row(own, out);
  if (own.policy != report.lru.policy) row(report.lru, out);
  for (const SimBound& bound : report.min) {
    fmt::format_to(to, "{:<12}{:>9.2f}   the most that {} blocks of {} could hit\n", "MIN",
                   100 * share(bound.hit, own.referenced), bound.slots, bound.tiers);
  }
  append_tenants(own.tenants, out);
  if (report.unaided_wait_ns) {
    fmt::format_to(
        to, "\n{:.1f} % of {:.1f} s of loading were hidden by bringing blocks near ahead of their need\n",
        100 * hidden_share(report), static_cast<double>(*report.unaided_wait_ns) / 1e9);
  }
  if (report.speeds.size() > 1) speeds(report, out);
  return out;
}

std::string sim_json(const SimReport& report, const Config& config) {
  Json json = json_of(report.own, report);
  json["lru"] = json_of(report.lru, report);
  Json bounds = Json::array();
  for (const SimBound& bound : report.min) {
    bounds.push_back({{"tiers", bound.tiers},
                      {"slots", bound.slots},
                      {"hit", bound.hit},
                      {"hit_ratio", share(bound.hit, report.own.referenced)}});
  }
  json["min"] = bounds;
  Json speeds = Json::array();
  for (const TierSpeed& speed : report.speeds) {
    speeds.push_back({{"tier", speed.tier},
                      {"load_latency_us", static_cast<double>(speed.latency_ns) / 1e3},
                      {"load_bytes_per_second", speed.load_bytes_per_second},
                      {"store_bytes_per_second", speed.store_bytes_per_second},
                      {"assumed", speed.assumed}});
  }
  json["speeds"] = speeds;
  json["load_time_hidden"] = report.unaided_wait_ns ? Json(hidden_share(report)) : Json(nullptr);
  json["config"] = to_toml(config);
  return json.dump(2) + "\n";
}

}  // namespace kelvin::cli
