// Toy: the smallest useful tier, link and policy. docs/adding.md walks through them.
//
// The tier keeps its blocks in one nameless file, the link moves them by plain reads and writes, and the
// policy sends away whatever its hand meets first. A second policy is a ranking alone.
//
// Thread contract: constant tables; the factories' is in kelvin/plugin.h.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const TierFactory kToyTier;      // kind "toy"; key: folder
extern const LinkFactory kToyLink;      // between host memory and a toy tier, either way
extern const PolicyFactory kToyPolicy;  // name "toy"; no keys

extern const PolicyFactory kToyRankedPolicy;  // name "toy_ranked"; no keys

}  // namespace kelvin
