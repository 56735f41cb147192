// The simulation: repeats exactly, decides as a replay does, and takes the time its links take.
#include "cli/sim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "cli/belady.h"
#include "cli/replay.h"
#include "cli/sim_config.h"
#include "cli/trace_gen.h"
#include "planner/write_budget.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

constexpr std::uint64_t kBlockBytes = 4096;

class SimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "kelvin_sim_" + std::to_string(::getpid()) + ".jsonl";
    std::string text;
    Request request;
    const auto model = make_trace_model(TraceKind::kChat, kRequests, 3);
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      model->next(request);
      append_request(request, text);
    }
    std::ofstream(path_, std::ios::binary) << text;
  }
  void TearDown() override { std::remove(path_.c_str()); }

  TraceSet traces(const Config& config) {
    TraceSetOptions options;
    options.layout = make_layout(config.space.model, config.space.block_bytes, config.space.block_tokens);
    std::string why;
    auto set = load_traces({path_}, options, &why);
    EXPECT_TRUE(set.ok()) << why;
    return set.ok() ? std::move(*set) : TraceSet{};
  }

  SimResult sim(const Config& config) {
    std::string why;
    auto result = simulate(traces(config), config, {}, &why);
    EXPECT_TRUE(result.ok()) << why;
    return result.ok() ? std::move(*result) : SimResult{};
  }

  static constexpr std::uint64_t kRequests = 600;
  std::string path_;
};

TierConfig tier(const std::string& name, std::uint64_t blocks, double free_ahead) {
  TierConfig tier;
  tier.name = name;
  tier.kind = "dram";
  tier.capacity_bytes = blocks * kBlockBytes;
  tier.free_ahead = free_ahead;
  return tier;
}

Config config_of(std::uint64_t near, std::uint64_t far) {
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.tiers.push_back(tier("near", near, far == 0 ? 0 : 0.05));
  if (far > 0) config.tiers.push_back(tier("far", far, 0.02));
  return config;
}

TEST_F(SimTest, RepeatsExactly) {
  const Config config = config_of(500, 2000);
  const SimResult a = sim(config);
  const SimResult b = sim(config);
  EXPECT_GT(a.hit, 0u);
  EXPECT_EQ(a.hit, b.hit);
  EXPECT_EQ(a.hits_by_tier, b.hits_by_tier);
  EXPECT_EQ(a.written_behind, b.written_behind);
  EXPECT_EQ(a.load_wait_ns, b.load_wait_ns);
}

// Every policy, with and without a mover's thread.
TEST_F(SimTest, DecidesAsAReplayOfTheSameTraceDoes) {
  for (const PolicyFactory* policy : policy_factories()) {
    Config config = config_of(700, 0);
    config.policy.name = policy->name;
    const SimResult simulated = sim(config);
    for (const std::uint32_t threads : {0U, 1U}) {
      SCOPED_TRACE(config.policy.name + ", threads: " + std::to_string(threads));
      config.mover.threads = threads;
      std::string why;
      auto replay = Replay::open(config, {}, &why);
      ASSERT_TRUE(replay.ok()) << why;
      auto reader = TraceReader::open(path_, &why);
      ASSERT_TRUE(reader.ok()) << why;
      Progress progress(stderr);
      ASSERT_TRUE((*replay)->run(**reader, trace_salt(0, path_), progress, &why).ok()) << why;
      const ReplayResult& played = (*replay)->finish();
      EXPECT_EQ(simulated.hit, played.hit);
      EXPECT_EQ(simulated.published, played.published);
      EXPECT_EQ(simulated.unpublished, played.unpublished);
      EXPECT_EQ(simulated.stats.tiers[0].dropped_last, played.stats.tiers[0].dropped_last);
    }
  }
}

TEST_F(SimTest, CountsEveryBlockOnce) {
  const SimResult result = sim(config_of(500, 2000));
  EXPECT_EQ(result.requests, kRequests);
  EXPECT_EQ(result.referenced, result.hit + result.published + result.unpublished);
  std::uint64_t sampled = 0;
  for (const SimSample& sample : result.samples) sampled += sample.referenced;
  EXPECT_EQ(sampled, result.referenced);
  EXPECT_EQ(result.ttft_ns.count(), kRequests);
}

