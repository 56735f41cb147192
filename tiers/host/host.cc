// See host.h.
#include "tiers/host/host.h"

#include <array>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "tiers/host/adopted_tier.h"
#include "tiers/host/host_link.h"
#include "tiers/host/host_options.h"
#include "tiers/host/host_tier.h"

namespace kelvin {
namespace {

constexpr std::array kDramOptions = {
    kHugePagesOption,
    OptionSpec{.name = "nodes",
               .type = OptionType::kTextList,
               .fallback = "local",
               .reason =
                   "memory nodes that the slots lie on, in turn: local (those whose CPUs this process may "
                   "run on), interleave (all with CPUs), or a list such as 0 or 0-1"},
    kPrefaultOption,
    kMlockOption,
};

// Result<unique_ptr<T>> as a result of its base.
template <class Base, class T>
Result<std::unique_ptr<Base>> upcast(Result<std::unique_ptr<T>> result) {
  if (!result.ok()) return result.status();
  return std::unique_ptr<Base>(std::move(*result));
}

Result<std::unique_ptr<Tier>> open_dram(const TierContext& context, const Options& options,
                                        std::string* why) {
  try {
    HostTierOptions host = host_options(context, options);
    auto placement = place(options.text_list("nodes"), memory_nodes(), allowed_cpus(), why);
    if (!placement.ok()) {
      *why = format_text("tier '{}': {}", host.name, *why);
      return placement.status();
    }
    host.placement = std::move(*placement);
    return upcast<Tier>(HostTier::open(host, why));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "opening a host tier");
  }
}

Result<std::unique_ptr<Tier>> open_adopted(const TierContext& context, const Options& /*options*/,
                                           std::string* why) {
  try {
    if (context.adopted == nullptr) {
      *why = format_text(
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
