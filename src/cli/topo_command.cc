// kelvin topo. See commands.h.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/link_speed.h"
#include "cli/topo.h"
#include "cli/topo_propose.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* mode_name(DaxMode mode) {
  switch (mode) {
    case DaxMode::kDevice: return "devdax";
    case DaxMode::kMemory: return "system-ram";
    case DaxMode::kNone: return "none";
  }
  return "none";
}

Json machine_json(const Machine& machine) {
  Json json = {{"nodes", Json::array()}, {"dax", Json::array()}, {"devices", Json::array()}};
  for (const MemoryNode& node : machine.nodes) {
    json["nodes"].push_back({{"id", node.id},
                             {"bytes", node.bytes},
                             {"room_bytes", node.room_bytes},
                             {"cpus", node.cpus},
                             {"distances", node.distances},
                             {"allowed", node.allowed},
                             {"cxl", is_cxl(machine, node)},
                             {"read_bytes_per_second", node.read_bytes_per_second},
                             {"read_latency_ns", node.read_latency_ns}});
  }
  for (const DaxDevice& device : machine.dax) {
    json["dax"].push_back({{"path", device.path()},
                           {"bytes", device.bytes},
                           {"align", device.align},
                           {"mode", mode_name(device.mode)},
                           {"node", device.node},
                           {"persistent", device.persistent}});
  }
  for (const Device& device : machine.devices) {
    json["devices"].push_back({{"kind", device_kind_name(device.kind)},
                               {"name", device.name},
                               {"model", device.model},
                               {"bytes", device.bytes},
                               {"node", device.node}});
  }
  json["memory_limit"] = {{"bytes", machine.limit.bytes}, {"source", machine.limit.source}};
  json["cpus"] = machine.cpus;
  json["huge_pages"] = {{"free_2mib", machine.free_huge_2mib},
                        {"free_1gib", machine.free_huge_1gib},
                        {"transparent", machine.thp}};
  json["remarks"] = topo_remarks(machine);
  return json;
}

Json proposal_json(const Proposal& proposal) {
  Json tiers = Json::array();
  for (std::size_t i = 0; i < proposal.config.tiers.size(); ++i) {
    const TierConfig& tier = proposal.config.tiers[i];
    Json options = Json::object();
    for (const Option& option : tier.options) options[option.name] = option.value;
    tiers.push_back({{"name", tier.name},
                     {"kind", tier.kind},
                     {"capacity", tier.capacity_bytes},
                     {"reason", proposal.reasons[i]},
                     {"options", options}});
  }
  return {{"tiers", tiers}, {"left_out", proposal.left_out}};
}

std::string proposal_text(const Proposal& proposal) {
  std::string out = "\nproposed, from the nearest tier on:\n";
  for (std::size_t i = 0; i < proposal.config.tiers.size(); ++i) {
    const TierConfig& tier = proposal.config.tiers[i];
    const auto size = value_at(proposal.config, "tier." + tier.name + ".capacity", nullptr);
    out += fmt::format("  {}. {:<6} {:>8}: {}\n", i + 1, tier.name, size.ok() ? *size : "?",
                       proposal.reasons[i]);
  }
  for (const std::string& what : proposal.left_out) out += with_prefix(what, "  ");
  return out;
}

// Puts the speeds into the config of the proposal.
int measure(Proposal& proposal, std::vector<LinkSpeed>& speeds) {
  if (proposal.config.tiers.size() < 2) {
    fmt::print(stderr, "kelvin: one tier is proposed, so there is no link to measure\n");
    return kExitOk;
  }
  catch_interrupts();
  MeasureOptions options;
  options.bytes = 64u << 20;
  options.rounds = 3;
  options.singles = 16;
  options.most_ns = 3'000'000'000;  // six pairs at most, so that all of it takes seconds
  const auto start = std::chrono::steady_clock::now();
  std::string why;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  auto measured = measure_links(
      proposal.config, options,
      [&](const std::string& link) {
        if (terminal) fmt::print(stderr, "measuring {} and back ...\n", link);
      },
      &why);
  if (!measured.ok()) return complain(why);
  speeds = std::move(*measured);
  apply_speeds(speeds, proposal.config);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "kelvin: the links took {:.1f} s to measure\n", took.count());
  return kExitOk;
}

}  // namespace

int topo_command(const TopoArguments& arguments) {
  const Machine machine = discover();
  Proposal proposal = propose(machine);
  if (proposal.config.tiers.empty()) return complain("this machine has no memory to spare for a tier");
  std::vector<LinkSpeed> speeds;
  if (arguments.measure) {
    if (const int code = measure(proposal, speeds); code != kExitOk) return code;
  }
  const bool shown = arguments.json != "-" && arguments.config != "-";
  if (shown) {
    fmt::print("{}{}", topo_text(machine), proposal_text(proposal));
    if (!speeds.empty()) fmt::print("\n{}", link_table(speeds, proposal.config));
    std::fflush(stdout);
  }
  if (!arguments.json.empty()) {
    Json json = machine_json(machine);
    json["proposal"] = proposal_json(proposal);
    if (!speeds.empty()) json["links"] = Json::parse(link_json(speeds, proposal.config));
    if (!write_text(arguments.json, json.dump(2) + "\n"))
      return complain(arguments.json + ": cannot be written");
  }
  if (arguments.config.empty()) return kExitOk;
  const std::string text = proposal_toml(proposal, !speeds.empty());
  std::string why;
  if (!parse_config(text, arguments.config, &why).ok()) return complain(why);
  if (!write_text(arguments.config, text)) return complain(arguments.config + ": cannot be written");
  return kExitOk;
}

}  // namespace kelvin::cli
