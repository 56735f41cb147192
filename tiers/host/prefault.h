// Gives memory its pages ahead of use, with a few threads.
//
// Thread contract: any thread; the memory is the caller's alone until it returns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kelvin/status.h"

namespace kelvin {

// Makes every page of [base, base + bytes) present and writable. Fresh anonymous memory only: bytes may be
// written with what they hold. kFull: the system has no page left.
Status populate(std::byte* base, std::uint64_t bytes) noexcept;

}  // namespace kelvin
