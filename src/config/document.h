// Document: a TOML text as plain sections of entries with their places, before anything is known of keys.
//
// The only files that know the TOML library are toml.h and document.cc.
// Thread contract: values; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/problems.h"
#include "kelvin/config.h"

namespace kelvin::config {

// How a value was written.
enum class Form : std::uint8_t { kText, kInteger, kReal, kBoolean, kTextList, kOther };

struct Entry {
  std::string name;
  Place key;
  Place value;
  Form form = Form::kOther;
  std::string text;  // the value; a list is joined by '\n'; kOther: its kind in words, "a date"
};

enum class Shape : std::uint8_t { kValue, kTable, kTableList };  // key = 1, [name], [[name]]

struct Section {
  std::string name;
  Place place;
  Shape shape = Shape::kTable;
  std::vector<Entry> entries;  // in the order of the text
};

// Every top-level name, in the order of the text; a [[name]] is one Section for each element.
struct Document {
  std::vector<Section> sections;
};

inline constexpr std::size_t kMaxTextBytes = 1u << 20;  // a config is some hundred lines: more is a mistake

// False: not TOML, too long or nested too deeply; `problems` says where.
bool read_document(std::string_view text, Document& document, Problems& problems);

}  // namespace kelvin::config
