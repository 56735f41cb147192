// Host memory as plug-ins: the tier kinds "dram", "cxl" and "adopted", and the link between tiers in host
// memory.
//
// Thread contract: constant tables; the factories' is in kelvin/plugin.h.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const TierFactory kDramTier;  // HostTier; keys: huge_pages, nodes, prefault, mlock
extern const TierFactory
    kCxlTier;  // HostTier on far memory; keys: device, through, huge_pages, prefault, mlock
extern const TierFactory kAdoptedTier;  // AdoptedTier over TierContext::adopted; no keys
extern const LinkFactory kHostLink;     // HostLink, for any two tiers with host addresses

}  // namespace kelvin
