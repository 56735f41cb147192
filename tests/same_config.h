// Whether two configs say the same; where their options stood in a file does not count.
#pragma once

#include <algorithm>
#include <vector>

#include "kelvin/config.h"

namespace kelvin {

inline bool same_options(const std::vector<Option>& a, const std::vector<Option>& b) {
  return std::ranges::equal(
      a, b, [](const Option& x, const Option& y) { return x.name == y.name && x.value == y.value; });
}

inline bool same_space(const SpaceConfig& a, const SpaceConfig& b) {
  return a.block_bytes == b.block_bytes && a.block_tokens == b.block_tokens && a.model == b.model &&
         a.max_leases == b.max_leases && a.ghosts_percent == b.ghosts_percent &&
         a.prefill_tokens_per_second == b.prefill_tokens_per_second && a.seed == b.seed;
}

inline bool same_tier(const TierConfig& a, const TierConfig& b) {
  return a.name == b.name && a.kind == b.kind && a.capacity_bytes == b.capacity_bytes &&
         a.free_ahead == b.free_ahead && a.write_budget == b.write_budget && a.scrub == b.scrub &&
         a.placement == b.placement && a.pin_share == b.pin_share && a.load_latency_ns == b.load_latency_ns &&
         a.load_bandwidth == b.load_bandwidth && a.store_bandwidth == b.store_bandwidth &&
         same_options(a.options, b.options);
}

inline bool same_mover(const MoverConfig& a, const MoverConfig& b) {
  return a.threads == b.threads && a.queue == b.queue && a.demand_retries == b.demand_retries &&
         a.offline_after == b.offline_after && a.write_depth == b.write_depth &&
         a.staging_bytes == b.staging_bytes && a.deadline_ns == b.deadline_ns &&
         a.retry_offline_ns == b.retry_offline_ns;
}

inline bool same_tenant(const TenantConfig& a, const TenantConfig& b) {
  return a.name == b.name && a.salt == b.salt && a.share == b.share;
}

inline bool same_config(const Config& a, const Config& b) {
  return same_space(a.space, b.space) && std::ranges::equal(a.tiers, b.tiers, same_tier) &&
         a.policy.name == b.policy.name && a.policy.learned == b.policy.learned &&
         same_options(a.policy.options, b.policy.options) && same_mover(a.mover, b.mover) &&
         std::ranges::equal(a.tenants, b.tenants, same_tenant);
}

}  // namespace kelvin