TEST_F(SimTest, NeverBeatsTheBound) {
  const Config config = config_of(500, 0);
  const SimResult result = sim(config);
  EXPECT_LE(result.hit, belady_hits(traces(config), 500));
}

TEST_F(SimTest, NeedsNoGpuForGpuMemory) {
  Config config = config_of(300, 1500);
  config.tiers[0].kind = "hbm";
  config.tiers[0].options = {{"device", "cuda:7"}};
  const SimResult result = sim(config);
  EXPECT_GT(result.hits_by_tier[0], 0U);
  EXPECT_GT(result.hits_by_tier[1], 0U);
  EXPECT_TRUE(speeds_of(config)[0].assumed) << "what is typical of one, until it was measured";
}

TEST_F(SimTest, TakesLongerOverSlowerLinks) {
  Config config = config_of(300, 4000);
  config.tiers[1].load_bandwidth = 1'000'000'000;
  const SimResult fast = sim(config);
  config.tiers[1].load_bandwidth = 10'000'000;
  const SimResult slow = sim(config);
  EXPECT_GT(fast.hits_by_tier[1], 0u);
  EXPECT_GT(slow.load_wait_ns, fast.load_wait_ns);
}

TEST_F(SimTest, LookingAheadHidesLoadsAndCostsNoHits) {
  Config config = config_of(600, 4000);
  config.policy.name = "heat";
  config.tiers[1].load_bandwidth = 50'000'000;
  config.tiers[1].store_bandwidth = 5'000'000'000;
  const SimResult blind = sim(config);
  SimOptions options;
  options.look_ahead_ns = 2'000'000'000;
  std::string why;
  const auto ahead = simulate(traces(config), config, options, &why);
  ASSERT_TRUE(ahead.ok()) << why;
  EXPECT_GT(blind.load_wait_ns, 0u);
  EXPECT_LT(ahead->load_wait_ns, blind.load_wait_ns / 2);
  EXPECT_GT(ahead->hit, blind.hit - blind.hit / 20);
}

TEST_F(SimTest, WhatItLearnsServesTheNextOne) {
  Config config = config_of(100, 0);
  config.policy.name = "heat";
  const std::string learned = path_ + ".learned";
  SimOptions options;
  options.save_learned = learned;
  std::string why;
  const auto first = simulate(traces(config), config, options, &why);
  ASSERT_TRUE(first.ok()) << why;
  config.policy.learned = learned;
  const SimResult second = sim(config);
  std::remove(learned.c_str());
  EXPECT_NE(first->hit, second.hit);
  config.policy.name = "lru";
  config.policy.learned = "none";
  EXPECT_EQ(simulate(traces(config), config, options, &why).status().code(), Code::kUnsupported);
}

TEST_F(SimTest, AnExclusiveTierGivesUpWhatIsPromoted) {
  Config config = config_of(300, 1000);
  const SimResult keep = sim(config);
  config.tiers[1].placement = "exclusive";
  const SimResult exclusive = sim(config);
  EXPECT_GE(exclusive.hit, keep.hit);
  EXPECT_GT(exclusive.written_behind, keep.written_behind);
}

TEST_F(SimTest, AWriteBudgetBoundsWhatIsWrittenBehind) {
  Config config = config_of(300, 4000);
  const SimResult free = sim(config);
  const double blocks_a_second = 5;
  config.tiers[1].write_budget = static_cast<std::uint64_t>(blocks_a_second * kBlockBytes);
  const SimResult bounded = sim(config);
  EXPECT_LT(bounded.written_behind, free.written_behind);
  EXPECT_LE(static_cast<double>(bounded.written_behind),
            blocks_a_second * (bounded.virtual_seconds + WriteBudget::kSeconds) + 1);
  EXPECT_GT(bounded.written_behind, 0u);
}

