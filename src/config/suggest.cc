// See suggest.h.
#include "config/suggest.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/format_text.h"

namespace kelvin::config {
namespace {

constexpr std::size_t kLongest = 64;

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  if (a == b) return 0;
  if (std::max(a.size(), b.size()) > kLongest) return kLongest;
  // Three rows of the classic table: a swap looks two rows up.
  std::array<std::array<std::size_t, kLongest + 1>, 3> rows{};
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  // Up to a third of the word may be wrong: further off, a suggestion would be a guess.
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string in_a_row(std::span<const std::string_view> words) {
  std::string row;
  std::string_view between;
  for (const std::string_view word : words) row.append(std::exchange(between, ", ")).append(word);
  return row;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view meant = nearest(word, known);
  if (known.empty()) return "; there are none";
  if (meant.empty()) return format_text("; known: {}", in_a_row(known));
  return format_text("; did you mean '{}'? Known: {}", meant, in_a_row(known));
}

}  // namespace kelvin::config
