// Gives memory its pages ahead of use, with a few threads.
//
// Thread contract: any thread; the memory is the caller's alone until it returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kelvin/status.h"

namespace kelvin {

// Makes every page of [base, base + bytes) present and writable. Fresh anonymous memory only: bytes may be
// written with what they hold. The threads stay on `cpus`, one for each, a few at most; empty: wherever this
// process may run. kFull: the system has no page left.
Status populate(std::byte* base, std::uint64_t bytes, const std::vector<int>& cpus = {}) noexcept;

}  // namespace kelvin
