// The tier kind "cxl": a HostTier on far memory. See host.h.
#include <array>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "tiers/host/dax_arena.h"
#include "tiers/host/far_memory.h"
#include "tiers/host/host.h"
#include "tiers/host/host_options.h"
#include "tiers/host/memkind_arena.h"

namespace kelvin {
namespace {

constexpr std::array kCxlOptions = {
    OptionSpec{.name = "device",
               .type = OptionType::kTextList,
               .fallback = "auto",
               .reason =
                   "memory nodes (node2) or DAX devices (/dev/dax0.0, mapped directly and overwritten); auto "
                   "finds nodes without CPUs, else DAX devices that are not persistent"},
    OptionSpec{.name = "through",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason =
                   "how memory of nodes is taken: memkind (nodes that it finds itself), mbind; auto takes "
                   "memkind where it has found the same, else mbind",
               .choices = "auto|memkind|mbind"},
    kHugePagesOption,
    kPrefaultOption,
    kMlockOption,
};

using Opened = Result<std::unique_ptr<HostTier>>;

Opened open_devices(const HostTierOptions& host, const FarMemory& far, std::string* why) {
  const auto make = [&](std::size_t i, std::uint64_t bytes, std::string* told) {
    return map_dax(far.devices[i], bytes, told);
  };
  return HostTier::open(host, far.devices.size(), make, why);
}

Opened open_memkind(const HostTierOptions& host, const FarMemory& far, std::string* why) {
  const bool all = far.nodes.size() > 1;
  const auto make = [&](std::size_t /*i*/, std::uint64_t bytes, std::string* told) {
    return map_memkind(bytes, all, all ? -1 : far.nodes[0], told);
  };
  return HostTier::open(host, 1, make, why);
}

// memkind chooses nodes by itself: it serves only who left them to be found, and wants no certain pages.
Opened open_nodes(HostTierOptions& host, const FarMemory& far, const std::string& through, std::string* why) {
  std::string unused;
  const bool fits = far.found && host.huge_pages == HugePages::kAuto;
  if (through == "memkind" && !fits) {
    *why = format_text(
        "tier '{}': through = \"memkind\" needs device = \"auto\" and huge_pages = \"auto\": memkind "
        "chooses both itself; set through = \"mbind\"",
        host.name);
    return Status(Code::kInvalid, "opening far memory");
  }
  if (through == "memkind" || (through == "auto" && fits && memkind_serves(&unused)))
    return open_memkind(host, far, why);
  host.placement = {far.nodes, true};
  return HostTier::open(host, why);
}

Result<std::unique_ptr<Tier>> open_cxl(const TierContext& context, const Options& options, std::string* why) {
  try {
    HostTierOptions host = host_options(context, options);
    host.kind = TierKind::kCxl;
    const auto far = find_far_memory(options.text_list("device"), memory_nodes(), dax_devices(), why);
    if (!far.ok()) {
      *why = format_text("tier '{}': {}", host.name, *why);
      return far.status();
    }
    Opened opened = far->devices.empty() ? open_nodes(host, *far, options.text("through"), why)
                                         : open_devices(host, *far, why);
    if (!opened.ok()) return opened.status();
    return std::unique_ptr<Tier>(std::move(*opened));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "opening far memory");
  }
}

}  // namespace

constinit const TierFactory kCxlTier = {"cxl", kCxlOptions, open_cxl};

}  // namespace kelvin
