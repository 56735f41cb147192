// A replay against a space: what it counts adds up, and it notices a wrong byte that nothing else does.
#include "cli/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "cli/report.h"
#include "cli/trace_gen.h"

namespace kelvin::cli {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kBlockBytes = 4096;

TierConfig tier(const std::string& name, std::uint64_t blocks) {
  TierConfig tier;
  tier.name = name;
  tier.kind = "dram";
  tier.capacity_bytes = blocks * kBlockBytes;
  return tier;
}

Config config_of(std::uint64_t near_blocks, std::uint64_t far_blocks, std::uint32_t threads) {
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.space.seed = 1;
  config.tiers.push_back(tier("near", near_blocks));
  if (far_blocks > 0) config.tiers.push_back(tier("far", far_blocks));
  config.mover.threads = threads;
  return config;
}

std::string generated(TraceKind kind, std::uint64_t requests) {
  std::string text;
  Request request;
  const auto model = make_trace_model(kind, requests, 1);
  for (std::uint64_t i = 0; i < requests; ++i) {
    model->next(request);
    append_request(request, text);
  }
  return text;
}

Status play(Replay& replay, const std::string& text, std::string* why, std::string_view salt = "test") {
  TraceReader reader(ByteSource::from_memory(text), "test");
  Progress progress(stderr);
  return replay.run(reader, salt, progress, why);
}

std::unique_ptr<Replay> open(const Config& config, const ReplayOptions& options, Parts parts = {}) {
  std::string why;
  auto replay = Replay::open(config, options, &why, std::move(parts));
  EXPECT_TRUE(replay.ok()) << why;
  return replay.ok() ? std::move(*replay) : nullptr;
}

class ReplayOf : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(MoverThreads, ReplayOf, testing::Values(0U, 1U));

TEST_P(ReplayOf, OneRoomyTierHitsAsOftenAsAnEndlessMemory) {
  auto replay = open(config_of(4000, 0, GetParam()), {});
  ASSERT_TRUE(replay);
  std::string why;
  ASSERT_TRUE(play(*replay,
                   R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,2,3]})"
                   "\n"
                   R"({"timestamp":1,"input_length":1,"output_length":1,"hash_ids":[1,2,4,5]})"
                   "\n"
                   R"({"timestamp":2,"input_length":1,"output_length":1,"hash_ids":[]})"
                   "\n"
                   R"({"timestamp":3,"input_length":1,"output_length":1,"hash_ids":[1,2,3]})"
                   "\n",
                   &why)
                  .ok())
      << why;
  const ReplayResult& result = replay->finish();
  EXPECT_EQ(result.requests, 4U);
  EXPECT_EQ(result.referenced, 10U);
  EXPECT_EQ(result.hit, 5U);
  EXPECT_EQ(result.published, 5U);
  EXPECT_EQ(result.unpublished, 0U);
  EXPECT_EQ(result.checked, 5U);
  EXPECT_EQ(result.corrupt, 0U);
  EXPECT_EQ(result.stats.leases, 0U);
}

TEST_P(ReplayOf, TwoTiersServeFromBothAndEveryBlockIsAccountedFor) {
  auto replay = open(config_of(600, 6000, GetParam()), {});
  ASSERT_TRUE(replay);
  std::string why;
  ASSERT_TRUE(play(*replay, generated(TraceKind::kChat, 400), &why).ok()) << why;
  const ReplayResult& result = replay->finish();
  EXPECT_EQ(result.requests, 400U);
  EXPECT_EQ(result.referenced, result.hit + result.published + result.unpublished);
  EXPECT_EQ(result.checked, result.hit);
  EXPECT_EQ(result.corrupt, 0U);
  EXPECT_EQ(result.stats.load_failures, 0U);
  ASSERT_EQ(result.stats.tiers.size(), 2U);
  EXPECT_GT(result.stats.tiers[0].hits, 0U);
  EXPECT_GT(result.stats.tiers[1].hits, 0U);
}

TEST_P(ReplayOf, ARequestLargerThanTheTierIsKeptAsFarAsItFits) {
  auto replay = open(config_of(64, 0, GetParam()), {});
  ASSERT_TRUE(replay);
  Request request;
  for (std::uint64_t id = 0; id < 200; ++id) request.hash_ids.push_back(id);
  std::string text;
  append_request(request, text);
  append_request(request, text);
  std::string why;
  ASSERT_TRUE(play(*replay, text, &why).ok()) << why;
  const ReplayResult& result = replay->finish();
  EXPECT_EQ(result.requests, 2U);
  EXPECT_GT(result.published, 0U);
  EXPECT_GT(result.unpublished, 0U);
  EXPECT_GT(result.hit, 0U);
  EXPECT_EQ(result.referenced, result.hit + result.published + result.unpublished);
  EXPECT_THAT(report_table(result, true), HasSubstr("found no room"));
}

