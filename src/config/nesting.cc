// See nesting.h.
#include "config/nesting.h"

#include <algorithm>

namespace kelvin::config {
namespace {

Place place_at(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 = 0
  const auto starts_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; };
  const auto column = std::ranges::count_if(before.substr(line_start), starts_character) + 1;
  return {static_cast<std::uint32_t>(std::ranges::count(before, '\n') + 1),
          static_cast<std::uint32_t>(column)};
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // True: stopped at what is too deep; false: reached the end.
  bool finds() {
    while (at_ < text_.size()) {
      if (here() == '"' || here() == '\'') {
        skip_string();
      } else if (here() == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        count();
        if (brackets_ > kMaxNesting || dots_ > kMaxNesting) return true;
        ++at_;
      }
    }
    return false;
  }

  std::size_t at() const { return at_; }

 private:
  char here() const { return text_[at_]; }

  void count() {
    const char c = here();
    if (c == '[' || c == '{') ++brackets_;
    if (c == ']' || c == '}') brackets_ = std::max(0, brackets_ - 1);
    if (c == '.') ++dots_;
    // A key ends at its '='; inside brackets also at what separates values.
    if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots_ = 0;
  }

  // Past the closing quotes, or to the end of the text or, for a string of one line, of the line.
  void skip_string() {
    const char quote = here();
    const std::string_view triple = quote == '"' ? R"(""")" : "'''";
    const bool multi_line = text_.substr(at_, 3) == triple;
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      if (quote == '"' && here() == '\\') {
        at_ = std::min(at_ + 2, text_.size());
      } else if (multi_line && text_.substr(at_, 3) == triple) {
        at_ += 3;
        // Up to two quotes more belong to the string itself.
        for (int extra = 0; extra < 2 && at_ < text_.size() && here() == quote; ++extra) ++at_;
        return;
      } else if (!multi_line && (here() == '\n' || here() == quote)) {
        if (here() == quote) ++at_;
        return;
      } else {
        ++at_;
      }
    }
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  int brackets_ = 0;
  int dots_ = 0;
};

}  // namespace

bool nested_too_deeply(std::string_view text, Place& place) {
  Scanner scanner(text);
  if (!scanner.finds()) return false;
  place = place_at(text, scanner.at());
  return true;
}

}  // namespace kelvin::config