TEST_F(SimTest, RefusesATierWhoseSizeItCannotKnow) {
  Config config = config_of(300, 0);
  config.tiers[0].kind = "adopted";
  config.tiers[0].capacity_bytes = 0;
  std::string why;
  EXPECT_EQ(simulate(traces(config), config, {}, &why).status().code(), Code::kInvalid);
  EXPECT_NE(why.find("capacity"), std::string::npos) << why;
}

// Two traces, the second of which never asks for a block twice.
TEST_F(SimTest, ATenantsScanTakesNoneOfAnothersShare) {
  const std::string scan = path_ + ".scan";
  {
    std::ofstream out(scan, std::ios::binary);
    for (std::uint64_t i = 0; i < 2'000; ++i) {
      Request request;
      request.timestamp_ms = i * 100;
      request.input_tokens = 10 * 512;
      for (std::uint64_t block = 0; block < 10; ++block) request.hash_ids.push_back(i * 10 + block);
      std::string line;
      append_request(request, line);
      out << line;
    }
  }
  Config config = config_of(2'000, 0);
  config.policy.name = "lru";  // heat tells a scan by itself
  TraceSetOptions options;
  options.layout = make_layout(config.space.model, config.space.block_bytes, config.space.block_tokens);
  std::string why;
  const auto both = load_traces({path_, scan}, options, &why);
  ASSERT_TRUE(both.ok()) << why;
  std::remove(scan.c_str());
  const auto hits_of = [&](double share) {
    config.tenants = {{"chat", trace_salt(0, path_), share}, {"scan", trace_salt(1, scan), 0}};
    const auto result = simulate(*both, config, {}, &why);
    EXPECT_TRUE(result.ok()) << why;
    EXPECT_EQ(result->tenants.size(), 2u) << "there are no others";
    EXPECT_EQ(result->tenants[0].referenced + result->tenants[1].referenced, result->referenced);
    EXPECT_EQ(result->tenants[0].hit + result->tenants[1].hit, result->hit);
    EXPECT_EQ(result->tenants[1].hit, 0u);
    return result->tenants[0].hit;
  };
  Config smaller = config_of(1'800, 0);
  smaller.policy.name = "lru";
  const std::uint64_t alone = sim(smaller).hit;
  EXPECT_LT(hits_of(0), alone);
  EXPECT_GE(hits_of(0.9), alone);
}

// --- the bound ---

TraceSet hand_made(const std::vector<std::vector<std::uint32_t>>& requests) {
  TraceSet set;
  std::uint32_t highest = 0;
  for (const auto& blocks : requests) {
    set.requests.push_back({.first = set.refs.size(), .blocks = static_cast<std::uint32_t>(blocks.size())});
    for (const std::uint32_t block : blocks) {
      set.refs.push_back(block);
      highest = std::max(highest, block);
    }
  }
  for (std::uint32_t block = 0; block <= highest; ++block) set.keys.push_back({0, block});
  return set;
}

TEST(Belady, KeepsWhatIsUsedSoonest) {
  const TraceSet set = hand_made({{0}, {1}, {2}, {0}, {1}, {2}});
  EXPECT_EQ(belady_hits(set, 1), 1u);
  EXPECT_EQ(belady_hits(set, 2), 2u);
  EXPECT_EQ(belady_hits(set, 3), 3u);
}

TEST(Belady, CountsOnlyWholePrefixes) {
  // Of two prompts of two blocks that come back, a memory of two blocks keeps one whole, or two beginnings.
  const TraceSet set = hand_made({{0, 1}, {2, 3}, {0, 1}, {2, 3}});
  EXPECT_EQ(belady_hits(set, 2), 2u);
  EXPECT_EQ(belady_hits(set, 3), 3u);
  EXPECT_EQ(belady_hits(set, 4), 4u);
}

TEST(Belady, HasNoHitsWithoutMemory) { EXPECT_EQ(belady_hits(hand_made({{0}, {0}}), 0), 0u); }

}  // namespace
}  // namespace kelvin::cli
