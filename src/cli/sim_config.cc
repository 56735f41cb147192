// See sim_config.h.
#include "cli/sim_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace kelvin::cli {
namespace {

constexpr std::uint32_t kLeases = 1 << 14;  // requests that load at once are not a limit here

struct Typical {
  std::string_view kind;
  std::uint64_t latency_ns, load, store;
};

// Of one device of that kind, in 2 MiB copies; `kelvin bench --links` measures this machine's.
constexpr Typical kTypical[] = {
    {"hbm", 10'000, 50'000'000'000, 50'000'000'000},    {"dram", 1'000, 20'000'000'000, 20'000'000'000},
    {"adopted", 1'000, 20'000'000'000, 20'000'000'000}, {"cxl", 1'000, 10'000'000'000, 10'000'000'000},
    {"nvme", 100'000, 5'000'000'000, 3'000'000'000},
};

const Typical* typical_of(std::string_view kind) {
  const auto* const found = std::ranges::find(kTypical, kind, &Typical::kind);
  return found == std::end(kTypical) ? nullptr : found;
}

const Option* find_option(const TierConfig& tier, std::string_view name) {
  const auto found = std::ranges::find(tier.options, name, &Option::name);
  return found == tier.options.end() ? nullptr : &*found;
}

// A fake tier says in its own keys what it pretends to be.
TierSpeed speed_of_fake(const TierConfig& tier) {
  const auto read = [&](std::string_view name, auto parse) -> std::uint64_t {
    const Option* option = find_option(tier, name);
    const auto value = parse(option == nullptr ? std::string_view("0") : std::string_view(option->value));
    return value.ok() ? *value : 0;
  };
  TierSpeed speed{tier.name, read("latency", parse_duration_ns), read("bandwidth", parse_bytes),
                  read("write_bandwidth", parse_bytes)};
  if (speed.store_bytes_per_second == 0) speed.store_bytes_per_second = speed.load_bytes_per_second;
  return speed;
}

TierSpeed speed_of(const TierConfig& tier) {
  TierSpeed speed = tier.kind == "fake" ? speed_of_fake(tier) : TierSpeed{tier.name};
  if (tier.load_latency_ns != 0) speed.latency_ns = tier.load_latency_ns;
  if (tier.load_bandwidth != 0) speed.load_bytes_per_second = tier.load_bandwidth;
  speed.store_bytes_per_second = tier.store_bandwidth != 0  ? tier.store_bandwidth
                                 : tier.load_bandwidth != 0 ? tier.load_bandwidth
                                                            : speed.store_bytes_per_second;
  const Typical* typical = typical_of(tier.kind);
  if (typical == nullptr || speed.load_bytes_per_second != 0) return speed;
  return {tier.name, typical->latency_ns, typical->load, typical->store, true};
}

Option option(std::string name, std::string value) { return {std::move(name), std::move(value)}; }

}  // namespace

std::vector<TierSpeed> speeds_of(const Config& config) {
  std::vector<TierSpeed> speeds;
  speeds.reserve(config.tiers.size());
  for (const TierConfig& tier : config.tiers) speeds.push_back(speed_of(tier));
  return speeds;
}

Result<Config> simulated(const Config& config, std::string* why) {
  Config sim = config;
  const double scale = static_cast<double>(kSimBlockBytes) / static_cast<double>(config.space.block_bytes);
  const auto scaled = [scale](std::uint64_t bytes) {
    return bytes == 0
               ? 0
               : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(bytes) * scale));
  };
  const std::vector<TierSpeed> speeds = speeds_of(config);
  for (std::size_t t = 0; t < sim.tiers.size(); ++t) {
    TierConfig& tier = sim.tiers[t];
    if (tier.capacity_bytes == 0) {
      *why = fmt::format("tier '{}': a simulation must know its size; give it a capacity", tier.name);
      return Status(Code::kInvalid, "simulating");
    }
    tier.kind = "fake";
    tier.capacity_bytes = tier.capacity_bytes / config.space.block_bytes * kSimBlockBytes;
    tier.write_budget = scaled(tier.write_budget);
    tier.load_latency_ns = tier.load_bandwidth = tier.store_bandwidth = 0;
    tier.options = {option("latency", fmt::format("{}ns", speeds[t].latency_ns)),
                    option("bandwidth", fmt::format("{}", scaled(speeds[t].load_bytes_per_second))),
                    option("write_bandwidth", fmt::format("{}", scaled(speeds[t].store_bytes_per_second)))};
  }
  sim.space.block_bytes = kSimBlockBytes;
  sim.policy.learned = "none";
  sim.mover.threads = 0;
  sim.mover.deadline_ns = 0;  // however slow they are said to be, fake tiers answer
  sim.space.max_leases = std::max(sim.space.max_leases, kLeases);
  if (sim.space.seed == 0) sim.space.seed = 1;  // a simulation repeats exactly
  return sim;
}

}  // namespace kelvin::cli
