// Policies on real serving traces: hit ratios that were measured before, with another simulator.
//
// One tier, nothing kept free; the size is a share of the trace's unique blocks. Skipped where the traces are
// not beside the project.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>

#include "cli/belady.h"
#include "cli/sim.h"
#include "sanitized.h"

namespace kelvin::cli {
namespace {

const std::string kFolder = std::string(KELVIN_SOURCE_DIR) + "/../shared/traces/";

struct Row {
  const char* trace;
  const char* policy;
  double percent;  // of the trace's unique blocks
  double hit_ratio;
  double tolerance;
};

std::string name_of(const ::testing::TestParamInfo<Row>& info) {
  return std::string(info.param.trace) + "_" + info.param.policy + "_" +
         std::to_string(static_cast<int>(std::lround(info.param.percent * 100)));
}

Layout layout() { return make_layout("unnamed", 2u << 20, 512); }

// Loaded once for all rows.
const TraceSet& traces(const std::string& name) {
  static std::map<std::string, TraceSet> loaded;
  if (const auto at = loaded.find(name); at != loaded.end()) return at->second;
  TraceSetOptions options;
  options.layout = layout();
  std::string why;
  auto set = load_traces({kFolder + name + ".jsonl.zst"}, options, &why);
  EXPECT_TRUE(set.ok()) << why;
  return loaded.emplace(name, set.ok() ? std::move(*set) : TraceSet{}).first->second;
}

double measured(const Row& row) {
  const TraceSet& set = traces(row.trace);
  const auto slots = static_cast<std::uint64_t>(static_cast<double>(set.keys.size()) * row.percent / 100);
  if (std::string_view(row.policy) == "MIN") {
    return static_cast<double>(belady_hits(set, slots)) / static_cast<double>(set.refs.size());
  }
  Config config;
  config.policy.name = row.policy;
  config.tiers.resize(1);
  config.tiers[0].name = "dram";
  config.tiers[0].kind = "dram";
  config.tiers[0].capacity_bytes = slots * config.space.block_bytes;
  config.tiers[0].free_ahead = 0;
  std::string why;
  const auto result = simulate(set, config, {}, &why);
  EXPECT_TRUE(result.ok()) << why;
  return result.ok() ? static_cast<double>(result->hit) / static_cast<double>(result->referenced) : 0;
}

class RealTrace : public ::testing::TestWithParam<Row> {};

TEST_P(RealTrace, HasTheHitRatioThatWasMeasuredBefore) {
  if (testing::kSanitized)
    GTEST_SKIP() << "millions of references take minutes under a sanitizer; sim_test runs the same code";
  const Row& row = GetParam();
  const std::string path = kFolder + row.trace + ".jsonl.zst";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no trace at " << path;
  EXPECT_NEAR(measured(row), row.hit_ratio, row.tolerance);
}

constexpr double kExact = 0.0005;

INSTANTIATE_TEST_SUITE_P(Lru, RealTrace,
                         ::testing::Values(Row{"conversation", "lru", 1, .0525, kExact},
                                           Row{"conversation", "lru", 2, .0793, kExact},
                                           Row{"conversation", "lru", 5, .1958, kExact},
                                           Row{"conversation", "lru", 10, .2789, kExact},
                                           Row{"conversation", "lru", 20, .3453, kExact},
                                           Row{"agentic", "lru", 1, .2460, kExact}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Min, RealTrace,
                         ::testing::Values(Row{"conversation", "MIN", 1, .2464, kExact},
                                           Row{"conversation", "MIN", 2, .3142, kExact},
                                           Row{"conversation", "MIN", 5, .3664, kExact},
                                           Row{"conversation", "MIN", 20, .3664, kExact},
                                           Row{"agentic", "MIN", 1, .5619, kExact}),
                         name_of);

}  // namespace
}  // namespace kelvin::cli
