// See tune_vary.h.
#include "cli/tune_vary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace kelvin::cli {
namespace {

constexpr std::size_t kDefaultSteps = 5;
constexpr std::size_t kMaxSteps = 1000;

// What a block is comes from the model and the trace; what a tier is, from the machine; who a tenant is, from
// the engine.
constexpr std::array<std::string_view, 3> kFixed = {"space.block_bytes", "space.block_tokens", "space.model"};

bool is_number(OptionType type) {
  return type == OptionType::kInteger || type == OptionType::kReal || type == OptionType::kBytes ||
         type == OptionType::kDuration;
}

double read_number(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return text.ends_with('%') ? value / 100 : value;
}

// Of a value that the key was found to take.
double number_of(const OptionSpec& spec, std::string_view text) {
  if (spec.type != OptionType::kBytes && spec.type != OptionType::kDuration) return read_number(text);
  const auto count = spec.type == OptionType::kBytes ? parse_bytes(text) : parse_duration_ns(text);
  return count.ok() ? static_cast<double>(*count) : 0;
}

double significant(double value, int digits) { return read_number(fmt::format("{:.{}g}", value, digits)); }

// Sizes are rounded to the largest unit of which they have 16: 1720MiB rather than 1803886264B.
double rounded_bytes(double bytes) {
  double unit = 1;
  while (bytes >= 16 * 1024 * unit) unit *= 1024;
  return std::round(bytes / unit) * unit;
}

double rounded(const OptionSpec& spec, double value) {
  switch (spec.type) {
    case OptionType::kBytes: return rounded_bytes(value);
    case OptionType::kDuration: return std::round(significant(value, 3));
    case OptionType::kInteger: return std::round(value);
    default: return significant(value, 4);
  }
}

std::string text_of(const OptionSpec& spec, double value) {
  switch (spec.type) {
    case OptionType::kDuration: return fmt::format("{:.0f}ns", value);
    case OptionType::kReal: return fmt::format("{}", value);
    default: return fmt::format("{:.0f}", value);
  }
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

// Reads one --vary.
class Reader {
 public:
  Reader(const Config& config, std::string_view given, const std::vector<Dimension>& before, std::string* why)
      : config_(config), given_(given), before_(before), why_(why) {}

  Status read(Dimension& to) {
    const std::size_t equals = given_.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == given_.size()) {
      return fail("write KEY=V1,V2,... or KEY=LO..HI[:STEPS][:log]");
    }
    to.key = std::string(given_.substr(0, equals));
    values_ = given_.substr(equals + 1);
    if (Status status = find(to); !status.ok()) return status;
    const bool range = values_.find("..") != std::string_view::npos;
    if (range && to.spec.type != OptionType::kText && to.spec.type != OptionType::kTextList) {
      return read_range(to);
    }
    for (const std::string_view value : split(values_, ',')) {
      if (Status status = add(to, value); !status.ok()) return status;
    }
    return {};
  }

 private:
  Status fail(const std::string& what) {
    *why_ = fmt::format("--vary {}: {}", given_, what);
    return {Code::kInvalid, "reading --vary"};
  }

  Status find(Dimension& to) {
    const bool names_tier =
        to.key.starts_with("tier.") && (to.key.ends_with(".name") || to.key.ends_with(".kind"));
    const bool names_tenant =
        to.key.starts_with("tenant.") && (to.key.ends_with(".name") || to.key.ends_with(".salt"));
    if (names_tier || names_tenant || std::ranges::find(kFixed, to.key) != kFixed.end()) {
      return fail(fmt::format("'{}' says what is there, not what to do with it: it cannot be tuned", to.key));
    }
    if (std::ranges::find(before_, to.key, &Dimension::key) != before_.end()) {
      return fail(fmt::format("'{}' is varied twice; give all its values at once", to.key));
    }
    std::string why;
    auto spec = key_at(config_, to.key, &why);
    home_ = config_;
    const auto policies = std::ranges::find(before_, "policy.name", &Dimension::key);
    if (!spec.ok() && policies != before_.end() && to.key.starts_with("policy.")) {
      for (std::size_t i = 0; i < policies->values.size() && !spec.ok(); ++i) {
        if (set_value(home_, "policy.name", policies->values[i], &why).ok())
          spec = key_at(home_, to.key, &why);
      }
    }
    if (!spec.ok()) return fail(why);
    to.spec = *spec;
    return {};
  }

  // The value as the config keeps it.
  Result<std::string> checked(const Dimension& dimension, std::string_view value) {
    std::string why;
    if (Status status = set_value(home_, dimension.key, value, &why); !status.ok()) return fail(why);
    auto kept = value_at(home_, dimension.key, &why);
    if (!kept.ok()) return fail(why);
    return kept;
  }

  Status add(Dimension& to, std::string_view value) {
    auto kept = checked(to, value);
    if (!kept.ok()) return kept.status();
    if (std::ranges::find(to.values, *kept) == to.values.end()) to.values.push_back(std::move(*kept));
    return {};
  }

  Status read_range(Dimension& to) {
    if (!is_number(to.spec.type)) return fail("a range is for numbers, sizes and times; list the values");
    std::vector<std::string_view> parts = split(values_, ':');
    VaryRange range;
    if (parts.size() > 1 && parts.back() == "log") {
      range.log = true;
      parts.pop_back();
    }
    const std::size_t dots = parts[0].find("..");
    if (parts.size() > 2 || dots == std::string_view::npos)
      return fail("write a range as LO..HI[:STEPS][:log]");
    std::size_t steps = kDefaultSteps;
    if (parts.size() == 2) {
      if (Status status = read_steps(parts[1], steps); !status.ok()) return status;
    }
    const auto low = checked(to, parts[0].substr(0, dots));
    if (!low.ok()) return low.status();
    const auto high = checked(to, parts[0].substr(dots + 2));
    if (!high.ok()) return high.status();
    range.low = number_of(to.spec, *low);
    range.high = number_of(to.spec, *high);
    if (range.low >= range.high) return fail(fmt::format("the range ends at {}, before it begins", *high));
    if (range.log && range.low <= 0) return fail("a range by factors cannot begin at 0");
    if (parts.size() == 1) to.range = range;
    return add_steps(to, range, steps);
  }

  Status read_steps(std::string_view text, std::size_t& steps) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
    if (error != std::errc() || rest != text.data() + text.size() || steps < 2 || steps > kMaxSteps) {
      return fail(fmt::format("'{}' is not a number of steps; take 2 to {}", text, kMaxSteps));
    }
    return {};
  }

