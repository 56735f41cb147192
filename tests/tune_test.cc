// Tuning: what is tried, in which order, and which of it is worth having.
#include "cli/tune.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cli/tune_report.h"
#include "cli/workers.h"
#include "traces_of.h"

namespace kelvin::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kBlockBytes = 4096;

TierConfig tier(const std::string& name, std::uint64_t blocks) {
  TierConfig tier;
  tier.name = name;
  tier.kind = "dram";
  tier.capacity_bytes = blocks * kBlockBytes;
  return tier;
}

Config config_of(std::uint64_t near, std::uint64_t far) {
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.tiers = {tier("near", near), tier("far", far)};
  config.policy.name = "heat";
  return config;
}

std::vector<Dimension> dimensions_of(const Config& config, const std::vector<std::string>& vary) {
  std::string why;
  auto read = read_dimensions(config, vary, &why);
  EXPECT_TRUE(read.ok()) << why;
  return read.ok() ? std::move(*read) : std::vector<Dimension>{};
}

std::vector<std::string> values_of(const std::string& vary) {
  const auto read = dimensions_of(config_of(100, 100), {vary});
  return read.empty() ? std::vector<std::string>{} : read.front().values;
}

std::string refusal_of(const std::vector<std::string>& vary) {
  std::string why;
  const auto read = read_dimensions(config_of(100, 100), vary, &why);
  return read.ok() ? "read" : why;
}

Search search_of(const Config& config, const std::vector<std::string>& vary, const SearchOptions& options) {
  std::string why;
  auto search = plan_search(config, dimensions_of(config, vary), options, &why);
  EXPECT_TRUE(search.ok()) << why;
  return search.ok() ? std::move(*search) : Search{};
}

std::vector<std::string> lines_of(const Search& search) {
  std::vector<std::string> lines;
  for (const Candidate& candidate : search.candidates)
    lines.push_back(fmt::format("{}", fmt::join(candidate.values, " ")));
  return lines;
}

// --- what --vary says ---

TEST(Vary, ListsAreKeptInTheFormOfTheConfigWithoutRepeats) {
  EXPECT_THAT(values_of("tier.near.capacity=1048576,1MiB,2MiB"), ElementsAre("1MiB", "2MiB"));
  EXPECT_THAT(values_of("policy.use_hints=true,false"), ElementsAre("true", "false"));
}

