// One value against the OptionSpec of its key: is it of that type, in range, one of the choices?
//
// Thread contract: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/problems.h"
#include "kelvin/config.h"

namespace kelvin::config {

// A number whose greatest value is at most 1: it may also be written as a percentage.
constexpr bool is_share(const OptionSpec& spec) noexcept {
  return spec.type == OptionType::kReal && spec.max <= 1.0;
}

constexpr bool is_required(const OptionSpec& spec) noexcept { return spec.fallback.empty(); }

// Empty if `text` is a good value, else what is wrong with it and what would be right, beginning with the
// value in quotes. A list is joined by '\n'.
std::string value_problem(const OptionSpec& spec, std::string_view text);

// Adds every problem of `given`, the keys of one tier or policy, to `problems`: unknown, given twice, bad
// value, missing. `what` begins each message; `place` is that of missing keys.
void check_options(std::span<const OptionSpec> specs, const std::vector<Option>& given, std::string_view what,
                   Place place, Problems& problems);

// What docs and messages say about a key's type: "size", "one of auto|uring|threads", ...
std::string type_words(const OptionSpec& spec);
// What it may be: "at least 1", "4KiB to 1GiB"; empty if anything of its type.
std::string range_words(const OptionSpec& spec);
// How it may look in TOML: `"8GiB"`.
std::string example(const OptionSpec& spec);

// The message for a required key that was not given.
std::string missing(std::string_view what, const OptionSpec& spec);

// Splits at every `separator`: "a|b" -> a, b.
std::vector<std::string_view> split(std::string_view text, char separator);

std::vector<std::string_view> names_of(std::span<const OptionSpec> specs);

}  // namespace kelvin::config
