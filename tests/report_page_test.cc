// Plots and the page around them, as text; tests/report_browser_test.py sees them as people do.
#include "cli/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cli/report_plots.h"
#include "cli/svg_plot.h"
#include "registry.h"
#include "traces_of.h"

namespace kelvin::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++found;
  return found;
}

Plot two_lines() {
  Plot plot;
  plot.id = "two";
  plot.title = "Two <lines>";
  plot.x = {"Time", Unit::kSeconds, false};
  plot.y = {"Share", Unit::kShare, false};
  plot.series = {{"a & b", {0, 60, 120}, {0.1, 0.2, 0.3}, {}},
                 {"c", {0, 60}, {0.5, 0.4}, {"note \"1\"", "2"}}};
  return plot;
}

TEST(UnitText, IsShortAndHasItsUnit) {
  EXPECT_EQ(unit_text(Unit::kShare, 0.4567), "45.67 %");
  EXPECT_EQ(unit_text(Unit::kShare, 0), "0 %");
  EXPECT_EQ(unit_text(Unit::kBytes, 0), "0 B");
  EXPECT_EQ(unit_text(Unit::kBytes, 512), "512 B");
  EXPECT_EQ(unit_text(Unit::kBytes, 1536), "1.5 KiB");
  EXPECT_EQ(unit_text(Unit::kBytes, 1023.0 * (1 << 20)), "1023 MiB");
  EXPECT_EQ(unit_text(Unit::kSeconds, 0.25), "250 ms");
  EXPECT_EQ(unit_text(Unit::kSeconds, 0), "0 s");
  EXPECT_EQ(unit_text(Unit::kSeconds, 12e-6), "12 us");
  EXPECT_EQ(unit_text(Unit::kSeconds, 90), "90 s");
  EXPECT_EQ(unit_text(Unit::kSeconds, 150), "2.5 min");
  EXPECT_EQ(unit_text(Unit::kSeconds, 9000), "2.5 h");
}

