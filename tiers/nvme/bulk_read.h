// Reads a long run of a medium into memory, several large requests at once.
//
// Thread contract: any thread; returns when all of it is there, or nothing is under way any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

// Whole pages, into memory aligned to pages.
Status bulk_read(Medium& medium, std::uint64_t offset, std::span<std::byte> bytes, std::string* why);

}  // namespace kelvin::nvme
