// Refuses texts whose nesting could exhaust the stack of a recursive TOML parser or destructor.
//
// A parser limits nested brackets, but "a.a.a.a = 1" makes one table inside the other for each dot, and
// those are destroyed recursively. This looks for both in one pass, before anything is built.
//
// Thread contract: pure.
// Invariants:
//   1. Up to a text's first TOML error it agrees with TOML on what is a comment, a string or structure.
#pragma once

#include <string_view>

#include "config/problems.h"

namespace kelvin::config {

inline constexpr int kMaxNesting = 16;  // brackets open at once, and dots in one key

// True: too deep, at `place`.
bool nested_too_deeply(std::string_view text, Place& place);

}  // namespace kelvin::config
