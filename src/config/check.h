// What can be wrong with a whole config though each value is good; shared by parse_config and validate.
//
// Thread contract: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/problems.h"
#include "kelvin/config.h"
#include "kelvin/plugin.h"

namespace kelvin::config {

// Where a tier's parts stood in the text.
struct TierPlaces {
  Place header;
  Place name;
  Place kind;
  Place capacity;
};

// Where a tenant's parts stood in the text.
struct TenantPlaces {
  Place header;
  Place name;
  Place salt;
  Place share;
};

// How messages call a tenant: "tenant 'acme'", or "tenant 2" (counted from 1) where it has no name.
std::string tenant_words(std::string_view name, std::size_t index);

// How messages call a tier: "tier 'nvme'", or "tier 2" (counted from 1) where it has no name.
std::string tier_words(std::string_view name, std::size_t index);

// Adds what is wrong with each tier's name: an unfit character, used twice.
void check_names(std::span<const TierConfig> tiers, std::span<const TierPlaces> places, Problems& problems);

// Adds what is wrong between tenants: names or salts used twice, too many, shares of more than the whole.
void check_tenants(std::span<const TenantConfig> tenants, std::span<const TenantPlaces> places,
                   Problems& problems);

// Adds what is wrong between sections: number of tiers, capacity against block_bytes, records in all.
// Precondition: every single value is good. `places`: one a tier, or none at all.
void check_whole(const Config& config, std::span<const TierPlaces> places, Problems& problems);

// The factory of that kind or name, or null and a problem at `place` with the nearest known.
const TierFactory* known_kind(std::string_view kind, std::string_view what, Place place, Problems& problems);
const PolicyFactory* known_policy(std::string_view name, Place place, Problems& problems);

}  // namespace kelvin::config
