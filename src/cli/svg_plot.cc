// See svg_plot.h.
#include "cli/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kelvin::cli {
namespace {

constexpr double kWidth = 600;
constexpr double kHeight = 360;
constexpr double kMargin = 2;
constexpr double kLeft = 76;
constexpr double kRight = 22;
constexpr double kTop = 38;
constexpr double kBottom = 60;
constexpr std::size_t kStyles = 8;
constexpr std::size_t kMarkedPoints = 24;  // more would be a thick line

constexpr std::array<std::string_view, kStyles> kDashes = {"none", "8 4",  "2 3",         "10 3 2 3",
                                                           "4 2",  "12 4", "6 2 2 2 2 2", "1 4"};
constexpr std::string_view kBoundDash = "5 5";

// Around 0 0, about 8 across.
constexpr std::array<std::string_view, kStyles> kMarks = {
    "M-3.6,0a3.6,3.6 0 1,0 7.2,0a3.6,3.6 0 1,0 -7.2,0Z",
    "M-3.3,-3.3h6.6v6.6h-6.6Z",
    "M0,-4.4L4.2,3.2H-4.2Z",
    "M0,-4.8L4.2,0L0,4.8L-4.2,0Z",
    "M0,4.4L4.2,-3.2H-4.2Z",
    "M-1.4,-4.2h2.8v2.8h2.8v2.8h-2.8v2.8h-2.8v-2.8h-2.8v-2.8h2.8Z",
    "M-4,-2.2L-2.2,-4L0,-1.8L2.2,-4L4,-2.2L1.8,0L4,2.2L2.2,4L0,1.8L-2.2,4L-4,2.2L-1.8,0Z",
    "M0,-4.8L1.3,-1.5L4.8,-1.5L2,0.8L3,4.2L0,2.2L-3,4.2L-2,0.8L-4.8,-1.5L-1.3,-1.5Z"};

// Tiles of 8 by 8 over an area's colour; the first area has none.
constexpr std::array<std::string_view, 5> kPatterns = {"", "<path d=\"M-2,2L2,-2M0,8L8,0M6,10L10,6\"/>",
                                                       "<circle cx=\"4\" cy=\"4\" r=\"1.3\"/>",
                                                       "<path d=\"M0,4H8\"/>", "<path d=\"M4,0V8\"/>"};

std::string css_class(const Series& series, std::size_t index) {
  return series.bound ? "cb" : fmt::format("c{}", index % kStyles);
}

std::string_view dash_of(const Series& series, std::size_t index) {
  return series.bound ? kBoundDash : series.strong ? "none" : kDashes[index % kStyles];
}

struct Span {
  double low = 0;
  double high = 1;
};

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    x_ = span_of(plot.x, [](const Series& series) { return &series.x; });
    y_ = span_of(plot.y, [](const Series& series) { return &series.y; });
    if (plot.kind == PlotKind::kStacked) y_.high = std::max(highest_stack(), 1e-9);
    x_ticks_ = ticks(plot.x, x_.low, x_.high, plot.x.log ? 7 : 5);
    y_ticks_ = ticks(plot.y, y_.low, y_.high, 6);
    widen(plot.x, x_ticks_, x_);
    widen(plot.y, y_ticks_, y_);
    if (!plot.y.log && y_ticks_.back() < y_.high) add_top_tick();
  }

  std::string svg() {
    put("<svg class=\"plot\" id=\"{0}-svg\" viewBox=\"0 0 {1} {2}\" role=\"img\" "
        "aria-labelledby=\"{0}-title\">\n",
        plot_.id, kWidth, kHeight);
    grid();
    if (plot_.kind == PlotKind::kStacked) {
      areas();
    } else {
      for (std::size_t s = 0; s < plot_.series.size(); ++s) line(plot_.series[s], s);
    }
    put("<line class=\"cross\" x1=\"0\" x2=\"0\" y1=\"{}\" y2=\"{}\"/>\n</svg>\n", kTop, kHeight - kBottom);
    return std::move(out_);
  }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  // Linear axes begin at 0, for heights are compared by eye; but not around points alone.
  template <class Member>
  Span span_of(const Axis& axis, Member member) const {
    Span span{1e300, -1e300};
    for (const Series& series : plot_.series) {
      for (const double value : *member(series)) {
        span.low = std::min(span.low, value);
        span.high = std::max(span.high, value);
      }
    }
    if (span.low > span.high) span = {axis.log ? 1.0 : 0.0, 2};
    if (!axis.log && plot_.kind != PlotKind::kPoints) span.low = std::min(span.low, 0.0);
    if (span.high <= span.low) span.high = axis.log ? span.low * 2 : span.low + 1;
    return span;
  }

  double highest_stack() const {
    double highest = 0;
    for (std::size_t i = 0; i < plot_.series.front().y.size(); ++i) {
      double sum = 0;
      for (const Series& series : plot_.series) sum += series.y[i];
      highest = std::max(highest, sum);
    }
    return highest;
  }

  static void widen(const Axis& axis, const std::vector<double>& at, Span& span) {
    span.low = std::min(span.low, at.front());
    if (axis.log) span.high = std::max(span.high, at.back());
  }

  // One tick more, so that no value stands above the last; but a share never passes the whole.
  void add_top_tick() {
    const double step = y_ticks_.size() > 1 ? y_ticks_[1] - y_ticks_[0] : y_.high - y_ticks_[0];
    const double next = y_ticks_.back() + step;
    if (plot_.y.unit == Unit::kShare && next > 1.0001) {
      y_.high = 1;
      return;
    }
    y_ticks_.push_back(next);
    y_.high = next;
  }

  static double part(const Axis& axis, const Span& span, double value) {
    if (axis.log) return std::log2(value / span.low) / std::log2(span.high / span.low);
    return (value - span.low) / (span.high - span.low);
  }
  double at_x(double value) const { return kLeft + part(plot_.x, x_, value) * (kWidth - kLeft - kRight); }
  double at_y(double value) const {
    return kHeight - kBottom - part(plot_.y, y_, value) * (kHeight - kTop - kBottom);
  }

  void grid() {
    const double bottom = kHeight - kBottom;
    for (const double value : y_ticks_) {
      const double y = at_y(value);
      put("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kWidth - kRight, y,
          y);
      put("<text class=\"tick\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 8, y + 4,
          unit_text(plot_.y.unit, value));
    }
    put("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>\n", kLeft, kWidth - kRight, bottom,
        bottom);
    for (const double value : x_ticks_) {
      const double x = at_x(value);
      if (x > kWidth - kRight + 0.5) continue;
      const bool last = x > kWidth - 2 * kRight;
      put("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", x, bottom,
          bottom + 4);
      put("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
          last ? kWidth - kMargin : x, bottom + 22, last ? "end" : "middle", unit_text(plot_.x.unit, value));
    }
    put("<text class=\"label\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        (kLeft + kWidth - kRight) / 2, kHeight - 8, escaped(plot_.x.label));
    put("<text class=\"label\" x=\"{}\" y=\"17\">{}</text>\n", kMargin, escaped(plot_.y.label));
  }

  // A point that can be pointed at, seen or not.
  void point(const Series& series, std::size_t index, std::size_t i, double y, bool marked) {
    const std::string note = i < series.notes.size() ? series.notes[i] : std::string();
    put("<path class=\"mark {}{}\" data-series=\"{}\" data-x=\"{}\" data-y=\"{}\" data-note=\"{}\" "
        "data-at=\"{:.1f},{:.1f}\" transform=\"translate({:.1f},{:.1f}){}\" d=\"{}\"/>\n",
        css_class(series, index), marked ? "" : " unseen", index, unit_text(plot_.x.unit, series.x[i]),
        unit_text(plot_.y.unit, series.y[i]), escaped(note), at_x(series.x[i]), at_y(y), at_x(series.x[i]),
        at_y(y), plot_.kind == PlotKind::kPoints && series.strong ? " scale(1.7)" : "",
        kMarks[index % kStyles]);
  }

  void line(const Series& series, std::size_t index) {
    put("<g class=\"series{}\" data-name=\"{}\">\n", series.strong ? " strong" : "", escaped(series.name));
    if (plot_.kind == PlotKind::kLines) {
      put("<polyline class=\"line {}\" stroke-dasharray=\"{}\" points=\"", css_class(series, index),
          dash_of(series, index));
      for (std::size_t i = 0; i < series.x.size(); ++i) {
        put("{:.1f},{:.1f} ", at_x(series.x[i]), at_y(series.y[i]));
      }
      put("\"/>\n");
    }
    const bool marked = plot_.kind == PlotKind::kPoints || series.x.size() <= kMarkedPoints;
    for (std::size_t i = 0; i < series.x.size(); ++i) point(series, index, i, series.y[i], marked);
    put("</g>\n");
  }

  void areas() {
    std::vector<double> below(plot_.series.front().x.size());
    for (std::size_t s = 0; s < plot_.series.size(); ++s) {
      const Series& series = plot_.series[s];
      std::string edge;
      const auto add = [&](std::size_t i, double y) {
        fmt::format_to(std::back_inserter(edge), "{:.1f},{:.1f} ", at_x(series.x[i]), at_y(y));
      };
      for (std::size_t i = 0; i < below.size(); ++i) add(i, below[i] + series.y[i]);
      for (std::size_t i = below.size(); i-- > 0;) add(i, below[i]);
      put("<g class=\"series\" data-name=\"{}\">\n<polygon class=\"area {}\" points=\"{}\"/>\n",
          escaped(series.name), css_class(series, s), edge);
      pattern(s);
      if (!kPatterns[s % kPatterns.size()].empty()) {
        put("<polygon class=\"hatch\" fill=\"url(#{}-p{})\" points=\"{}\"/>\n", plot_.id, s, edge);
      }
      for (std::size_t i = 0; i < below.size(); ++i) {
        below[i] += series.y[i];
        point(series, s, i, below[i], false);
      }
      put("</g>\n");
    }
  }

  void pattern(std::size_t s) {
    put("<pattern id=\"{}-p{}\" class=\"tile\" width=\"8\" height=\"8\" "
        "patternUnits=\"userSpaceOnUse\">{}</pattern>\n",
        plot_.id, s, kPatterns[s % kPatterns.size()]);
  }

  const Plot& plot_;
  Span x_;
  Span y_;
  std::vector<double> x_ticks_;
  std::vector<double> y_ticks_;
  std::string out_;
};

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c; break;
    }
  }
  return out;
}

