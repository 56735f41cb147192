// See heat.h.
#include "policies/heat.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>

#include "policies/heat/policy.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kLeastGhosts = 1U << 18;    // 2 MiB
constexpr std::uint64_t kMostGhosts = 1U << 26;     // 512 MiB
constexpr std::uint64_t kLeastRequests = 1U << 15;  // about 6 MiB
constexpr std::uint64_t kBlocksPerRequest = 32;     // known ones: sessions share and grow

constexpr std::array kOptions = {
    OptionSpec{"objective", OptionType::kChoice, "hits",
               "what a hit is worth: one block, or the seconds of recomputing it at its depth",
               "hits|seconds"},
    OptionSpec{"ghosts",
               OptionType::kInteger,
               "8",
               "blocks remembered after they are gone, for each block of the table; 8 bytes each",
               {},
               0,
               1024},
    OptionSpec{"sample", OptionType::kInteger, "64", "leaves looked at for each victim", {}, 1, 1024},
    OptionSpec{"half_life",
               OptionType::kInteger,
               "0",
               "outcomes of one kind after which what they taught counts half; 0 = it never fades",
               {},
               0,
               1e9},
    OptionSpec{"write_worth",
               OptionType::kReal,
               "2",
               "heat, as a share of what the next tier evicts, from which a block is written there",
               {},
               0,
               1e6},
    OptionSpec{"prefetch", OptionType::kBoolean, "true",
               "bring near what will probably be used soon; what a scheduler announces always is"},
    OptionSpec{"use_hints", OptionType::kBoolean, "true", "obey priority and retain_for"},
};

heat::Settings settings_of(const PolicyContext& context, const Options& options) {
  heat::Settings settings;
  settings.blocks = context.blocks;
  for (const TierInfo* tier : context.tiers) {
    settings.slots.push_back(tier->slots);
    settings.adopted.push_back(tier->adopted);
  }
  settings.block_tokens = context.space.block_tokens;
  const auto each = static_cast<std::uint64_t>(options.integer("ghosts"));
  settings.ghosts = each == 0 ? 0 : std::clamp(each * context.blocks, kLeastGhosts, kMostGhosts);
  settings.requests = static_cast<std::uint32_t>(
      std::max(kLeastRequests, (settings.ghosts + context.blocks) / kBlocksPerRequest));
  settings.sample = static_cast<std::uint32_t>(options.integer("sample"));
  settings.prefetch = options.boolean("prefetch");
  settings.use_hints = options.boolean("use_hints");
  settings.by_seconds = options.text("objective") == "seconds";
  settings.write_worth = static_cast<float>(options.real("write_worth"));
  const auto half_life = options.integer("half_life");
  if (half_life != 0) settings.rates.memory = std::exp2(-1.0F / static_cast<float>(half_life));
  return settings;
}

Result<std::unique_ptr<Policy>> make_heat(const PolicyContext& context, const Options& options,
                                          std::string* why) {
  try {
    return std::unique_ptr<Policy>(std::make_unique<heat::HeatPolicy>(settings_of(context, options)));
  } catch (const std::bad_alloc&) {
    *why = "policy heat: no memory for " + std::to_string(context.blocks) +
           " blocks and their ghosts; lower policy.ghosts";
    return Status(Code::kFull, "making a policy");
  }
}

}  // namespace

const PolicyFactory kHeatPolicy = {"heat", kOptions, make_heat};

}  // namespace kelvin
