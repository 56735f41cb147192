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
#include <vector>

#include "cli/report.h"
#include "cli/trace_gen.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

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

TEST(ReplayReport, SaysWhatMakesALinkSlow) {
  ReplayResult result;
  result.stats.links.resize(2);
  result.stats.links[1].name = "dram>hbm";
  EXPECT_THAT(report_table(result, true), Not(HasSubstr("slow")));
  result.stats.links[1].slowed = "not pinned";
  EXPECT_THAT(report_table(result, true), HasSubstr("link dram>hbm is slow: not pinned"));
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
      flip(copy->to);
      flying_.erase(copy);
    }
    return n;
  }
  void cancel_all() noexcept override { inner_->cancel_all(); }

 private:
  void flip(Slot slot) const {
    const TierInfo& to = info().to->info();
    if (to.space == AddressSpace::kHost) {
      info().to->address(slot, 0).pointer[kBlockBytes / 2] ^= std::byte{1};
      return;
    }
    std::vector<std::byte> block(to.slot_bytes);
    EXPECT_TRUE(to.access->read(slot, block).ok());
    block[kBlockBytes / 2] ^= std::byte{1};
    EXPECT_TRUE(to.access->write(slot, block).ok());
  }

  std::unique_ptr<Link> inner_;
  std::vector<Copy> flying_;
};

Parts flipping(const std::string& name) {
  Parts parts;
  parts.wrap_link = [name](std::unique_ptr<Link> link) -> std::unique_ptr<Link> {
    if (link->info().name != name) return link;
    return std::make_unique<FlippingLink>(std::move(link));
  };
  return parts;
}

TEST(Replay, FindsAWrongBitThatNoChecksumSaw) {
  Parts parts = flipping("far>near");
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

// The example of three tiers, made small, with an emulated GPU. The parameter: mover.threads.
class ReplayOverGpuMemory : public testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    for (const char* kind : {"hbm", "nvme"}) {
      if (find_tier_factory(kind) == nullptr) GTEST_SKIP() << "this build has no tiers of kind " << kind;
    }
    std::string why;
    auto example = load_config(KELVIN_SOURCE_DIR "/docs/examples/hbm_dram_nvme.toml", &why);
    ASSERT_TRUE(example.ok()) << why;
    config_ = std::move(*example);
    set("space.block_bytes", std::to_string(kBlockBytes));
    set("space.seed", "1");
    set("mover.threads", std::to_string(GetParam()));
    set("tier.hbm.device", "emulated:0");
    set("tier.hbm.capacity", std::to_string(300 * kBlockBytes));
    set("tier.dram.capacity", std::to_string(600 * kBlockBytes));
    set("tier.nvme.capacity", "32MiB");
    set("tier.nvme.path", path_);
  }
  void TearDown() override { std::remove(path_.c_str()); }
  void set(const std::string& key, const std::string& value) {
    std::string why;
    ASSERT_TRUE(set_value(config_, key, value, &why).ok()) << why;
  }
  void play_chats(Parts parts = {}) {
    replay_ = open(config_, {}, std::move(parts));
    ASSERT_TRUE(replay_);
    std::string why;
    ASSERT_TRUE(play(*replay_, generated(TraceKind::kChat, 400), &why).ok()) << why;
  }

  const std::string path_ =
      KELVIN_BINARY_DIR "/kelvin_replay_test." + std::to_string(::getpid()) + ".gpu.blocks";
  Config config_;
  std::unique_ptr<Replay> replay_;
};
INSTANTIATE_TEST_SUITE_P(MoverThreads, ReplayOverGpuMemory, testing::Values(0U, 1U));

TEST_P(ReplayOverGpuMemory, EveryBlockIsVerifiedWhereItIs) {
  play_chats();
  const ReplayResult& result = replay_->finish();
  EXPECT_EQ(result.requests, 400U);
  EXPECT_EQ(result.referenced, result.hit + result.published + result.unpublished);
  EXPECT_EQ(result.checked, result.hit);
  EXPECT_EQ(result.corrupt, 0U);
  EXPECT_EQ(result.stats.load_failures, 0U);
  ASSERT_EQ(result.stats.tiers.size(), 3U);
  for (const TierStats& tier : result.stats.tiers) EXPECT_GT(tier.hits, 0U) << tier.name;
}

TEST_P(ReplayOverGpuMemory, SegmentsOfABlockAreGatheredAndScattered) {
  set("tier.hbm.segments", "8");
  set("tier.hbm.order", "segment");
  play_chats();
  const ReplayResult& result = replay_->finish();
  EXPECT_EQ(result.checked, result.hit);
  EXPECT_EQ(result.corrupt, 0U);
  EXPECT_GT(result.stats.tiers[1].hits, 0U);
}

TEST_P(ReplayOverGpuMemory, BlocksPassThroughHostMemoryWhereItIsNoTier) {
  std::erase_if(config_.tiers, [](const TierConfig& tier) { return tier.name == "dram"; });
  play_chats();
  const ReplayResult& result = replay_->finish();
  EXPECT_EQ(result.checked, result.hit);
  EXPECT_EQ(result.corrupt, 0U);
  EXPECT_EQ(result.stats.load_failures, 0U);
  ASSERT_EQ(result.stats.tiers.size(), 2U);
  EXPECT_GT(result.stats.tiers[1].hits, 0U);
}

TEST_P(ReplayOverGpuMemory, AWrongBitThereIsFoundByItsChecksumAndReadBack) {
  play_chats(flipping("dram>hbm"));
  const ReplayResult& result = replay_->finish();
  EXPECT_GT(result.corrupt, 0U);
  ASSERT_FALSE(result.findings.empty());
  EXPECT_THAT(result.findings[0], HasSubstr("wrong bytes, the first of them is byte 2048 of 4096"));
}

}  // namespace
}  // namespace kelvin::cli
