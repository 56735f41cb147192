// See problems.h.
#include "config/problems.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/format_text.h"

namespace kelvin::config {
namespace {

constexpr std::size_t kShown = 20;          // more would scroll the first, and likely the cause, away
constexpr std::size_t kQuotedBytes = 80;    // of the user's text in a message
constexpr unsigned char kContinued = 0x80;  // UTF-8 continuation bytes are 10xxxxxx

std::string prefix(std::string_view name, Place place) {
  if (place.line == 0) return name.empty() ? std::string() : format_text("{}: ", name);
  if (name.empty()) return format_text("line {}, column {}: ", place.line, place.column);
  return format_text("{}:{}:{}: ", name, place.line, place.column);
}

}  // namespace

void Problems::add(Place place, std::string text) { found_.push_back({place, std::move(text)}); }

std::string Problems::text(std::string_view name) const {
  std::vector<Problem> sorted = found_;
  std::ranges::stable_sort(sorted, {},
                           [](const Problem& p) { return std::pair(p.place.line, p.place.column); });
  std::string all;
  for (std::size_t i = 0; i < std::min(sorted.size(), kShown); ++i) {
    if (i > 0) all += '\n';
    all += prefix(name, sorted[i].place) + sorted[i].text;
  }
  if (sorted.size() > kShown) all += format_text("\n... and {} more", sorted.size() - kShown);
  return all;
}

std::string in_quotes(std::string_view text) {
  std::size_t size = std::min(text.size(), kQuotedBytes);
  while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == kContinued)
    --size;
  std::string out = "'";
  for (const char c : text.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += format_text("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (size < text.size() ? "...'" : "'");
}

}  // namespace kelvin::config
