// Prescan: refuses, before the TOML library sees them, texts that it cannot bear.
//
//   - Nesting that would exhaust the stack. The library limits brackets, but "a.a.a.a = 1" makes one table
//     inside the other for each dot, and those are destroyed recursively.
//   - Characters beyond ASCII where the library asks whether they are blanks: up to version 3.4 its answer
//   for
//     most of them is undefined behaviour. That is outside of texts and comments, where TOML has no use for
//     them, and right after a backslash that ends a line.
//
// Thread contract: pure.
// Invariants:
//   1. Up to a text's first TOML error it agrees with TOML on what is a comment, a string or structure.
#pragma once

#include <string_view>

#include "config/problems.h"

namespace kelvin::config {

inline constexpr int kMaxNesting = 16;  // brackets open at once, and dots in one key

// Null: nothing to refuse. Else what is refused, of static storage duration, and its place.
const char* prescan(std::string_view text, Place& place);

}  // namespace kelvin::config
