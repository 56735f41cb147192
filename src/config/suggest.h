// Which known word somebody meant who wrote an unknown one.
//
// Thread contract: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kelvin::config {

// Inserted, deleted, replaced and swapped neighbouring characters that turn `a` into `b`.
// Words longer than 64 characters count as 64 apart from any other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, the first of several; empty where none is near enough to be meant.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "a, b, c".
std::string in_a_row(std::span<const std::string_view> words);

// "; did you mean 'x'? Known: a, b, x" or "; known: a, b, x".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace kelvin::config
