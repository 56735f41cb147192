// Text from a format string and values, as fmt::format makes it. fmt's machinery is compiled once, in
// format_text.cc, and not again in every file that says something: there it took up to three quarters of the
// file's build. The format string is still checked when its caller is compiled. Any thread; throws
// std::bad_alloc alone.
#pragma once

#include <fmt/format.h>

#include <string>

namespace kelvin {

// The values as fmt::make_format_args keeps them.
std::string format_values(fmt::string_view format, fmt::format_args values);

template <typename... Values>
std::string format_text(fmt::format_string<Values...> format, Values&&... values) {
  return format_values(format, fmt::make_format_args(values...));
}

}  // namespace kelvin
