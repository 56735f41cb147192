// See check.h.
#include "config/check.h"

#include <algorithm>
#include <vector>

#include "base/format_text.h"
#include "config/keys.h"
#include "config/suggest.h"
#include "config/units.h"
#include "kelvin/block.h"
#include "kelvin/hash.h"
#include "kelvin/policy.h"
#include "registry.h"

namespace kelvin::config {
namespace {

constexpr std::size_t kNameBytes = 64;
constexpr std::uint64_t kBlockUnit = 64;  // a cache line: what copies and checksums work in

// Names become parts of link names ("dram>nvme") and of keys in JSON.
bool fit_for_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

template <class Places>
Places places_of(std::span<const Places> places, std::size_t index) {
  return index < places.size() ? places[index] : Places{};
}

std::string in_line(Place place) {
  return place.line == 0 ? std::string() : format_text(" in line {}", place.line);
}

void check_name(std::string_view name, const std::string& what, Place place, Problems& problems) {
  if (std::ranges::all_of(name, fit_for_name) && name.size() <= kNameBytes) return;
  problems.add(place, format_text("{}: a name is of letters, digits, '_', '-' and '.', at most {} of them",
                                  what, kNameBytes));
}

void check_count(const Config& config, std::span<const TierPlaces> places, Problems& problems) {
  if (config.tiers.empty()) {
    problems.add({}, "no tiers; add at least one [[tier]] with name, kind and capacity");
  } else if (config.tiers.size() > kMaxTiers) {
    problems.add(
        places_of(places, kMaxTiers).header,
        format_text("{} tiers are too many; a space has at most {}", config.tiers.size(), kMaxTiers));
  }
}

void check_capacity(const SpaceConfig& space, const TierConfig& tier, std::size_t index, Place place,
                    Problems& problems) {
  const std::string what = tier_words(tier.name, index);
  const std::uint64_t slots = tier.capacity_bytes / space.block_bytes;
  if (slots == 0 && tier.capacity_bytes > 0) {
    problems.add(
        place,
        format_text("{}: capacity = '{}': less than one block of {}; raise it, or lower [space] block_bytes",
                    what, write_bytes(tier.capacity_bytes), write_bytes(space.block_bytes)));
  } else if (static_cast<double>(slots) > kMaxSlots) {
    problems.add(
        place,
        format_text("{}: capacity = '{}': more than {:.0f} blocks of {}; raise [space] block_bytes", what,
                    write_bytes(tier.capacity_bytes), kMaxSlots, write_bytes(space.block_bytes)));
  }
}

void check_records(const Config& config, Problems& problems) {
  std::uint64_t slots = 0;
  for (const TierConfig& tier : config.tiers) slots += tier.capacity_bytes / config.space.block_bytes;
  if (static_cast<double>(slots) * (1 + config.space.ghosts_percent / 100.0) <= kMaxSlots) return;
  problems.add(
      {},
      format_text("[space]: all tiers together hold more than {:.0f} blocks and ghosts; raise block_bytes "
                  "or lower ghosts_percent",
                  kMaxSlots));
}

}  // namespace

std::string tier_words(std::string_view name, std::size_t index) {
  return name.empty() ? format_text("tier {}", index + 1) : format_text("tier {}", in_quotes(name));
}

void check_names(std::span<const TierConfig> tiers, std::span<const TierPlaces> places, Problems& problems) {
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const std::string& name = tiers[i].name;
    if (name.empty()) continue;
    const Place place = places_of(places, i).name;
    const std::string what = tier_words(name, i);
    check_name(name, what, place, problems);
    const auto earlier = tiers.first(i);
    const auto same = std::ranges::find(earlier, name, &TierConfig::name);
    if (same == earlier.end()) continue;
    const Place first = places_of(places, static_cast<std::size_t>(same - earlier.begin())).name;
    problems.add(place,
                 format_text("{}: this name is taken{}; tiers need different names", what, in_line(first)));
  }
}