  Status add_steps(Dimension& to, const VaryRange& range, std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(steps - 1);
      if (Status status = add(to, value_in(to.spec, range, share)); !status.ok()) return status;
    }
    return {};
  }

  const Config& config_;
  Config home_;  // a config in which the key exists
  const std::string_view given_;
  const std::vector<Dimension>& before_;
  std::string_view values_;
  std::string* const why_;
};

}  // namespace

std::string value_in(const OptionSpec& spec, const VaryRange& range, double share) {
  double value = range.low + (range.high - range.low) * share;
  if (range.log) value = range.low * std::pow(range.high / range.low, share);
  if (share <= 0) value = range.low;
  if (share >= 1) value = range.high;
  if (share > 0 && share < 1) value = std::clamp(rounded(spec, value), range.low, range.high);
  return text_of(spec, value);
}

Result<std::vector<Dimension>> read_dimensions(const Config& config, const std::vector<std::string>& given,
                                               std::string* why) {
  std::vector<Dimension> dimensions;
  // A policy's keys are known only with it: policy.name is read first, wherever it stands.
  std::vector<std::string> order = given;
  std::stable_partition(order.begin(), order.end(),
                        [](const std::string& text) { return text.starts_with("policy.name="); });
  for (const std::string& text : order) {
    Dimension dimension;
    if (Status status = Reader(config, text, dimensions, why).read(dimension); !status.ok()) return status;
    dimensions.push_back(std::move(dimension));
  }
  return dimensions;
}

}  // namespace kelvin::cli
