// See prescan.h.
#include "config/prescan.h"

#include <algorithm>

namespace kelvin::config {
namespace {

constexpr const char* kTooDeep =
    "keys or brackets nested too deeply; a config needs no more than [[tier]] and a list";
constexpr const char* kNotAscii =
    "a character that is not ASCII stands outside of a text; put the text, or the key, in quotes";
constexpr const char* kAfterBackslash =
    "a character that is not ASCII follows the backslash that ends a line; write the text on one line";
constexpr const char* kAbutting =
    "a character that is not ASCII stands in quotes that directly follow another word; put a blank before "
    "the quotes";

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

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
  explicit Scanner(std::string_view text)
      : text_(text),
        start_(text.starts_with("\xEF\xBB\xBF") ? 3 : 0),
        at_(start_) {}  // past a byte order mark

  const char* scan() {
    while (complaint_ == nullptr && at_ < text_.size()) step();
    return complaint_;
  }

  std::size_t at() const { return at_; }

 private:
  char here() const { return text_[at_]; }

  void step() {
    if (here() == '"' || here() == '\'') return skip_string();
    if (here() == '#') return skip_comment();
    count_nesting();
    if (brackets_ > kMaxNesting || dots_ > kMaxNesting) complaint_ = kTooDeep;
    if (!is_ascii(here())) complaint_ = kNotAscii;
    if (complaint_ == nullptr) ++at_;
  }

  void count_nesting() {
    const char c = here();
    if (c == '[' || c == '{') ++brackets_;
    if (c == ']' || c == '}') brackets_ = std::max(0, brackets_ - 1);
    if (c == '.') ++dots_;
    // A key ends at its '='; inside brackets also at what separates values.
    if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots_ = 0;
  }

  void skip_comment() { at_ = std::min(text_.find('\n', at_), text_.size()); }

  // Past the closing quotes, or to the end of the text or, for a string of one line, of the line.
  void skip_string() {
    const char quote = here();
    const std::string_view triple = quote == '"' ? R"(""")" : "'''";
    const bool multi_line = text_.substr(at_, 3) == triple;
    // In a word such as 1."x" the library takes the quotes for a part of the number until it finds the error.
    const bool alone =
        at_ == start_ || std::string_view(" \t\r\n=,[{").find(text_[at_ - 1]) != std::string_view::npos;
    at_ += multi_line ? 3 : 1;
    while (complaint_ == nullptr && at_ < text_.size()) {
      if (quote == '"' && here() == '\\') {
        skip_escape();
      } else if (!multi_line && here() == '\n') {
        return;
      } else if (!multi_line && here() == quote) {
        ++at_;
        return;
      } else if (multi_line && text_.substr(at_, 3) == triple) {
        at_ += 3;
        // Up to two quotes more belong to the string itself.
        for (int extra = 0; extra < 2 && at_ < text_.size() && here() == quote; ++extra) ++at_;
        return;
      } else if (!alone && !is_ascii(here())) {
        complaint_ = kAbutting;
      } else {
        ++at_;
      }
    }
  }

  void skip_escape() {
    ++at_;
    const std::size_t next = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    if (next < text_.size() && !is_ascii(text_[next])) {
      at_ = next;
      complaint_ = kAfterBackslash;
    } else {
      at_ = std::min(at_ + 1, text_.size());
    }
  }

  const std::string_view text_;
  const std::size_t start_;
  std::size_t at_;
  int brackets_ = 0;
  int dots_ = 0;
  const char* complaint_ = nullptr;
};

}  // namespace

const char* prescan(std::string_view text, Place& place) {
  Scanner scanner(text);
  const char* const complaint = scanner.scan();
  if (complaint != nullptr) place = place_at(text, scanner.at());
  return complaint;
}

}  // namespace kelvin::config
