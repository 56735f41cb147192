// Policy "lru": the least recently released block goes first, the deepest of a prefix before those it builds
// on.
//
// Lists of blocks in order of their last use, one a tier; a block is in the list of each tier that holds a
// copy. A lease's blocks are touched when it ends, deepest first, so that a parent is always more recent than
// its children and a victim is always a leaf. A victim is dropped where a lower tier has a copy or none would
// take it, else demoted to the next lower tier; copies below stay when a block is promoted. Blocks published
// into adopted slots are copied down at once, as the engine may take its slots back at any time.
//
// Source: O'Neil et al., "The LRU-K page replacement algorithm", SIGMOD 1993 (K = 1); order of touches:
// docs/tuning.md.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kLruPolicy;

}  // namespace kelvin
