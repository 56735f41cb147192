// Policy "arc": two lists, of blocks used once and of blocks used more often, whose shares follow what is
// asked for again after it has gone.
//
// A hit among the lately gone of one list makes that list's target larger. Leases touch their blocks deepest
// first, so that of each list the deepest go first.
//
// Source: Megiddo, Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kArcPolicy;

}  // namespace kelvin
