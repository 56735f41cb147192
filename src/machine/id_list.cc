// See id_list.h.
#include "machine/id_list.h"

#include <algorithm>
#include <charconv>

#include "base/format_text.h"

namespace kelvin {
namespace {

constexpr int kMost = 1 << 16;  // a kernel counts neither CPUs nor nodes beyond

// Takes a number off the front; -1 if there is none.
int take_number(std::string_view& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > kMost) return -1;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::vector<int> read_id_list(std::string_view text) {
  while (take(text, ' ') || take(text, '\t')) {
  }
  std::vector<int> ids;
  do {
    const int first = take_number(text);
    if (first < 0) break;
    const int last = take(text, '-') ? take_number(text) : first;
    for (int id = first; id <= last; ++id) ids.push_back(id);
  } while (take(text, ','));
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::string id_list_text(const std::vector<int>& ids) {
  std::string text;
  for (std::size_t i = 0; i < ids.size();) {
    std::size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] == ids[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += last == i ? format_text("{}", ids[i]) : format_text("{}-{}", ids[i], ids[last]);
    i = last + 1;
  }
  return text.empty() ? "none" : text;
}

}  // namespace kelvin
