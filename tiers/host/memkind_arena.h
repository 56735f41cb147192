// Far memory by memkind: its kinds MEMKIND_DAX_KMEM* know which nodes DAX devices were turned into.
//
// Thread contract: one thread; the arena is an Arena.
#pragma once

#include <cstdint>
#include <string>

#include "tiers/host/arena.h"

namespace kelvin {

// Whether this build has memkind and memkind finds such nodes; else `why` says which of the two is missing.
bool memkind_serves(std::string* why);

// Memory of the nearest such nodes (of all of them where `all`). kUnsupported: as memkind_serves; kFull: it
// has less. `node`: what it is expected to lie on, -1: several.
Result<Arena> map_memkind(std::uint64_t bytes, bool all, int node, std::string* why);

}  // namespace kelvin
