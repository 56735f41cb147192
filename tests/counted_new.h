// How often operator new was called in this process. Link counted_new.cc, which replaces it, where it can be
// replaced.
//
// Thread contract: any thread.
#pragma once

#include <cstdint>

namespace kelvin::testing {

#if defined(__clang__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KELVIN_FOREIGN_NEW 1
#endif
#endif
// Clang's thread sanitizer brings an operator new of its own and links with no other: nothing is counted
// there.
#ifdef KELVIN_FOREIGN_NEW
inline constexpr bool kAllocationsCounted = false;
#else
inline constexpr bool kAllocationsCounted = true;
#endif

std::uint64_t allocations() noexcept;

}  // namespace kelvin::testing
