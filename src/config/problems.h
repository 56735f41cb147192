// Problems: what is wrong with a config, gathered so that a reader sees every mistake at once, in order.
//
// Thread contract: a value; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kelvin::config {

// Where something stands in a text; both count from 1. Line 0: not from a text.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class Problems {
 public:
  // `text` says what, why and how to mend it, without the place.
  void add(Place place, std::string text);

  bool none() const noexcept { return found_.empty(); }

  // One problem a line, sorted by place: "kelvin.toml:3:1: ..."; where `name` is empty
  // "line 3, column 1: ...". Problems without a place have no such prefix, but the name, if any.
  std::string text(std::string_view name) const;

 private:
  struct Problem {
    Place place;
    std::string text;
  };
  std::vector<Problem> found_;
};

// Text of a user inside quotes, fit for a terminal: control characters are escaped, long text is cut.
std::string in_quotes(std::string_view text);

}  // namespace kelvin::config
