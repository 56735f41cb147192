// See host_options.h.
#include "tiers/host/host_options.h"

namespace kelvin {
namespace {

HugePages huge_pages_of(const std::string& word) noexcept {
  if (word == "hugetlb") return HugePages::kHugetlb;
  if (word == "thp") return HugePages::kThp;
  if (word == "none") return HugePages::kNone;
  return HugePages::kAuto;
}

}  // namespace

HostTierOptions host_options(const TierContext& context, const Options& options) {
  HostTierOptions host;
  host.name = context.tier.name;
  host.capacity_bytes = context.tier.capacity_bytes;
  host.block_bytes = context.space.block_bytes;
  host.huge_pages = huge_pages_of(options.text("huge_pages"));
  host.prefault = options.boolean("prefault");
  host.mlock = options.boolean("mlock");
  return host;
}

}  // namespace kelvin