std::string tenant_words(std::string_view name, std::size_t index) {
  return name.empty() ? format_text("tenant {}", index + 1) : format_text("tenant {}", in_quotes(name));
}

namespace {

// A salt may be a secret: messages do not repeat it.
void check_twins(std::span<const TenantConfig> tenants, std::span<const TenantPlaces> places, std::size_t i,
                 Problems& problems) {
  const TenantConfig& tenant = tenants[i];
  const std::string what = tenant_words(tenant.name, i);
  bool name_taken = false;
  bool salt_taken = false;
  for (std::size_t j = 0; j < i; ++j) {
    if (!name_taken && !tenant.name.empty() && tenants[j].name == tenant.name) {
      name_taken = true;
      problems.add(places_of(places, i).name,
                   format_text("{}: this name is taken{}; tenants need different names", what,
                               in_line(places_of(places, j).name)));
    }
    if (!salt_taken && !tenant.salt.empty() && tenant_id(tenants[j].salt) == tenant_id(tenant.salt)) {
      salt_taken = true;
      problems.add(places_of(places, i).salt,
                   format_text("{}: this salt is that of {} already{}; tenants need different salts", what,
                               tenant_words(tenants[j].name, j), in_line(places_of(places, j).salt)));
    }
  }
}

}  // namespace

void check_tenants(std::span<const TenantConfig> tenants, std::span<const TenantPlaces> places,
                   Problems& problems) {
  if (tenants.size() > kMaxTenants) {
    problems.add(
        places_of(places, kMaxTenants).header,
        format_text("{} tenants are too many; a config lists at most {}", tenants.size(), kMaxTenants));
    return;
  }
  double sum = 0;
  bool said = false;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const TenantConfig& tenant = tenants[i];
    if (!tenant.name.empty())
      check_name(tenant.name, tenant_words(tenant.name, i), places_of(places, i).name, problems);
    check_twins(tenants, places, i, problems);
    sum += tenant.share;
    constexpr double kRounding = 1e-9;
    if (said || sum <= 1 + kRounding) continue;
    said = true;
    problems.add(
        places_of(places, i).share,
        format_text("{}: share = {}: with it the tenants' shares are {} together, more than the whole; "
                    "lower some to 100% in all",
                    tenant_words(tenant.name, i), in_quotes(write_share(tenant.share)),
                    format_text("{:.4g}%", 100 * sum)));
  }
}

void check_whole(const Config& config, std::span<const TierPlaces> places, Problems& problems) {
  check_count(config, places, problems);
  if (config.space.block_bytes % kBlockUnit != 0) {
    problems.add({}, format_text("[space]: block_bytes = '{}': not a multiple of {} bytes; the next is {}",
                                 write_bytes(config.space.block_bytes), kBlockUnit,
                                 write_bytes((config.space.block_bytes / kBlockUnit + 1) * kBlockUnit)));
  }
  for (std::size_t i = 0; i < config.tiers.size(); ++i) {
    check_capacity(config.space, config.tiers[i], i, places_of(places, i).capacity, problems);
  }
  if (problems.none()) check_records(config, problems);
}

const TierFactory* known_kind(std::string_view kind, std::string_view what, Place place, Problems& problems) {
  const TierFactory* factory = find_tier_factory(kind);
  if (factory != nullptr) return factory;
  std::vector<std::string_view> kinds;
  for (const TierFactory* known : tier_factories()) kinds.push_back(known->kind);
  problems.add(place, format_text("{}: unknown kind {}{}", what, in_quotes(kind), did_you_mean(kind, kinds)));
  return nullptr;
}

const PolicyFactory* known_policy(std::string_view name, Place place, Problems& problems) {
  const PolicyFactory* factory = find_policy_factory(name);
  if (factory != nullptr) return factory;
  std::vector<std::string_view> names;
  for (const PolicyFactory* known : policy_factories()) names.push_back(known->name);
  problems.add(place,
               format_text("[policy]: unknown policy {}{}", in_quotes(name), did_you_mean(name, names)));
  return nullptr;
}

}  // namespace kelvin::config
