// See topo_propose.h.
#include "cli/topo_propose.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "kelvin/upkeep.h"
#include "machine/id_list.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;

std::uint64_t part(std::uint64_t bytes, std::uint64_t percent) { return bytes * percent / 100; }

// Whole MiB, and beyond that no more digits than a person would write.
std::uint64_t tidy(std::uint64_t bytes) {
  std::uint64_t step = 16 * kMiB;
  while (step * 64 < bytes) step *= 2;
  return bytes / step * step;
}

TierConfig tier_of(const std::string& kind, std::uint64_t bytes) {
  TierConfig tier;
  tier.name = kind;
  tier.kind = kind;
  tier.capacity_bytes = bytes;
  return tier;
}

void add(Proposal& proposal, TierConfig tier, std::string reason) {
  proposal.config.tiers.push_back(std::move(tier));
  proposal.reasons.push_back(std::move(reason));
}

void propose_dram(const Machine& machine, Proposal& proposal) {
  const std::vector<int> local = local_nodes(machine.nodes, machine.cpus);
  std::uint64_t room = 0;
  for (const int id : local) room += find_node(machine.nodes, id)->room_bytes;
  const bool limited = machine.limit.bytes < room;
  TierConfig tier = tier_of("dram", tidy(part(std::min(room, machine.limit.bytes), 50)));
  if (tier.capacity_bytes == 0) return;
  tier.options.push_back({"nodes", "local"});
  tier.options.push_back({"prefault", "true"});
  add(proposal, std::move(tier),
      fmt::format("half of what {} to be had near this process's CPUs (node {})",
                  limited ? machine.limit.source + " leaves" : "is", id_list_text(local)));
}

void propose_far_nodes(const Machine& machine, Proposal& proposal) {
  std::uint64_t limit_left = machine.limit.bytes;
  for (const TierConfig& tier : proposal.config.tiers)
    limit_left -= std::min(limit_left, tier.capacity_bytes);
  const bool any_cxl =
      std::ranges::any_of(machine.nodes, [&](const MemoryNode& n) { return is_cxl(machine, n); });
  std::vector<int> ids;
  std::uint64_t least = ~std::uint64_t{0};
  for (const MemoryNode& node : machine.nodes) {
    if (!node.cpus.empty() || !node.allowed) continue;
    if (any_cxl && !is_cxl(machine, node)) {
      proposal.left_out.push_back(fmt::format(
          "node {} is far memory too: a tier of kind \"cxl\" with device = \"node{}\" would use it", node.id,
          node.id));
      continue;
    }
    ids.push_back(node.id);
    least = std::min(least, node.room_bytes);
  }
  if (ids.empty()) return;
  const std::uint64_t bytes = tidy(part(std::min(least * ids.size(), limit_left), 80));
  if (bytes == 0) return;
  TierConfig tier = tier_of("cxl", bytes);
  std::string nodes;
  for (const int id : ids) nodes += fmt::format("{}node{}", nodes.empty() ? "" : "\n", id);
  tier.options.push_back({"device", nodes});
  tier.options.push_back({"prefault", "true"});
  add(proposal, std::move(tier),
      fmt::format("four fifths of what is to be had on memory without CPUs (node {})", id_list_text(ids)));
}

void propose_dax(const Machine& machine, Proposal& proposal) {
  for (const DaxDevice& device : machine.dax) {
    if (device.mode != DaxMode::kDevice) continue;
    if (device.persistent) {
      proposal.left_out.push_back(fmt::format(
          "{} is persistent memory and may hold data: if not, a tier of kind \"cxl\" with device = "
          "\"{}\" would overwrite and use its {} bytes",
          device.path(), device.path(), device.bytes));
      continue;
    }
    TierConfig tier = tier_of("cxl", device.bytes / kMiB * kMiB);
    if (!proposal.config.tiers.empty() && proposal.config.tiers.back().kind == "cxl")
      tier.name = "cxl-" + device.name;
    tier.options.push_back({"device", device.path()});
    add(proposal, std::move(tier), "all of the device, mapped directly");
  }
}

// Where a file system of this drive is mounted, by its device numbers or those of its partitions; "" if
// nowhere.
std::string mounted_at(const std::string& drive) {
  std::ifstream in("/proc/self/mounts");
  std::string source;
  std::string folder;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    words >> source >> folder;
    const std::string device = "/dev/" + drive;
    if (source == device || source.starts_with(device + "p")) return folder;
  }
  return "";
}

bool propose_file(const Device& drive, const std::string& folder, Proposal& proposal) {
  struct statvfs space {};
  if (::access(folder.c_str(), W_OK) != 0 || ::statvfs(folder.c_str(), &space) != 0) return false;
  const std::uint64_t room = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  TierConfig tier = tier_of("nvme", tidy(part(room, 50)));
  if (tier.capacity_bytes == 0) return false;
  tier.options.push_back({"path", folder + (folder.ends_with('/') ? "" : "/") + "kelvin.blocks"});
  add(proposal, std::move(tier),
      fmt::format("half of what is free in the file system on drive {}", drive.name));
  return true;
}