std::string svg_of(const Plot& plot) { return Drawing(plot).svg(); }

std::string legend_of(const Plot& plot) {
  std::string out = "<ul class=\"legend\">\n";
  const auto to = std::back_inserter(out);
  for (std::size_t s = 0; s < plot.series.size(); ++s) {
    const Series& series = plot.series[s];
    out += "<li><svg viewBox=\"0 0 34 14\" width=\"34\" height=\"14\" aria-hidden=\"true\">";
    if (plot.kind == PlotKind::kStacked) {
      fmt::format_to(to, "<rect class=\"area {}\" x=\"6\" y=\"1\" width=\"22\" height=\"12\"/>",
                     css_class(series, s));
      if (!kPatterns[s % kPatterns.size()].empty()) {
        fmt::format_to(
            to, "<rect class=\"hatch\" fill=\"url(#{}-p{})\" x=\"6\" y=\"1\" width=\"22\" height=\"12\"/>",
            plot.id, s);
      }
    } else {
      if (plot.kind == PlotKind::kLines) {
        fmt::format_to(
            to, "<line class=\"line {}\" stroke-dasharray=\"{}\" x1=\"1\" x2=\"33\" y1=\"7\" y2=\"7\"/>",
            css_class(series, s), dash_of(series, s));
      }
      fmt::format_to(to, "<path class=\"mark {}\" transform=\"translate(17,7)\" d=\"{}\"/>",
                     css_class(series, s), kMarks[s % kStyles]);
    }
    fmt::format_to(to, "</svg>{}</li>\n", escaped(series.name));
  }
  return out + "</ul>\n";
}

}  // namespace kelvin::cli
