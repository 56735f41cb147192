// A DAX device as an arena: its memory mapped as it is, past any file system.
//
// Thread contract: one thread; the arena is an Arena.
#pragma once

#include <cstdint>
#include <string>

#include "machine/dax.h"
#include "tiers/host/arena.h"

namespace kelvin {

// Maps the first `bytes` of the device, and claims it until the arena ends, so that no second tier writes
// there. kFull: it has less. kBusy: another tier or process has claimed it. kUnavailable: it cannot be opened
// (no permission, gone). kIo: it cannot be mapped. `why` says what to do.
Result<Arena> map_dax(const DaxDevice& device, std::uint64_t bytes, std::string* why);

}  // namespace kelvin
