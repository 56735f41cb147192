// Generated traces: the same for a seed everywhere, well-formed, and reused the way real traces are.
#include "cli/trace_gen.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>

#include "cli/gen_random.h"
#include "cli/trace_info.h"

namespace kelvin::cli {
namespace {

std::string text_of(TraceKind kind, std::uint64_t requests, std::uint64_t seed) {
  std::ostringstream out;
  std::string why;
  const auto model = make_trace_model(kind, requests, seed);
  EXPECT_TRUE(write_trace(*model, requests, out, &why).ok()) << why;
  return out.str();
}

std::unique_ptr<TraceSummary> summary_of(TraceKind kind, std::uint64_t requests, std::uint64_t seed) {
  auto summary = std::make_unique<TraceSummary>();
  const auto model = make_trace_model(kind, requests, seed);
  Request request;
  for (std::uint64_t i = 0; i < requests; ++i) {
    model->next(request);
    summary->add(request);
  }
  return summary;
}

std::uint64_t digest(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

class EveryKind : public testing::TestWithParam<TraceKind> {};
INSTANTIATE_TEST_SUITE_P(TraceGen, EveryKind,
                         testing::Values(TraceKind::kChat, TraceKind::kAgent, TraceKind::kRag));

TEST_P(EveryKind, TheSeedDecidesEverything) {
  EXPECT_EQ(text_of(GetParam(), 300, 7), text_of(GetParam(), 300, 7));
  EXPECT_NE(text_of(GetParam(), 300, 7), text_of(GetParam(), 300, 8));
}

TEST_P(EveryKind, IsSortedByTimeAndItsIdsNameWholePrefixes) {
  const auto summary = summary_of(GetParam(), 3000, 5);
  EXPECT_EQ(summary->requests(), 3000U);
  EXPECT_EQ(summary->out_of_order(), 0U);
  EXPECT_EQ(summary->broken_chains(), 0U);
}

TEST_P(EveryKind, IsReadBackByTheTraceReader) {
  const std::string text = text_of(GetParam(), 500, 3);
  TraceReader reader(ByteSource::from_memory(text), "generated");
  TraceSummary summary;
  std::string why;
  ASSERT_TRUE(summarise(reader, summary, &why).ok()) << why;
  EXPECT_EQ(summary.requests(), 500U);
}

TEST_P(EveryKind, HasAnIdForEveryBlockOfThePrompt) {
  const auto model = make_trace_model(GetParam(), 1000, 11);
  Request request;
  for (int i = 0; i < 1000; ++i) {
    model->next(request);
    const std::uint64_t whole = request.input_tokens / kTraceBlockTokens;
    ASSERT_GE(request.hash_ids.size(), whole);
    ASSERT_LE(request.hash_ids.size(), whole + 1);
    ASSERT_GE(whole, 1U);
    ASSERT_TRUE(request.session.has_value());
  }
}

TEST_P(EveryKind, TinyTracesWork) {
  EXPECT_EQ(summary_of(GetParam(), 1, 1)->requests(), 1U);
  EXPECT_EQ(summary_of(GetParam(), 2, 0)->requests(), 2U);
}

// Differs when a model changes; then look at `kelvin trace info` again, and write the new numbers here.
TEST(TraceGen, TheSameSeedGivesTheSameTraceOnEveryPlatform) {
  EXPECT_EQ(digest(text_of(TraceKind::kChat, 1000, 42)), 3665064547290668520ULL);
  EXPECT_EQ(digest(text_of(TraceKind::kAgent, 1000, 42)), 9303464393636333522ULL);
  EXPECT_EQ(digest(text_of(TraceKind::kRag, 1000, 42)), 13974203225828375784ULL);
}

TEST(TraceGen, ChatReusesAboutAThirdAfterMinutes) {
  const auto summary = summary_of(TraceKind::kChat, 12000, 1);
  EXPECT_NEAR(summary->hit_ratio(), 0.36, 0.05);
  EXPECT_NEAR(static_cast<double>(summary->reuse_ms().percentile(50)), 110'000, 30'000);
  EXPECT_NEAR(static_cast<double>(summary->prompt_tokens().percentile(50)), 7'000, 1'500);
  EXPECT_LE(summary->prompt_tokens().max(), 128'000U + 21'000U);
}

TEST(TraceGen, AgentReusesNearlyEverythingAfterSeconds) {
  const auto summary = summary_of(TraceKind::kAgent, 20000, 1);
  EXPECT_NEAR(summary->hit_ratio(), 0.96, 0.02);
  EXPECT_NEAR(static_cast<double>(summary->reuse_ms().percentile(50)), 20'000, 5'000);
  EXPECT_NEAR(static_cast<double>(summary->return_after_tool_ms().percentile(50)), 18'000, 3'000);
  EXPECT_NEAR(static_cast<double>(summary->prompt_tokens().percentile(50)), 100'000, 20'000);
}

TEST(TraceGen, AgentSessionsUseToolsMostlyAndSomeSendSubagents) {
  const auto model = make_agent_model(20000, 1);
  Request request;
  int tools = 0;
  int stops = 0;
  int subagents = 0;
  for (int i = 0; i < 20000; ++i) {
    model->next(request);
    tools += request.finish == FinishReason::kToolUse ? 1 : 0;
    stops += request.finish == FinishReason::kStop ? 1 : 0;
    subagents += request.subagent ? 1 : 0;
  }
  EXPECT_GT(tools, 17'000);
  EXPECT_GT(stops, 500);
  EXPECT_GT(subagents, 20);
  EXPECT_LT(subagents, 2'000);
}

TEST(TraceGen, RagReusesWhatIsPopular) {
  const auto summary = summary_of(TraceKind::kRag, 10000, 1);
  EXPECT_GT(summary->hit_ratio(), 0.4);
  EXPECT_LT(summary->hit_ratio(), 0.75);
}

TEST(TraceGen, ShareOfHitsChangesLittleWithTheSeed) {
  for (const std::uint64_t seed : {2U, 3U, 4U}) {
    EXPECT_NEAR(summary_of(TraceKind::kChat, 12000, seed)->hit_ratio(), 0.36, 0.05);
    EXPECT_NEAR(summary_of(TraceKind::kAgent, 10000, seed)->hit_ratio(), 0.96, 0.02);
  }
}

TEST(GenRandom, DrawsFollowTheirQuantiles) {
  Random random(3);
  Histogram values;
  for (int i = 0; i < 100'000; ++i) values.add(draw(kExponential, random));
  EXPECT_NEAR(static_cast<double>(values.percentile(50)), 693, 40);
  EXPECT_NEAR(static_cast<double>(values.percentile(90)), 2303, 130);
  EXPECT_LE(values.max(), 6900U);
}

TEST(GenRandom, ZipfPrefersTheFirst) {
  Random random(3);
  const Zipf zipf(100, 1);
  int first = 0;
  int last_half = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t got = zipf.draw(random);
    ASSERT_LT(got, 100U);
    first += got == 0 ? 1 : 0;
    last_half += got >= 50 ? 1 : 0;
  }
  EXPECT_NEAR(first, 19'280, 800);      // 1 / H(100)
  EXPECT_NEAR(last_half, 13'270, 800);  // (H(100) - H(50)) / H(100)
}

class RealTrace : public testing::Test {
 protected:
  // Skips, loudly, where the real traces are not beside the source: they are not part of the project.
  static std::unique_ptr<TraceSummary> real(const std::string& name) {
    const std::string path = std::string(KELVIN_SOURCE_DIR) + "/../shared/traces/" + name;
    if (!std::filesystem::exists(path)) return nullptr;
    auto summary = std::make_unique<TraceSummary>();
    std::string why;
    auto reader = TraceReader::open(path, &why);
    EXPECT_TRUE(reader.ok()) << why;
    if (!reader.ok()) return summary;
    EXPECT_TRUE(summarise(**reader, *summary, &why).ok()) << why;
    return summary;
  }

  static void expect_within(const Histogram& generated, const Histogram& real, double percent,
                            double factor) {
    const auto a = static_cast<double>(generated.percentile(percent));
    const auto b = static_cast<double>(real.percentile(percent));
    EXPECT_LE(a, b * factor) << "p" << percent;
    EXPECT_GE(a * factor, b) << "p" << percent;
  }
};

TEST_F(RealTrace, ChatIsLikeARealChatService) {
  const auto real_one = real("conversation.jsonl.zst");
  if (!real_one)
    GTEST_SKIP() << "no real trace at " << KELVIN_SOURCE_DIR << "/../shared/traces/conversation.jsonl.zst";
  const auto generated = summary_of(TraceKind::kChat, real_one->requests(), 1);
  EXPECT_NEAR(generated->hit_ratio(), real_one->hit_ratio(), 0.03);
  for (const double percent : {25.0, 50.0, 75.0, 90.0}) {
    expect_within(generated->reuse_ms(), real_one->reuse_ms(), percent, 1.3);
    expect_within(generated->prompt_tokens(), real_one->prompt_tokens(), percent, 1.3);
    expect_within(generated->answer_tokens(), real_one->answer_tokens(), percent, 1.2);
  }
}

TEST_F(RealTrace, AgentIsLikeRealCodingAgents) {
  const auto real_one = real("agentic.jsonl.zst");
  if (!real_one)
    GTEST_SKIP() << "no real trace at " << KELVIN_SOURCE_DIR << "/../shared/traces/agentic.jsonl.zst";
  const auto generated = summary_of(TraceKind::kAgent, real_one->requests(), 1);
  EXPECT_NEAR(generated->hit_ratio(), real_one->hit_ratio(), 0.01);
  for (const double percent : {25.0, 50.0, 75.0, 90.0}) {
    expect_within(generated->reuse_ms(), real_one->reuse_ms(), percent, 1.3);
    expect_within(generated->prompt_tokens(), real_one->prompt_tokens(), percent, 1.4);
    expect_within(generated->return_after_tool_ms(), real_one->return_after_tool_ms(), percent, 1.3);
  }
}

}  // namespace
}  // namespace kelvin::cli
