// Plot: what is drawn, before anybody draws it. Values, units and names; no colours and no places.
//
// Thread contract: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kelvin::cli {

enum class PlotKind : std::uint8_t {
  kLines,    // one line a series, its points marked
  kStacked,  // areas on top of each other, over the same x
  kPoints,   // points alone
};

enum class Unit : std::uint8_t {
  kShare,    // 0.5 = "50 %"
  kBytes,    // "2 GiB"
  kSeconds,  // "35 min", "12 ms"
  kPlain,
};

struct Axis {
  std::string label;
  Unit unit = Unit::kPlain;
  bool log = false;  // by powers of 2; every value is above 0
};

struct Series {
  std::string name;
  std::vector<double> x;           // ascending, but for kPoints
  std::vector<double> y;           // as many
  std::vector<std::string> notes;  // for each point, shown when it is pointed at; may be empty
  bool strong = false;             // the one that this is about
  bool bound = false;              // not a choice: what the others are held against
};

struct Plot {
  std::string id;  // unique on its page: letters, digits and '-'
  std::string title;
  std::string caption;  // what to read from it
  PlotKind kind = PlotKind::kLines;
  Axis x;
  Axis y;
  std::vector<Series> series;
};

// "45.2 %", "1.5 GiB", "35 min".
std::string unit_text(Unit unit, double value);

// Round values that span low to high: where the ticks stand. At most about `count`.
std::vector<double> ticks(const Axis& axis, double low, double high, std::size_t count);

}  // namespace kelvin::cli
