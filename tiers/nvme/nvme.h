// The kind "nvme": blocks on local drives, in preallocated files or on the bare devices, and the links
// between them and host memory.
//
// Thread contract: constants; see kelvin/plugin.h for when the factories are called.
#pragma once

#include "kelvin/plugin.h"
#include "kelvin/upkeep.h"

namespace kelvin {

extern const TierFactory kNvmeTier;
extern const LinkFactory kNvmeLink;  // joins an nvme tier with any tier of host memory, in both directions
extern const Upkeep kNvmeUpkeep;

}  // namespace kelvin
