// MIN: the most hits any policy could have, known only afterwards.
//
// Evicts the block whose next use is farthest, of equals the deepest. Blocks of one chain then leave end
// first, so that what is kept is always whole prefixes; and as every block costs the same, no policy that
// decides without knowing the future, nor one that does, has more hits in one memory of that size.
// A request's new blocks pass through the memory, or past it where their next use is farther than all
// others'.
//
// Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
// Journal 5(2), 1966.
//
// Thread contract: a pure function.
#pragma once

#include <cstdint>

#include "cli/trace_set.h"

namespace kelvin::cli {

// Blocks hit: references whose whole prefix is in a memory of `capacity` blocks.
std::uint64_t belady_hits(const TraceSet& traces, std::uint64_t capacity);

}  // namespace kelvin::cli