TEST(Vary, RangesAreCutIntoSteps) {
  EXPECT_THAT(values_of("policy.sample=10..50"), ElementsAre("10", "20", "30", "40", "50"));
  EXPECT_THAT(values_of("policy.sample=1..3:3"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(values_of("policy.sample=4..256:4:log"), ElementsAre("4", "16", "64", "256"));
  EXPECT_THAT(values_of("tier.near.capacity=1GiB..16GiB:5:log"),
              ElementsAre("1GiB", "2GiB", "4GiB", "8GiB", "16GiB"));
  EXPECT_THAT(values_of("tier.near.free_ahead=0..10%:3"), ElementsAre("0", "5%", "10%"));
  EXPECT_THAT(values_of("tier.near.load_latency=1us..1ms:4:log"), ElementsAre("1us", "10us", "100us", "1ms"));
}

TEST(Vary, AStepOfARangeIsRoundAndNeverBeyondItsEnds) {
  const VaryRange range{1.0 * (1 << 30), 3.0 * (1 << 30), true};
  OptionSpec spec;
  spec.type = OptionType::kBytes;
  for (int i = 0; i <= 100; ++i) {
    const auto bytes = parse_bytes(value_in(spec, range, i / 100.0));
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(*bytes % (1 << 20), 0u);
    EXPECT_GE(*bytes, 1ULL << 30);
    EXPECT_LE(*bytes, 3ULL << 30);
  }
}

TEST(Vary, ARangeOfFewWholeNumbersHasEachOnce) {
  EXPECT_THAT(values_of("mover.demand_retries=1..3:9"), ElementsAre("1", "2", "3"));
}

TEST(Vary, WhatMakesNoSenseIsRefusedWithWhatWould) {
  const struct {
    std::vector<std::string> vary;
    const char* says;
  } cases[] = {
      {{"policy.sample"}, "write KEY=V1,V2,... or KEY=LO..HI[:STEPS][:log]"},
      {{"=3"}, "write KEY="},
      {{"policy.smaple=3"}, "policy has no key 'smaple'; did you mean 'sample'?"},
      {{"policy.sample=1,x"}, "'x': not a whole number"},
      {{"policy.sample=1,,2"}, "'': not a whole number"},
      {{"policy.sample=0"}, "must be 1 to 1024"},
      {{"policy.sample=64..16"}, "the range ends at 16, before it begins"},
      {{"policy.sample=16..16"}, "before it begins"},
      {{"policy.sample=1..9999"}, "'9999': out of range"},
      {{"policy.sample=1..8:1"}, "'1' is not a number of steps; take 2 to 1000"},
      {{"policy.sample=1..8:many"}, "'many' is not a number of steps"},
      {{"policy.sample=1..8:2:3"}, "write a range as LO..HI[:STEPS][:log]"},
      {{"policy.half_life=0..8:log"}, "cannot begin at 0"},
      {{"policy.use_hints=true..false"}, "a range is for numbers, sizes and times"},
      {{"policy.name=crystal"}, "unknown policy 'crystal'"},
      {{"policy.sample=1", "policy.sample=2"}, "'policy.sample' is varied twice"},
      {{"space.block_bytes=1MiB"}, "cannot be tuned"},
      {{"tier.near.name=x"}, "cannot be tuned"},
      {{"tier.near.kind=dram"}, "cannot be tuned"},
      {{"tenant.chat.salt=x"}, "cannot be tuned"},
      {{"tenant.chat.name=x"}, "cannot be tuned"},
      {{"tenant.chat.share=10%"}, "there is no key 'tenant.chat.share'"},
  };
  for (const auto& [vary, says] : cases) {
    const std::string why = refusal_of(vary);
    EXPECT_THAT(why, HasSubstr(says));
    EXPECT_THAT(why, HasSubstr("--vary " + vary.back()));
  }
}

// --- what is tried ---

TEST(SearchPlan, AGridHasEverySettingTheLastKeyChangingFastest) {
  const Search search =
      search_of(config_of(100, 100), {"policy.sample=8,16", "policy.use_hints=true,false"}, {});
  EXPECT_FALSE(search.random);
  EXPECT_EQ(search.grid, 4);
  EXPECT_THAT(lines_of(search), ElementsAre("8 true", "8 false", "16 true", "16 false"));
}

TEST(SearchPlan, AKeyThatAPolicyDoesNotHaveIsLeftOutThere) {
  const Search search = search_of(config_of(100, 100), {"policy.sample=8,16", "policy.name=lru,heat"}, {});
  EXPECT_THAT(lines_of(search), ElementsAre("lru ", "heat 8", "heat 16"));
}

TEST(SearchPlan, SharesOfTenantsAreVariedAsFarAsTheyFitTogether) {
  Config config = config_of(100, 100);
  config.tenants = {{"chat", "a", 0.1}, {"batch", "b", 0.1}};
  const std::vector<std::string> vary = {"tenant.chat.share=20%,60%", "tenant.batch.share=40%..80%:2"};
  EXPECT_THAT(lines_of(search_of(config, vary, {})), ElementsAre("20% 40%", "20% 80%", "60% 40%"));
  std::string why;
  config.tenants.push_back({"third", "c", 0.9});
  EXPECT_FALSE(plan_search(config, dimensions_of(config, vary), {}, &why).ok());
  EXPECT_THAT(why, HasSubstr("more than 100% together"));
}

TEST(SearchPlan, AGridBeyondTheBudgetIsDrawnFrom) {
  SearchOptions options;
  options.budget = 10;
  const Search search =
      search_of(config_of(100, 100), {"policy.sample=1..100:100", "policy.ghosts=1..9:9"}, options);
  EXPECT_TRUE(search.random);
  EXPECT_EQ(search.grid, 900);
  const std::vector<std::string> lines = lines_of(search);
  EXPECT_EQ(lines.size(), 10u);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), 10u) << "one was drawn twice";
}

