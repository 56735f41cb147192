// The toy tier and the toy link against the contracts that every tier and link is held to.
#include "registry.h"
#include "tests/conformance_link.h"
#include "tests/conformance_tier.h"
#include "tests/toy/toy.h"

namespace kelvin::testing {
namespace {

constexpr std::uint64_t kCapacity = 40 << 14;
const SpaceConfig kSpace{.block_bytes = 1 << 14, .model = "toy"};

// Opens a tier as a space does: through its factory.
std::unique_ptr<Tier> open_tier(const char* kind, std::string* missing) {
  const TierFactory* factory = find_tier_factory(kind);
  const TierConfig config{.name = kind, .kind = kind, .capacity_bytes = kCapacity, .options = {}};
  const auto options = Options::bind(factory->options, config.options, kind, missing);
  if (!options.ok()) return nullptr;
  auto tier = factory->open({.space = kSpace, .tier = config}, *options, missing);
  return tier.ok() ? std::move(*tier) : nullptr;
}

std::unique_ptr<TierRig> make_toy(std::string* missing) {
  auto rig = std::make_unique<TierRig>();
  rig->tier = open_tier("toy", missing);
  rig->capacity_bytes = kCapacity;
  return rig->tier ? std::move(rig) : nullptr;
}

std::unique_ptr<LinkRig> join(const char* from, const char* to, std::string* missing) {
  auto rig = std::make_unique<LinkRig>();
  rig->from = open_tier(from, missing);
  rig->to = open_tier(to, missing);
  if (!rig->from || !rig->to) return nullptr;
  auto link = kToyLink.connect({.from = *rig->from, .to = *rig->to, .clock = {}}, missing);
  if (!link.ok()) return nullptr;
  rig->link = std::move(*link);
  return rig;
}

std::unique_ptr<LinkRig> make_to_toy(std::string* missing) { return join("dram", "toy", missing); }
std::unique_ptr<LinkRig> make_from_toy(std::string* missing) { return join("toy", "dram", missing); }

KELVIN_TIER_CONFORMS(Toy, make_toy);
KELVIN_LINK_CONFORMS(DramToToy, make_to_toy);
KELVIN_LINK_CONFORMS(ToyToDram, make_from_toy);

}  // namespace
}  // namespace kelvin::testing