void propose_drives(const Machine& machine, Proposal& proposal) {
  const Upkeep* const upkeep = find_upkeep("nvme");
  std::string paths;
  std::string names;
  std::uint64_t least = ~std::uint64_t{0};
  std::uint64_t count = 0;
  bool files = false;
  for (const Device& drive : machine.devices) {
    if (drive.kind != Device::Kind::kDrive || upkeep == nullptr) continue;
    const std::string folder = mounted_at(drive.name);
    if (!folder.empty()) {
      if (count == 0 && !files) files = propose_file(drive, folder, proposal);
      continue;
    }
    const std::string path = "/dev/" + drive.name;
    VolumeReport report;
    std::string why;
    const Status status = upkeep->inspect(path, &report, &why);
    if (!status.ok() && status.code() != Code::kNotFound) {
      proposal.left_out.push_back(fmt::format("drive {} is not taken: {}", drive.name, why));
      continue;
    }
    if (files) continue;
    paths += (paths.empty() ? "" : "\n") + path;
    names += (names.empty() ? "" : ", ") + drive.name;
    least = std::min(least, drive.bytes);
    ++count;
  }
  if (count == 0) return;
  TierConfig tier = tier_of("nvme", tidy(part(least, 90)) * count);
  tier.options.push_back({"path", paths});
  add(proposal, std::move(tier), fmt::format("nine tenths of {}, blank or Kelvin's already", names));
}

std::string quoted(const std::string& value, bool list) {
  if (!list || value.find('\n') == std::string::npos) {
    return value == "true" || value == "false" ? value : fmt::format("\"{}\"", value);
  }
  std::string out;
  std::istringstream lines(value);
  for (std::string line; std::getline(lines, line);)
    out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", line);
  return "[" + out + "]";
}

std::string value_of(const Config& config, const TierConfig& tier, const char* key) {
  const auto value = value_at(config, fmt::format("tier.{}.{}", tier.name, key), nullptr);
  return value.ok() ? *value : "";
}

// A tier in GPU memory is suggested, not proposed: how much of that memory the engine leaves nobody here
// knows.
std::string gpu_suggestion(const std::string& gpu) {
  const TierFactory* const factory = find_tier_factory("hbm");
  if (factory == nullptr) {
    return fmt::format(
        "{} has memory, but this build has no tiers in GPU memory: configure it with -DKELVIN_HBM=ON", gpu);
  }
  const SpaceConfig space;
  const TierConfig probe = tier_of("hbm", space.block_bytes);
  std::string why;
  auto options = Options::bind(factory->options, probe.options, "a tier in GPU memory", &why);
  Status status = options.status();
  if (options.ok()) status = factory->open({space, probe}, *options, &why).status();
  if (!status.ok()) {
    return fmt::format("{} has memory that no tier can use as it is: {}", gpu,
                       why.empty() ? status.message() : why);
  }
  return fmt::format(
      "{} can keep blocks: put this before the other tiers, with as much as the engine leaves of its memory\n"
      "[[tier]]\nname     = \"hbm\"\nkind     = \"hbm\"\ncapacity = \"8GiB\"",
      gpu);
}

// One for all: the first GPU is tried, and others need only another device.
void suggest_gpus(const Machine& machine, Proposal& proposal) {
  const auto gpu = std::ranges::find(machine.devices, Device::Kind::kGpu, &Device::kind);
  if (gpu == machine.devices.end()) return;
  proposal.left_out.push_back(gpu_suggestion(gpu->model.empty() ? gpu->name : gpu->model));
}

}  // namespace

Proposal propose(const Machine& machine) {
  Proposal proposal;
  propose_dram(machine, proposal);
  propose_far_nodes(machine, proposal);
  propose_dax(machine, proposal);
  propose_drives(machine, proposal);
  suggest_gpus(machine, proposal);
  return proposal;
}

std::string with_prefix(const std::string& text, std::string_view prefix) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out += fmt::format("{}{}\n", prefix, line);
  return out;
}

std::string proposal_toml(const Proposal& proposal, bool measured) {
  const Config& config = proposal.config;
  std::string out =
      "# Written by `kelvin topo --config` for this machine. Every key is explained in "
      "docs/tuning.md.\n\n[space]\n";
  out += fmt::format("block_bytes  = \"{}\"  # follows from the model and block_tokens: see docs/tuning.md\n",
                     value_at(config, "space.block_bytes", nullptr).ok()
                         ? *value_at(config, "space.block_bytes", nullptr)
                         : "2MiB");
  out += "block_tokens = 512\nmodel        = \"unnamed\"  # name your model: others' blocks never match\n";
  for (std::size_t i = 0; i < config.tiers.size(); ++i) {
    const TierConfig& tier = config.tiers[i];
    out += fmt::format("\n[[tier]]\nname     = \"{}\"\nkind     = \"{}\"\n", tier.name, tier.kind);
    out += fmt::format("capacity = \"{}\"  # {}\n", value_of(config, tier, "capacity"), proposal.reasons[i]);
    for (const Option& option : tier.options)
      out += fmt::format("{:<8} = {}\n", option.name, quoted(option.value, true));
    if (!measured || i == 0 || tier.load_bandwidth == 0) continue;
    out += "# As measured on this machine:\n";
    for (const char* key : {"load_latency", "load_bandwidth", "store_bandwidth"})
      out += fmt::format("{} = \"{}\"\n", key, value_of(config, tier, key));
  }
  for (const std::string& what : proposal.left_out) out += "\n" + with_prefix(what, "# ");
  out += "\n[policy]\nname = \"heat\"\n\n[mover]\nthreads = 1\n";
  return out;
}

}  // namespace kelvin::cli
