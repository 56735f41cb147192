// The list of everything that can be plugged in: the one place that names implementations.
//
// Thread contract: constant tables; any thread. connect_tiers: as factories are called (kelvin/plugin.h).
#pragma once

#include <span>

#include "kelvin/plugin.h"
#include "kelvin/upkeep.h"

namespace kelvin {

std::span<const TierFactory* const> tier_factories() noexcept;
std::span<const LinkFactory* const> link_factories() noexcept;  // in order of preference
std::span<const PolicyFactory* const> policy_factories() noexcept;

// Null where there is none of that name.
const TierFactory* find_tier_factory(std::string_view kind) noexcept;
const PolicyFactory* find_policy_factory(std::string_view name) noexcept;
const Upkeep* find_upkeep(std::string_view tier_kind) noexcept;

// The link of the first factory that joins this pair; empty: none does. `why`: never null.
Result<std::unique_ptr<Link>> connect_tiers(const LinkContext& context, std::string* why);

}  // namespace kelvin
