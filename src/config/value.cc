// See value.h.
#include "config/value.h"

#include <algorithm>
#include <cmath>

#include "base/format_text.h"
#include "config/suggest.h"
#include "config/units.h"

namespace kelvin::config {
namespace {

constexpr std::size_t kTextBytes = 4096;  // as long as a path may be

// One bound of a range, as it is written in a config.
std::string bound(const OptionSpec& spec, double value) {
  switch (spec.type) {
    case OptionType::kBytes: return write_bytes(static_cast<std::uint64_t>(value));
    case OptionType::kDuration: return write_duration(static_cast<std::uint64_t>(value));
    case OptionType::kInteger: return format_text("{}", static_cast<std::int64_t>(value));
    default: break;
  }
  if (is_share(spec)) return write_share(value);
  const bool whole = value == std::trunc(value) && std::abs(value) < 1e15;
  return whole ? format_text("{}", static_cast<std::int64_t>(value)) : write_real(value);
}

std::string range_problem(const OptionSpec& spec, std::string_view text, double value) {
  if (value >= spec.min && value <= spec.max) return {};
  return format_text("{}: out of range; must be {}", in_quotes(text), range_words(spec));
}

template <class T>
std::string number_problem(const OptionSpec& spec, std::string_view text,
                           Complaint (*read)(std::string_view, T&)) {
  T value{};
  const Complaint complaint = read(text, value);
  if (complaint == nullptr) return range_problem(spec, text, static_cast<double>(value));
  const bool says_how = spec.type == OptionType::kBytes || spec.type == OptionType::kDuration;
  if (says_how) return format_text("{}: {}", in_quotes(text), complaint);
  return format_text("{}: {}; write one such as {}", in_quotes(text), complaint, example(spec));
}

// Length of the UTF-8 sequence at the front of `text`, 0 if it is none (overlong, surrogate, cut, ...).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || beyond ? 0 : length;
}

std::string text_problem(std::string_view text) {
  if (text.empty()) return "'': empty; give a text or remove the key";
  if (text.size() > kTextBytes) return format_text("{}: longer than {} bytes", in_quotes(text), kTextBytes);
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F)
      return format_text("{}: holds a control character; remove it", in_quotes(text));
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return "not valid UTF-8; write the file in UTF-8";
    i += length;
  }
  return {};
}

std::string list_problem(std::string_view text) {
  for (const std::string_view element : split(text, '\n')) {
    std::string problem = text_problem(element);
    if (!problem.empty()) return problem;
  }
  return {};
}

std::string choice_problem(const OptionSpec& spec, std::string_view text) {
  const std::vector<std::string_view> choices = split(spec.choices, '|');
  if (std::ranges::find(choices, text) != choices.end()) return {};
  return format_text("{}: not one of the choices{}", in_quotes(text), did_you_mean(text, choices));
}

const Option* find_given(const std::vector<Option>& given, std::string_view name) {
  const auto it = std::ranges::find(given, name, &Option::name);
  return it == given.end() ? nullptr : &*it;
}

}  // namespace

std::string value_problem(const OptionSpec& spec, std::string_view text) {
  switch (spec.type) {
    case OptionType::kText: return text_problem(text);
    case OptionType::kTextList: return list_problem(text);
    case OptionType::kChoice: return choice_problem(spec, text);
    case OptionType::kBoolean:
      if (text == "true" || text == "false") return {};
      return format_text("{}: neither true nor false", in_quotes(text));
    case OptionType::kInteger: return number_problem(spec, text, read_integer);
    case OptionType::kReal: return number_problem(spec, text, is_share(spec) ? read_share : read_real);
    case OptionType::kBytes: return number_problem(spec, text, read_bytes);
    case OptionType::kDuration: return number_problem(spec, text, read_duration);
  }
  return "a value of unknown type";
}

void check_options(std::span<const OptionSpec> specs, const std::vector<Option>& given, std::string_view what,
                   Place place, Problems& problems) {
  for (const Option& option : given) {
    const Place at{option.line, option.column};
    const auto* spec = std::ranges::find(specs, option.name, &OptionSpec::name).base();
    if (spec == specs.data() + specs.size()) {
      problems.add(at, format_text("{}: unknown key {}{}", what, in_quotes(option.name),
                                   did_you_mean(option.name, names_of(specs))));
      continue;
    }
    if (find_given(given, option.name) != &option) {
      problems.add(at, format_text("{}: {} is given twice; remove one", what, in_quotes(option.name)));
    }
    const std::string problem = value_problem(*spec, option.value);
    if (!problem.empty()) problems.add(at, format_text("{}: {} = {}", what, option.name, problem));
  }
  for (const OptionSpec& spec : specs) {
    if (is_required(spec) && find_given(given, spec.name) == nullptr)
      problems.add(place, missing(what, spec));
  }
}

std::string type_words(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kText: return "text";
    case OptionType::kTextList: return "text or list of texts";
    case OptionType::kChoice: {
      std::string words;
      for (const std::string_view choice : split(spec.choices, '|')) {
        words.append(words.empty() ? "" : ", ").append("\"").append(choice).append("\"");
      }
      return words;
    }
    case OptionType::kBoolean: return "true or false";
    case OptionType::kInteger: return "whole number";
    case OptionType::kReal: return is_share(spec) ? "number or percentage" : "number";
    case OptionType::kBytes: return "size";
    case OptionType::kDuration: return "time";
  }
  return {};
}

std::string range_words(const OptionSpec& spec) {
  const bool number = spec.type == OptionType::kInteger || spec.type == OptionType::kReal ||
                      spec.type == OptionType::kBytes || spec.type == OptionType::kDuration;
  if (!number) return {};
  const bool unsigned_by_type = spec.type == OptionType::kBytes || spec.type == OptionType::kDuration;
  const bool has_max = spec.max < kNoLimit;
  if (has_max) return format_text("{} to {}", bound(spec, spec.min), bound(spec, spec.max));
  if (spec.min == 0 && unsigned_by_type) return {};
  return format_text("at least {}", bound(spec, spec.min));
}

std::string example(const OptionSpec& spec) {
  const std::string value(spec.fallback);
  switch (spec.type) {
    case OptionType::kBoolean: return value.empty() ? "true" : value;
    case OptionType::kInteger: return value.empty() ? "1" : value;
    case OptionType::kReal:
      if (value.ends_with('%')) return "\"" + value + "\"";
      return value.empty() ? "0.5" : value;
    case OptionType::kBytes: return value.empty() ? "\"8GiB\"" : "\"" + value + "\"";
    case OptionType::kDuration: return value.empty() ? "\"10ms\"" : "\"" + value + "\"";
    case OptionType::kChoice:
      return format_text("\"{}\"", value.empty() ? split(spec.choices, '|').front() : value);
    default: return value.empty() ? "\"...\"" : "\"" + value + "\"";
  }
}

std::string missing(std::string_view what, const OptionSpec& spec) {
  return format_text("{}: '{}' is missing; add {} = {} ({})", what, spec.name, spec.name, example(spec),
                     spec.reason);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end = 0; (end = text.find(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> names_of(std::span<const OptionSpec> specs) {
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : specs) names.push_back(spec.name);
  return names;
}

}  // namespace kelvin::config
