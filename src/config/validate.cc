// validate: a Config made by hand is held to the rules of one that was read from a file.
//
// Thread contract: pure.
#include <array>
#include <new>

#include "base/format_text.h"
#include "config/check.h"
#include "config/keys.h"
#include "config/value.h"

namespace kelvin {
namespace config {
namespace {

template <class S, std::size_t N>
void check_keys(const std::array<Key<S>, N>& keys, const S& section, std::string_view what,
                Problems& problems) {
  for (const Key<S>& key : keys) {
    const std::string problem = value_problem(key.spec, key_text(key, section));
    if (!problem.empty()) problems.add({}, format_text("{}: {} = {}", what, key.spec.name, problem));
  }
}

void check_tier(const TierConfig& tier, std::size_t index, Problems& problems) {
  const std::string what = tier_words(tier.name, index);
  TierConfig checked = tier;
  // The capacity of adopted memory is its own: none is a good one.
  if (adopts_memory(tier.kind) && tier.capacity_bytes == 0) checked.capacity_bytes = 1;
  check_keys(kTierKeys, checked, what, problems);
  if (tier.kind.empty()) return;
  if (const TierFactory* factory = known_kind(tier.kind, what, {}, problems)) {
    check_options(factory->options, tier.options, what, {}, problems);
  }
}

void check_policy(const PolicyConfig& policy, Problems& problems) {
  check_keys(kPolicyKeys, policy, "[policy]", problems);
  if (const PolicyFactory* factory = known_policy(policy.name, {}, problems)) {
    check_options(factory->options, policy.options, format_text("policy '{}'", policy.name), {}, problems);
  }
}

}  // namespace
}  // namespace config

Status validate(const Config& config, std::string* why) {
  try {
    config::Problems problems;
    config::check_keys(config::kSpaceKeys, config.space, "[space]", problems);
    for (std::size_t i = 0; i < config.tiers.size(); ++i) config::check_tier(config.tiers[i], i, problems);
    config::check_policy(config.policy, problems);
    config::check_keys(config::kMoverKeys, config.mover, "[mover]", problems);
    for (std::size_t i = 0; i < config.tenants.size(); ++i) {
      config::check_keys(config::kTenantKeys, config.tenants[i],
                         config::tenant_words(config.tenants[i].name, i), problems);
    }
    config::check_names(config.tiers, {}, problems);
    config::check_tenants(config.tenants, {}, problems);
    if (problems.none()) config::check_whole(config, {}, problems);
    if (problems.none()) return {};
    if (why != nullptr) *why = problems.text({});
    return {Code::kInvalid, "checking a config"};
  } catch (const std::bad_alloc&) {
    return {Code::kFull, "out of memory while checking a config"};
  }
}

}  // namespace kelvin
