// Policy "lru": the least recently released block goes first, the deepest of a prefix before those it builds
// on.
//
// One list of blocks in order of their last use for each tier. A lease's blocks are touched when it ends,
// deepest first, so that a parent is always more recent than its children and a victim is always a leaf.
//
// Source: O'Neil et al., "The LRU-K page replacement algorithm", SIGMOD 1993 (K = 1); order of touches:
// docs/tuning.md.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kLruPolicy;

}  // namespace kelvin
