// See registry.h. A new tier, link or policy is one #include and one line below (docs/adding.md).
#include "registry.h"

#include <algorithm>
#include <array>

#include "policies/arc.h"
#include "policies/cost.h"
#include "policies/heat.h"
#include "policies/lru.h"
#include "policies/lru2.h"
#include "policies/s3fifo.h"
#include "tiers/fake/fake.h"
#if KELVIN_WITH_HBM
#include "tiers/hbm/gds/gds.h"
#include "tiers/hbm/hbm.h"
#endif
#include "tiers/host/host.h"
#if KELVIN_WITH_NVME
#include "tiers/nvme/nvme.h"
#endif

namespace kelvin {
namespace {

constexpr std::array kTiers = {
    &kDramTier, &kCxlTier, &kAdoptedTier,
#if KELVIN_WITH_HBM
    &kHbmTier,
#endif
#if KELVIN_WITH_NVME
    &kNvmeTier,
#endif
    &kFakeTier,
};

// The first that joins a pair of tiers wins: a fake tier is always reached by its scripted link.
constexpr std::array kLinks = {
    &kFakeLink,
#if KELVIN_WITH_HBM
    &kGdsLink,  // before what joins the two through host memory
    &kHbmLink,
#endif
#if KELVIN_WITH_NVME
    &kNvmeLink,
#endif
    &kHostLink,
};

constexpr std::array kUpkeeps = {
#if KELVIN_WITH_NVME
    &kNvmeUpkeep,
#else
    static_cast<const Upkeep*>(nullptr),
#endif
};

constexpr std::array kPolicies = {
    &kHeatPolicy, &kLruPolicy, &kLru2Policy, &kArcPolicy, &kS3FifoPolicy, &kCostPolicy,
};

}  // namespace

std::span<const TierFactory* const> tier_factories() noexcept { return kTiers; }
std::span<const LinkFactory* const> link_factories() noexcept { return kLinks; }
std::span<const PolicyFactory* const> policy_factories() noexcept { return kPolicies; }

const TierFactory* find_tier_factory(std::string_view kind) noexcept {
  const auto* it = std::ranges::find_if(kTiers, [&](const TierFactory* f) { return f->kind == kind; });
  return it == kTiers.end() ? nullptr : *it;
}

const PolicyFactory* find_policy_factory(std::string_view name) noexcept {
  const auto* it = std::ranges::find_if(kPolicies, [&](const PolicyFactory* f) { return f->name == name; });
  return it == kPolicies.end() ? nullptr : *it;
}

const Upkeep* find_upkeep(std::string_view kind) noexcept {
  const auto* it =
      std::ranges::find_if(kUpkeeps, [&](const Upkeep* u) { return u != nullptr && u->kind == kind; });
  return it == kUpkeeps.end() ? nullptr : *it;
}

Result<std::unique_ptr<Link>> connect_tiers(const LinkContext& context, std::string* why) {
  for (const LinkFactory* factory : kLinks) {
    auto made = factory->connect(context, why);
    if (!made.ok() || *made != nullptr) return made;
  }
  return std::unique_ptr<Link>();
}

}  // namespace kelvin
