// See plot.h.
#include "cli/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace kelvin::cli {
namespace {

constexpr std::array<double, 24> kTimeSteps = {
    1,    2,    5,     10,    15,    30,    60,     120,    300,     600,     900,     1800,
    3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200, 7257600, 31557600};

struct Scale {
  double size;
  std::string_view name;
  double from;  // used for values from here on
};

// The number in the last of the units that the value reaches, with three digits at least.
template <std::size_t N>
std::string scaled(double value, const std::array<Scale, N>& scales) {
  const Scale* best = &scales.front();
  for (const Scale& scale : scales) {
    if (std::abs(value) >= scale.from) best = &scale;
  }
  const double number = value / best->size;
  return std::abs(number) < 100 ? fmt::format("{:.3g} {}", number, best->name)
                                : fmt::format("{:.0f} {}", number, best->name);
}

constexpr double power(double base, int exponent) {
  return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

std::string bytes_text(double value) {
  constexpr auto kScales = [] {
    constexpr std::array<std::string_view, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::array<Scale, kNames.size()> scales{};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      const double size = power(1024, static_cast<int>(i));
      scales[i] = {size, kNames[i], size};
    }
    return scales;
  }();
  return scaled(value, kScales);
}

// "90 s" is easier to read than "1.5 min": a unit is used from two of it on.
std::string seconds_text(double value) {
  constexpr std::array<Scale, 6> kScales = {{{1e-6, "us", 0},
                                             {1e-3, "ms", 1e-3},
                                             {1, "s", 1},
                                             {60, "min", 120},
                                             {3600, "h", 7200},
                                             {86400, "d", 172800}}};
  return value == 0 ? "0 s" : scaled(value, kScales);
}

// 1, 2 or 5 times a power of ten.
double round_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * 0.999) return factor * power;
  }
  return 10 * power;
}

double step_of(const Axis& axis, double width, std::size_t count) {
  const double step = width / static_cast<double>(count);
  if (axis.unit == Unit::kBytes) return std::exp2(std::ceil(std::log2(step)));
  if (axis.unit != Unit::kSeconds || step < kTimeSteps.front()) return round_step(step);
  const auto* const found = std::ranges::lower_bound(kTimeSteps, step);
  return found == kTimeSteps.end() ? round_step(step) : *found;
}

}  // namespace

std::string unit_text(Unit unit, double value) {
  switch (unit) {
    case Unit::kShare: return fmt::format("{:.4g} %", std::round(value * 1e4) / 1e2);
    case Unit::kBytes: return bytes_text(value);
    case Unit::kSeconds: return seconds_text(value);
    case Unit::kPlain: break;
  }
  return fmt::format("{:.4g}", value);
}

std::vector<double> ticks(const Axis& axis, double low, double high, std::size_t count) {
  std::vector<double> found;
  if (axis.log) {
    const double first = std::floor(std::log2(low) + 1e-9);
    const double last = std::ceil(std::log2(high) - 1e-9);
    const double step = std::max(1.0, std::ceil((last - first) / static_cast<double>(count)));
    for (double at = first; at <= last; at += step) found.push_back(std::exp2(at));
    return found;
  }
  if (!(high > low)) return {low};
  const double step = step_of(axis, high - low, count);
  for (double i = std::floor(low / step); i * step <= high + step * 0.001; ++i) found.push_back(i * step);
  return found;
}

}  // namespace kelvin::cli
