// kelvin config check. See commands.h.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "cli/commands.h"
#include "kelvin/config.h"

namespace kelvin::cli {
namespace {

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g} {}", size, kUnits[unit]);
}

void describe_tier(std::size_t index, const TierConfig& tier, std::uint64_t block_bytes) {
  const std::uint64_t blocks = tier.capacity_bytes / block_bytes;
  if (blocks == 0) {
    fmt::print("tier {}  {:<12} {:<8} the engine brings its slots\n", index, tier.name, tier.kind);
    return;
  }
  const auto ahead = static_cast<std::uint64_t>(std::ceil(static_cast<double>(blocks) * tier.free_ahead));
  fmt::print("tier {}  {:<12} {:<8} {:>10} = {} blocks, {} kept free ahead\n", index, tier.name, tier.kind,
             size_text(tier.capacity_bytes), blocks, ahead);
}

}  // namespace

int config_check_command(const std::string& path) {
  std::string why;
  const auto config = load_config(path, &why);
  if (!config.ok()) {
    fmt::print(stderr, "kelvin: {}\n", why);
    return kExitFailed;
  }
  fmt::print("{}: ok\n", path);
  fmt::print("blocks  {} of {} tokens, model {}\n", size_text(config->space.block_bytes),
             config->space.block_tokens, config->space.model);
  for (std::size_t i = 0; i < config->tiers.size(); ++i) {
    describe_tier(i, config->tiers[i], config->space.block_bytes);
  }
  fmt::print("policy  {}\n", config->policy.name);
  if (config->mover.threads == 0) {
    fmt::print("mover   driven by the caller\n");
  } else {
    fmt::print("mover   {} thread{}\n", config->mover.threads, config->mover.threads == 1 ? "" : "s");
  }
  return kExitOk;
}

}  // namespace kelvin::cli
