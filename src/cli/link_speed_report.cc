// What measuring links says at its end. See link_speed.h.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/link_speed.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

// As a config has it.
std::string text_at(const Config& config, const TierConfig& tier, std::string_view key) {
  const auto value = value_at(config, fmt::format("tier.{}.{}", tier.name, key), nullptr);
  return value.ok() ? *value : std::string();
}

bool was_measured(const std::vector<LinkSpeed>& speeds, std::size_t far) {
  for (const LinkSpeed& speed : speeds) {
    if (speed.far == far && speed.missing.empty()) return true;
  }
  return false;
}

}  // namespace

std::string link_table(const std::vector<LinkSpeed>& speeds, const Config& measured) {
  const std::uint64_t block_bytes = measured.space.block_bytes;
  std::string out;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<20}{:>14}{:>14}{:>10}{:>10}{:>10}\n", "link", "one block us", "latency us", "depth",
                 "blocks", "GB/s");
  for (const LinkSpeed& speed : speeds) {
    if (!speed.missing.empty()) {
      fmt::format_to(to, "{:<20}   not measured: {}\n", speed.name, speed.missing);
      continue;
    }
    fmt::format_to(to, "{:<20}{:>14.1f}{:>14.1f}{:>10}{:>10}{:>10.2f}\n", speed.name,
                   static_cast<double>(speed.one_block_ns) / 1e3,
                   static_cast<double>(speed.latency_ns(block_bytes)) / 1e3,
                   speed.depth == 0 ? std::string("-") : fmt::format("{}", speed.depth), speed.blocks,
                   static_cast<double>(speed.bytes_per_second) / 1e9);
  }
  for (std::size_t far = 1; far < measured.tiers.size(); ++far) {
    if (!was_measured(speeds, far)) continue;
    const TierConfig& tier = measured.tiers[far];
    fmt::format_to(to, "\n# [[tier]] name = \"{}\"\n", tier.name);
    for (const char* key : {"load_latency", "load_bandwidth", "store_bandwidth"}) {
      fmt::format_to(to, "{:<15} = \"{}\"\n", key, text_at(measured, tier, key));
    }
  }
  return out;
}

std::string link_json(const std::vector<LinkSpeed>& speeds, const Config& measured) {
  Json links = Json::array();
  for (const LinkSpeed& speed : speeds) {
    Json link = {{"link", speed.name}};
    if (speed.missing.empty()) {
      link["one_block_us"] = static_cast<double>(speed.one_block_ns) / 1e3;
      link["latency_us"] = static_cast<double>(speed.latency_ns(measured.space.block_bytes)) / 1e3;
      link["depth"] = speed.depth;
      link["blocks"] = speed.blocks;
      link["bytes_per_second"] = speed.bytes_per_second;
    } else {
      link["missing"] = speed.missing;
    }
    links.push_back(std::move(link));
  }
  const Json json = {
      {"block_bytes", measured.space.block_bytes}, {"links", links}, {"config", to_toml(measured)}};
  return json.dump(2) + "\n";
}

}  // namespace kelvin::cli