TEST(Ticks, AreRoundAndSpanTheValues) {
  EXPECT_THAT(ticks({"", Unit::kPlain, false}, 0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(ticks({"", Unit::kSeconds, false}, 0, 3600, 5), ElementsAre(0, 900, 1800, 2700, 3600));
  EXPECT_THAT(ticks({"", Unit::kBytes, true}, 3, 30, 8), ElementsAre(2, 4, 8, 16, 32));
  EXPECT_THAT(ticks({"", Unit::kPlain, false}, 7, 7, 5), ElementsAre(7));
}

TEST(Svg, HasALineAndMarkedPointsForEachSeriesAndEscapesItsTexts) {
  const std::string svg = svg_of(two_lines());
  EXPECT_EQ(count(svg, "<polyline"), 2u);
  EXPECT_EQ(count(svg, "data-at="), 5u);
  EXPECT_THAT(svg, HasSubstr("data-name=\"a &amp; b\""));
  EXPECT_THAT(svg, HasSubstr("data-note=\"note &quot;1&quot;\""));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Svg, SeriesDifferWithoutColour) {
  const std::string legend = legend_of(two_lines());
  const std::string dash = "stroke-dasharray=\"";
  std::set<std::string> dashes;
  for (std::size_t at = 0; (at = legend.find(dash, at)) != std::string::npos;) {
    at += dash.size();
    dashes.insert(legend.substr(at, legend.find('"', at) - at));
  }
  EXPECT_EQ(dashes.size(), 2u);
}

TEST(Svg, IsDrawnOfNothingOfOnePointAndOfEqualValues) {
  for (const PlotKind kind : {PlotKind::kLines, PlotKind::kStacked, PlotKind::kPoints}) {
    for (const bool log : {false, true}) {
      for (const std::vector<double>& values : {std::vector<double>{}, {4}, {4, 4}, {0, 0}}) {
        if (log && !values.empty() && values[0] == 0) continue;
        Plot plot = two_lines();
        plot.kind = kind;
        plot.x.log = log;
        plot.series = {{"one", values, values, {}}};
        const std::string svg = svg_of(plot);
        EXPECT_THAT(svg, Not(HasSubstr("nan")));
        EXPECT_THAT(svg, Not(HasSubstr("inf")));
        EXPECT_EQ(count(svg, "data-at="), values.size());
      }
    }
  }
}

class ReportTest : public ::testing::Test {
 protected:
  static Config config() {
    Config config;
    config.space.block_bytes = 4096;
    for (const char* name : {"near", "far"}) {
      TierConfig tier;
      tier.name = name;
      tier.kind = "dram";
      tier.capacity_bytes = (name[0] == 'n' ? 200 : 1000) * config.space.block_bytes;
      config.tiers.push_back(tier);
    }
    return config;
  }

  const Config config_ = config();
  const TraceSet traces_ = traces_of(TraceKind::kChat, 200, config_);
};

TEST_F(ReportTest, ASweepHasEveryPolicyBelowTheBoundAtEverySize) {
  std::string why;
  std::size_t planned = 0;
  const auto swept = sweep(
      traces_, config_, 2, [&](std::size_t, std::size_t all) { planned = all; }, &why);
  ASSERT_TRUE(swept.ok()) << why;
  const std::vector<SweepCurve>* curves = &swept->curves;
  ASSERT_EQ(curves->size(), policy_factories().size());
  EXPECT_TRUE(curves->front().own);
  EXPECT_EQ(curves->front().policy, config_.policy.name);
  EXPECT_EQ(planned, curves->size() * curves->front().points.size() + (swept->unaided ? 1 : 0));
  for (const SweepCurve& curve : *curves) {
    EXPECT_EQ(curve.as_configured().capacity, 1200 * config_.space.block_bytes);
    for (const SweepPoint& point : curve.points) {
      EXPECT_LE(point.result.hit, point.bound_hit) << curve.policy << " at " << point.scale;
    }
  }
  const Plot plot = capacity_plot(*curves);
  EXPECT_EQ(plot.series.size(), curves->size() + 1);
  EXPECT_EQ(plot.series.back().name, "MIN");
}

TEST_F(ReportTest, SamplesOfASimulationAddUpToItsResult) {
  std::string why;
  const auto result = simulate(traces_, config_, {}, &why);
  ASSERT_TRUE(result.ok()) << why;
  std::uint64_t served = 0;
  std::uint64_t waited = 0;
  for (const SimSample& sample : result->samples) {
    served += sample.served;
    waited += sample.load_wait_ns;
  }
  EXPECT_EQ(served, result->requests);
  EXPECT_EQ(waited, result->load_wait_ns);
  const Plot hits = hits_plot(*result, config_);
  ASSERT_EQ(hits.series.size(), 2u);
  EXPECT_EQ(hits.series[1].name, "far");
  EXPECT_EQ(hits.series[0].x.size(), result->samples.size());
}

TEST_F(ReportTest, WhatPrefetchingHidesIsTheShareOfTheWaitWithoutIt) {
  SimResult with;
  SimResult without;
  for (const auto& [on, off] : {std::pair{25u, 100u}, {0u, 0u}, {30u, 20u}}) {
    with.samples.push_back({with.samples.size() * 1'000'000'000, 1, {}, 1, on});
    without.samples.push_back({without.samples.size() * 1'000'000'000, 1, {}, 1, off});
  }
  const Plot plot = hidden_plot(with, without);
  ASSERT_EQ(plot.series.size(), 1u);
  EXPECT_THAT(plot.series[0].x, ElementsAre(0, 2));
  EXPECT_THAT(plot.series[0].y, ElementsAre(0.75, -0.5));
  EXPECT_EQ(count(svg_of(plot), "data-at="), 2u);
  std::string why;
  auto swept = sweep(
      traces_, config_, 2, [](std::size_t, std::size_t) {}, &why);
  ASSERT_TRUE(swept.ok()) << why;
  SimReport report;
  report.own = report.lru = swept->curves.front().as_configured().result;
  swept->unaided.reset();
  EXPECT_EQ(report_of_sim(report, config_, *swept).plots.size(), 3u);
  swept->unaided = report.own;
  EXPECT_EQ(report_of_sim(report, config_, *swept).plots.size(), 4u);
}

TEST(ReportPage, IsOneFileThatAsksNothingOfANetworkAndEscapesWhatItIsGiven) {
  ReportPage page;
  page.title = "<script>alert(1)</script>";
  page.traces = {"a&b.jsonl"};
  page.config_text = "name = \"</code>\"";
  page.plots = {two_lines()};
  page.tables = {{"T", "C", {"h"}, {{{{"<td>"}, {"5 s", 5}}, true}}}};
  const std::string html = report_page(page);
  EXPECT_EQ(count(html, "<script>"), 1u);
  EXPECT_EQ(count(html, "</code>"), 1u);
  EXPECT_THAT(html, HasSubstr("a&amp;b.jsonl"));
  EXPECT_THAT(html, HasSubstr("&lt;td&gt;"));
  EXPECT_THAT(html, HasSubstr("data-order=\"5\""));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const char* outside : {"http://", "https://", "@import", "src=", "url(//"}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
}

}  // namespace
}  // namespace kelvin::cli
