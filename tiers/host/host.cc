// See host.h.
#include "tiers/host/host.h"

#include <fmt/format.h>

#include <array>
#include <new>
#include <utility>

#include "tiers/host/adopted_tier.h"
#include "tiers/host/host_link.h"
#include "tiers/host/host_tier.h"

namespace kelvin {
namespace {

constexpr std::array kDramOptions = {
    OptionSpec{
        .name = "huge_pages",
        .type = OptionType::kChoice,
        .fallback = "auto",
        .reason =
            "pages under the slots: auto takes reserved 2 MiB pages, else transparent ones, else 4 KiB; "
            "hugetlb and thp fail where they are not to be had",
        .choices = "auto|hugetlb|thp|none"},
    OptionSpec{.name = "prefault",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason = "touch all memory at start-up (0.1 to 0.7 s a GB and core), not at first use"},
    OptionSpec{.name = "mlock",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason = "never swap the slots out; needs RLIMIT_MEMLOCK"},
};

HugePages huge_pages_of(const std::string& word) noexcept {
  if (word == "hugetlb") return HugePages::kHugetlb;
  if (word == "thp") return HugePages::kThp;
  if (word == "none") return HugePages::kNone;
  return HugePages::kAuto;
}

// Result<unique_ptr<T>> as a result of its base.
template <class Base, class T>
Result<std::unique_ptr<Base>> upcast(Result<std::unique_ptr<T>> result) {
  if (!result.ok()) return result.status();
  return std::unique_ptr<Base>(std::move(*result));
}

Result<std::unique_ptr<Tier>> open_dram(const TierContext& context, const Options& options,
                                        std::string* why) {
  try {
    HostTierOptions host;
    host.name = context.tier.name;
    host.capacity_bytes = context.tier.capacity_bytes;
    host.block_bytes = context.space.block_bytes;
    host.huge_pages = huge_pages_of(options.text("huge_pages"));
    host.prefault = options.boolean("prefault");
    host.mlock = options.boolean("mlock");
    return upcast<Tier>(HostTier::open(host, why));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "opening a host tier");
  }
}

Result<std::unique_ptr<Tier>> open_adopted(const TierContext& context, const Options& /*options*/,
                                           std::string* why) {
  try {
    if (context.adopted == nullptr) {
      *why = fmt::format(
          "tier '{}' is of kind adopted, but no memory came with it: give it in Parts::adopted to "
          "Space::open, or choose another kind",
          context.tier.name);
      return Status(Code::kInvalid, "adopting memory");
    }
    return upcast<Tier>(AdoptedTier::open(context.tier.name, *context.adopted, context.space.block_bytes,
                                          context.tier.capacity_bytes, why));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "adopting memory");
  }
}

Result<std::unique_ptr<Link>> connect_host(const LinkContext& context, std::string* /*why*/) {
  if (!HostLink::joins(context.from.info(), context.to.info())) return std::unique_ptr<Link>();
  try {
    return std::unique_ptr<Link>(std::make_unique<HostLink>(context.from, context.to));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "joining host tiers");
  }
}

}  // namespace

constinit const TierFactory kDramTier = {"dram", kDramOptions, open_dram};
constinit const TierFactory kAdoptedTier = {"adopted", {}, open_adopted};
constinit const LinkFactory kHostLink = {"host", connect_host};

}  // namespace kelvin