TEST(SearchPlan, TheSameSeedDrawsTheSameAndAnotherDrawsOthers) {
  SearchOptions options;
  options.budget = 12;
  options.random = true;
  const std::vector<std::string> vary = {"policy.sample=1..1000", "tier.near.free_ahead=0..20%"};
  const auto first = lines_of(search_of(config_of(100, 100), vary, options));
  EXPECT_EQ(lines_of(search_of(config_of(100, 100), vary, options)), first);
  options.seed = 2;
  EXPECT_NE(lines_of(search_of(config_of(100, 100), vary, options)), first);
}

TEST(SearchPlan, ALargerBudgetWithTheSameSeedBeginsTheSame) {
  SearchOptions options;
  options.budget = 5;
  options.random = true;
  const std::vector<std::string> vary = {"policy.sample=1..1000", "policy.ghosts=0,8,16"};
  const auto few = lines_of(search_of(config_of(100, 100), vary, options));
  options.budget = 20;
  const auto many = lines_of(search_of(config_of(100, 100), vary, options));
  ASSERT_EQ(many.size(), 20u);
  EXPECT_EQ(std::vector<std::string>(many.begin(), many.begin() + 5), few);
}

TEST(SearchPlan, ARandomSearchOfFewSettingsEndsWithAllOfThem) {
  SearchOptions options;
  options.random = true;
  EXPECT_EQ(search_of(config_of(100, 100), {"policy.sample=1,2,3"}, options).candidates.size(), 3u);
}

TEST(SearchPlan, ASettingThatIsNoConfigIsNamed) {
  const Config config = config_of(100, 100);
  std::string why;
  const auto search = plan_search(config, dimensions_of(config, {"tier.far.capacity=1MiB,1KiB"}), {}, &why);
  EXPECT_EQ(search.status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("with tier.far.capacity = 1KiB: tier 'far': capacity"));
}

// --- what is found ---

Trial trial(std::size_t number, std::uint64_t hit, std::uint64_t written, std::uint64_t ttft_ns,
            std::uint64_t capacity = 1) {
  Trial trial;
  trial.number = number;
  trial.config = config_of(capacity, 1);
  trial.result.hit = hit;
  trial.result.referenced = 100;
  trial.result.written_behind = written;
  trial.result.saved_seconds = 100.0 - static_cast<double>(hit);  // the other way round, to tell them apart
  trial.result.ttft_ns.add(ttft_ns);
  return trial;
}

std::vector<std::size_t> front_numbers(const Tuning& tuning) {
  std::vector<std::size_t> numbers;
  for (const Trial& trial : tuning.trials) {
    if (trial.on_front) numbers.push_back(trial.number);
  }
  return numbers;
}

TEST(ParetoFront, HoldsWhatNothingBeatsInEverythingAndOfEqualsTheFirst) {
  Tuning tuning;
  tuning.trials = {trial(0, 50, 10, 5), trial(1, 60, 20, 5), trial(2, 55, 20, 5),
                   trial(3, 40, 1, 5),  trial(4, 50, 10, 5), trial(5, 30, 30, 1)};
  judge(tuning, {}, Objective::kHits);
  EXPECT_THAT(front_numbers(tuning), ElementsAre(0, 1, 3, 5));
  EXPECT_EQ(tuning.winner().number, 1u);
}

TEST(ParetoFront, CountsTheCapacityOfATierThatIsVaried) {
  Tuning tuning;
  tuning.trials = {trial(0, 50, 10, 5, 100), trial(1, 60, 10, 5, 200), trial(2, 60, 10, 5, 150)};
  judge(tuning, {}, Objective::kHits);
  EXPECT_THAT(front_numbers(tuning), ElementsAre(1));
  judge(tuning, dimensions_of(config_of(1, 1), {"tier.near.capacity=1MiB,2MiB"}), Objective::kHits);
  EXPECT_THAT(front_numbers(tuning), ElementsAre(0, 2));
  EXPECT_EQ(tuning.winner().number, 2u) << "of equals the cheaper one";
}

TEST(ParetoFront, TheBestFollowsTheObjectiveAndIsOnTheFront) {
  Tuning tuning;
  tuning.trials = {trial(0, 50, 10, 5), trial(1, 60, 20, 9), trial(2, 20, 10, 2)};
  for (const auto& [objective, best] :
       {std::pair{Objective::kHits, 1u}, {Objective::kSeconds, 2u}, {Objective::kTtft, 2u}}) {
    judge(tuning, {}, objective);
    EXPECT_EQ(tuning.winner().number, best);
    EXPECT_TRUE(tuning.winner().on_front);
  }
}

