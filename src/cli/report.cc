// See report.h.
#include "cli/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ratio.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

double microseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

Json latency(const Histogram& ns) {
  return {{"p50", microseconds(ns.percentile(50))},
          {"p99", microseconds(ns.percentile(99))},
          {"max", microseconds(ns.max())}};
}

void latency_row(std::string_view name, const Histogram& ns, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{:<16}{:>12}{:>14.1f}{:>14.1f}{:>14.1f}\n", name, ns.count(),
                 microseconds(ns.percentile(50)), microseconds(ns.percentile(99)), microseconds(ns.max()));
}

// Only of a tier that ever was offline.
std::string health(const TierStats& tier) {
  if (tier.went_offline == 0) return "";
  return fmt::format("  {}, {} times offline", tier.online ? "online again" : "OFFLINE", tier.went_offline);
}

void tiers(const ReplayResult& result, std::string& out) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\n{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}{:>12}{:>12}\n", "tier", "slots", "resident",
                 "hits", "hit %", "dropped", "forgotten", "corrupt");
  for (const TierStats& tier : result.stats.tiers) {
    fmt::format_to(to, "{:<16}{:>12}{:>12}{:>12}{:>8.2f}{:>12}{:>12}{:>12}{}\n", tier.name, tier.slots,
                   tier.resident, tier.hits, 100 * share(tier.hits, result.referenced), tier.dropped_clean,
                   tier.dropped_last, tier.dropped_corrupt, health(tier));
  }
}

void links(const ReplayResult& result, std::string& out) {
  auto to = std::back_inserter(out);
  if (result.stats.links.empty()) return;
  fmt::format_to(to, "\n{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}\n", "link", "blocks", "GB", "failures", "retries",
                 "corrupt");
  for (const LinkStats& link : result.stats.links) {
    fmt::format_to(to, "{:<16}{:>12}{:>12.2f}{:>12}{:>8}{:>12}\n", link.name, link.copies,
                   static_cast<double>(link.bytes) / 1e9, link.failures, link.retries, link.corrupt);
  }
  for (const LinkStats& link : result.stats.links) {
    if (!link.slowed.empty()) fmt::format_to(to, "link {} is slow: {}\n", link.name, link.slowed);
  }
  for (const std::string& remark : result.stats.remarks) fmt::format_to(to, "{}\n", remark);
}

}  // namespace

std::string report_table(const ReplayResult& result, bool verified) {
  std::string out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{} requests, {} blocks: {} hit ({:.2f} %), {} published, in {:.1f} s{}\n",
                 result.requests, result.referenced, result.hit, 100 * share(result.hit, result.referenced),
                 result.published, result.seconds, result.stopped ? " (stopped early)" : "");
  if (result.unpublished > 0) {
    fmt::format_to(to, "{} blocks found no room in the first tier and were not kept\n", result.unpublished);
  }
  tiers(result, out);
  links(result, out);
  append_tenants(result.tenants, out);
  fmt::format_to(to, "\n{:<16}{:>12}{:>14}{:>14}{:>14}\n", "latency", "calls", "p50 us", "p99 us", "max us");
  latency_row("match", result.match_ns, out);
  latency_row("acquire", result.acquire_ns, out);
  latency_row("publish", result.publish_ns, out);
  out += '\n';
  if (verified) {
    fmt::format_to(to, "verified {} blocks: {}\n", result.checked,
                   result.corrupt == 0 ? "every byte as written" : fmt::format("{} CORRUPT", result.corrupt));
  } else {
    out += "not verified\n";
  }
  if (result.stats.load_failures > 0 || result.lost > 0) {
    fmt::format_to(to, "load failures {}, blocks matched but not had {}\n", result.stats.load_failures,
                   result.lost);
  }
  return out;
}

std::string report_json(const ReplayResult& result, const Config& config) {
  Json hits = Json::object();
  for (const TierStats& tier : result.stats.tiers) hits[tier.name] = tier.hits;
  Json moved = Json::object();
  for (const LinkStats& link : result.stats.links) moved[link.name] = link.bytes;
  Json report = {
      {"requests", result.requests},
      {"blocks", {{"referenced", result.referenced}, {"hit", result.hit}, {"published", result.published}}},
      {"hit_ratio", share(result.hit, result.referenced)},
      {"hits_by_tier", hits},
      {"bytes_moved", moved},
      {"verify", {{"checked", result.checked}, {"corrupt", result.corrupt}}},
      {"latency_us",
       {{"match", latency(result.match_ns)},
        {"acquire", latency(result.acquire_ns)},
        {"publish", latency(result.publish_ns)}}},
      {"load_failures", result.stats.load_failures},
      {"seconds", result.seconds},
      {"config", to_toml(config)},
  };
  if (!result.stats.remarks.empty()) report["remarks"] = result.stats.remarks;
  for (const TenantCount& tenant : result.tenants)
    report["tenants"][tenant.name] = {{"referenced", tenant.referenced}, {"hit", tenant.hit}};
  return report.dump(2) + "\n";
}

}  // namespace kelvin::cli
