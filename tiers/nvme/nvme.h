// The kind "nvme": blocks in one preallocated file on a local drive, and the links between it and host
// memory.
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
