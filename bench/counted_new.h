// How many bytes operator new has given in this process. Link counted_new.cc, which replaces it.
//
// Thread contract: any thread.
#pragma once

#include <cstdint>

namespace kelvin::bench {

std::uint64_t allocated_bytes() noexcept;  // ever: what was given back is not taken off

}  // namespace kelvin::bench
