// See document.h.
#include "config/document.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/format_text.h"
#include "config/nesting.h"
#include "config/toml.h"
#include "config/units.h"

namespace kelvin::config {
namespace {

Place place_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string kind_in_words(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "a list";
    case toml::node_type::date: return "a date";
    case toml::node_type::time: return "a time of day";
    case toml::node_type::date_time: return "a date and time";
    default: return "a value";
  }
}

// A list holds texts only, none empty and none with a line break: it is kept joined by line breaks.
bool join_texts(const toml::array& array, std::string& joined) {
  for (const toml::node& element : array) {
    const auto* text = element.as_string();
    if (text == nullptr || text->get().empty() || text->get().find('\n') != std::string::npos) return false;
    if (!joined.empty()) joined += '\n';
    joined += text->get();
  }
  return !joined.empty();
}

void read_value(const toml::node& node, Entry& entry) {
  if (const auto* text = node.as_string()) {
    entry.form = Form::kText;
    entry.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    entry.form = Form::kInteger;
    entry.text = format_text("{}", integer->get());
  } else if (const auto* real = node.as_floating_point()) {
    entry.form = Form::kReal;
    entry.text = write_real(real->get());
  } else if (const auto* boolean = node.as_boolean()) {
    entry.form = Form::kBoolean;
    entry.text = boolean->get() ? "true" : "false";
  } else if (const auto* array = node.as_array(); array != nullptr && join_texts(*array, entry.text)) {
    entry.form = Form::kTextList;
  } else {
    entry.form = Form::kOther;
    entry.text = kind_in_words(node);
  }
}

bool stands_before(Place a, Place b) { return std::tie(a.line, a.column) < std::tie(b.line, b.column); }

void read_entries(const toml::table& table, Section& section) {
  for (const auto& [key, node] : table) {
    Entry entry;
    entry.name = key.str();
    entry.key = place_of(key.source());
    entry.value = place_of(node.source());
    read_value(node, entry);
    section.entries.push_back(std::move(entry));
  }
  std::ranges::stable_sort(section.entries, stands_before, &Entry::key);
}

void read_section(const toml::key& key, const toml::node& node, Document& document) {
  Section section{
      .name = std::string(key.str()), .place = place_of(key.source()), .shape = Shape::kValue, .entries = {}};
  if (const auto* table = node.as_table()) {
    section.shape = Shape::kTable;
    read_entries(*table, section);
  } else if (const auto* array = node.as_array(); array != nullptr && array->is_homogeneous<toml::table>()) {
    section.shape = Shape::kTableList;
    for (const toml::node& element : *array) {
      Section one = section;
      one.place = place_of(element.source());
      read_entries(*element.as_table(), one);
      document.sections.push_back(std::move(one));
    }
    return;
  }
  document.sections.push_back(std::move(section));
}

}  // namespace

bool read_document(std::string_view text, Document& document, Problems& problems) {
  if (text.size() > kMaxTextBytes) {
    problems.add({},
                 format_text("{} bytes are too long for a config: at most {}", text.size(), kMaxTextBytes));
    return false;
  }
  Place deep;
  if (nested_too_deeply(text, deep)) {
    problems.add(deep, "keys or brackets nested too deeply; a config needs no more than [[tier]] and a list");
    return false;
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    problems.add(
        place_of(parsed.error().source()),
        format_text("not TOML: {}; texts, sizes and times stand in quotes", parsed.error().description()));
    return false;
  }
  for (const auto& [key, node] : parsed.table()) read_section(key, node, document);
  std::ranges::stable_sort(document.sections, stands_before, &Section::place);
  return true;
}

}  // namespace kelvin::config
