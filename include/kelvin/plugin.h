// Plug-in seams: what a new kind of tier, link or policy hands to src/registry.cc. See docs/adding.md.
//
// Thread contract: factories are called while a space opens, by one thread.
// Ownership: what a factory returns belongs to the space; links end before the tiers they join.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kelvin/config.h"
#include "kelvin/link.h"
#include "kelvin/policy.h"
#include "kelvin/space.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin {

struct TierContext {
  const SpaceConfig& space;
  const TierConfig& tier;                  // tier.options are in the Options given to `open`
  const AdoptedMemory* adopted = nullptr;  // what came for this tier in Parts::adopted; null: nothing
};

// A kind of tier. On failure `why` (never null) says what, where and how to mend it.
struct TierFactory {
  std::string_view kind;
  std::span<const OptionSpec> options;
  Result<std::unique_ptr<Tier>> (*open)(const TierContext& context, const Options& options, std::string* why);
};

struct LinkContext {
  const Tier& from;
  const Tier& to;
  Clock clock;                // the space's
  bool single_issuer = true;  // one and the same thread will make every call of submit and poll
};

// A kind of link. `connect` returns an empty pointer where it does not join this pair; the first factory
// in the registry's list that does join it wins, so direct links are listed before general ones. Where it
// succeeds, `why` may hold a remark for a person (Stats::remarks): which of several ways the link goes, or
// what keeps it from joining a pair of its own.
struct LinkFactory {
  std::string_view name;
  Result<std::unique_ptr<Link>> (*connect)(const LinkContext& context, std::string* why);
};

struct PolicyContext {
  std::span<const TierInfo* const> tiers;
  std::uint32_t blocks = 0;  // every BlockId is below this
  const SpaceConfig& space;
};

struct PolicyFactory {
  std::string_view name;
  std::span<const OptionSpec> options;
  Result<std::unique_ptr<Policy>> (*make)(const PolicyContext& context, const Options& options,
                                          std::string* why);
};

}  // namespace kelvin