class TuneTest : public ::testing::Test {
 protected:
  TuneReport tuned(const std::vector<std::string>& vary, std::size_t jobs) {
    TuneReport report;
    report.config_name = "two.toml";
    report.traces = {"chat\n.jsonl"};
    report.dimensions = dimensions_of(config_, vary);
    std::string why;
    const Search search = search_of(config_, vary, report.options);
    auto tuning = run_trials(
        traces_, config_, report.dimensions, search, jobs, [](std::size_t) {}, &why);
    EXPECT_TRUE(tuning.ok()) << why;
    if (tuning.ok()) report.tuning = std::move(*tuning);
    judge(report.tuning, report.dimensions, report.objective);
    return report;
  }

  const Config config_ = config_of(300, 2000);
  const TraceSet traces_ = traces_of(TraceKind::kChat, 400, config_);
};

TEST_F(TuneTest, GivesTheSameOnOneThreadAndOnSeveral) {
  const std::vector<std::string> vary = {"policy.name=lru,heat", "tier.far.write_budget=4KiB,64KiB"};
  EXPECT_EQ(tune_json(tuned(vary, 1)), tune_json(tuned(vary, 3)));
}

TEST_F(TuneTest, TheGivenConfigIsTriedFirstAndNotTwice) {
  const TuneReport report = tuned({"policy.sample=8,64"}, 2);
  ASSERT_EQ(report.tuning.trials.size(), 2u);
  EXPECT_THAT(report.tuning.trials[0].values, ElementsAre("64"));
  EXPECT_THAT(report.tuning.trials[1].values, ElementsAre("8"));
}

TEST_F(TuneTest, TheBestConfigReadsBackAndSimulatesToTheFiguresReported) {
  const TuneReport report = tuned({"policy.name=lru,heat", "tier.near.free_ahead=0,5%,20%"}, 2);
  const Trial& best = report.tuning.winner();
  std::string why;
  const auto config = parse_config(tuned_toml(report), "tuned", &why);
  ASSERT_TRUE(config.ok()) << why;
  EXPECT_EQ(to_toml(*config), to_toml(best.config));
  EXPECT_EQ(config->tiers[1].capacity_bytes, config_.tiers[1].capacity_bytes) << "what is not varied stays";
  const auto again = simulate(traces_, *config, {}, &why);
  ASSERT_TRUE(again.ok()) << why;
  EXPECT_EQ(again->hit, best.result.hit);
  EXPECT_EQ(again->written_behind, best.result.written_behind);
  EXPECT_EQ(again->ttft_ns.percentile(99), best.result.ttft_ns.percentile(99));
  for (const Trial& other : report.tuning.trials) EXPECT_LE(other.result.hit, best.result.hit);
}

TEST_F(TuneTest, AKeyThatChangesNothingIsNamed) {
  const TuneReport report = tuned({"mover.offline_after=4,8", "policy.name=lru,heat"}, 2);
  EXPECT_THAT(idle_keys(report), ElementsAre("mover.offline_after"));
  EXPECT_THAT(tune_table(report), HasSubstr("mover.offline_after made no difference."));
}

TEST(Workers, DoEveryPieceOnceAndReportTheLowestFailure) {
  std::vector<int> done(50);
  std::string why;
  const auto count = [&](std::size_t i, std::string*) {
    ++done[i];
    return Status();
  };
  EXPECT_TRUE(run_parallel(
                  done.size(), 4, count, [](std::size_t) {}, &why)
                  .ok());
  EXPECT_EQ(std::set<int>(done.begin(), done.end()), std::set<int>{1});
  const auto fail = [](std::size_t i, std::string* what) {
    if (i < 3) return Status();
    *what = fmt::format("piece {}", i);
    return Status(Code::kIo, "a test");
  };
  EXPECT_EQ(run_parallel(
                50, 1, fail, [](std::size_t) {}, &why)
                .code(),
            Code::kIo);
  EXPECT_EQ(why, "piece 3");
}

}  // namespace
}  // namespace kelvin::cli
