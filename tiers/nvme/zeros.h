// Writes zeros over a part of a file, several threads at once, so that its extents count as written.
//
// Thread contract: any thread; returns when all its threads have ended.
#pragma once

#include <cstdint>

namespace kelvin::nvme {

// Writes [from, to), both multiples of 4096. Returns 0, or the errno of the first write that failed.
int write_zeros(int fd, std::uint64_t from, std::uint64_t to) noexcept;

}  // namespace kelvin::nvme