TEST(Replay, IdsUnderAnotherSaltAreOtherBlocks) {
  auto replay = open(config_of(4000, 0, 0), {});
  ASSERT_TRUE(replay);
  const std::string text = R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,2,3]})";
  std::string why;
  ASSERT_TRUE(play(*replay, text, &why, "a").ok()) << why;
  ASSERT_TRUE(play(*replay, text, &why, "b").ok()) << why;
  EXPECT_EQ(replay->finish().hit, 0U);
  ASSERT_TRUE(play(*replay, text, &why, "a").ok()) << why;
  EXPECT_EQ(replay->finish().hit, 3U);
}

TEST(Replay, EndsAtItsLimitOverAllTraces) {
  ReplayOptions options;
  options.limit = 3;
  auto replay = open(config_of(4000, 0, 0), options);
  ASSERT_TRUE(replay);
  const std::string line = R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1]})";
  std::string why;
  ASSERT_TRUE(play(*replay, line + "\n" + line, &why).ok()) << why;
  EXPECT_FALSE(replay->ended());
  ASSERT_TRUE(play(*replay, line + "\n" + line, &why).ok()) << why;
  EXPECT_TRUE(replay->ended());
  EXPECT_EQ(replay->finish().requests, 3U);
}

TEST(Replay, RefusesAFirstTierThatIsNotHostMemory) {
  const std::string path =
      testing::TempDir() + "kelvin_replay_test." + std::to_string(::getpid()) + ".blocks";
  Config config = config_of(2048, 0, 0);
  config.tiers[0].kind = "nvme";
  config.tiers[0].options.push_back({"path", path, 0, 0});
  config.tiers[0].options.push_back({"direct", "auto", 0, 0});
  std::string why;
  EXPECT_FALSE(Replay::open(config, {}, &why).ok());
  EXPECT_THAT(why, HasSubstr("tier 'near'"));
  std::remove(path.c_str());
}

// Passes everything on, and flips one bit of every block that arrives, behind the checksum's back.
class FlippingLink final : public Link {
 public:
  explicit FlippingLink(std::unique_ptr<Link> inner) : inner_(std::move(inner)) {}

  const LinkInfo& info() const noexcept override { return inner_->info(); }
  std::size_t submit(std::span<const Copy> copies) noexcept override {
    const std::size_t taken = inner_->submit(copies);
    for (const Copy& copy : copies.first(taken)) flying_.push_back(copy);
    return taken;
  }
  std::size_t poll(std::span<Completion> done) noexcept override {
    const std::size_t n = inner_->poll(done);
    for (const Completion& completion : done.first(n)) {
      const auto copy =
          std::ranges::find_if(flying_, [&](const Copy& one) { return one.tag == completion.tag; });
      info().to->address(copy->to, 0).pointer[kBlockBytes / 2] ^= std::byte{1};
      flying_.erase(copy);
    }
    return n;
  }
  void cancel_all() noexcept override { inner_->cancel_all(); }

 private:
  std::unique_ptr<Link> inner_;
  std::vector<Copy> flying_;
};

TEST(Replay, FindsAWrongBitThatNoChecksumSaw) {
  Parts parts;
  parts.wrap_link = [](std::unique_ptr<Link> link) -> std::unique_ptr<Link> {
    if (link->info().name != "far>near") return link;
    return std::make_unique<FlippingLink>(std::move(link));
  };
  auto replay = open(config_of(600, 6000, 0), {}, std::move(parts));
  ASSERT_TRUE(replay);
  std::string why;
  ASSERT_TRUE(play(*replay, generated(TraceKind::kChat, 400), &why).ok()) << why;
  const ReplayResult& result = replay->finish();
  EXPECT_GT(result.corrupt, 0U);
  EXPECT_LE(result.corrupt, result.checked);
  ASSERT_FALSE(result.findings.empty());
  EXPECT_LE(result.findings.size(), 5U);
  EXPECT_THAT(result.findings[0], HasSubstr("wrong bytes"));
  EXPECT_THAT(report_table(result, true), HasSubstr("CORRUPT"));
}

}  // namespace
}  // namespace kelvin::cli
