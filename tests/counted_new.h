// How often operator new was called in this process. Link counted_new.cc, which replaces it.
//
// Thread contract: any thread.
#pragma once

#include <cstdint>

namespace kelvin::testing {

std::uint64_t allocations() noexcept;

}  // namespace kelvin::testing
