// Policy "lru2": the block whose last but one use is longest ago goes first; blocks used once before those
// used twice, the longest unused of them first.
//
// The last use of blocks that are gone is remembered. A lease is one use; its blocks are used deepest first,
// so that of equals the deepest goes first.
//
// Source: O'Neil, O'Neil, Weikum, "The LRU-K page replacement algorithm for database disk buffering", SIGMOD
// 1993 (K = 2, without a correlated reference period).
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kLru2Policy;

}  // namespace kelvin
