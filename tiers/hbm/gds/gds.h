// GPUDirect Storage as a link: from a tier whose slots lie in files to GPU memory, without host memory
// between.
//
// Thread contract: a constant table; kelvin/plugin.h.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const LinkFactory kGdsLink;  // GdsLink; what decides is the hbm tier's key gds

}  // namespace kelvin
