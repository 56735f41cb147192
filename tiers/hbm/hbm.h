// GPU memory as a plug-in: the tier kind "hbm", and the links between it and host memory, and between two of
// its kind.
//
// Thread contract: constant tables; the factories' is in kelvin/plugin.h.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const TierFactory kHbmTier;  // HbmTier, owned or over TierContext::adopted; keys: hbm_settings.cc
extern const LinkFactory kHbmLink;  // HbmLink

}  // namespace kelvin
