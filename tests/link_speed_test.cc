// Measuring links: on host memory and on a file, without touching what is there.
#include "cli/link_speed.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "cli/sim_config.h"
#include "cli/two_tiers.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kBlockBytes = 64 << 10;
constexpr MeasureOptions kQuick = {.bytes = 2 << 20, .rounds = 2, .singles = 3};

class LinkSpeedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        KELVIN_BINARY_DIR "/kelvin_link_speed_test.XXXXXX";  // a disk, where /tmp may be memory
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    config_.space.block_bytes = kBlockBytes;
    config_.tiers = {tier("near", "dram"), tier("far", "dram")};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static TierConfig tier(const std::string& name, const std::string& kind) {
    TierConfig tier;
    tier.name = name;
    tier.kind = kind;
    tier.capacity_bytes = 64 * kBlockBytes;
    return tier;
  }

  void use_file(const std::string& path) {
    config_.tiers[1] = tier("drive", "nvme");
    config_.tiers[1].options = {{"path", path}, {"direct", "on"}};
  }

  std::vector<LinkSpeed> measure() {
    std::string why;
    auto speeds = measure_links(
        config_, kQuick, [](const std::string&) {}, &why);
    EXPECT_TRUE(speeds.ok()) << why;
    return speeds.ok() ? std::move(*speeds) : std::vector<LinkSpeed>{};
  }

  std::string folder_;
  Config config_;
};

void expect_sane(const LinkSpeed& speed) {
  EXPECT_EQ(speed.missing, "");
  EXPECT_GT(speed.blocks, 0u);
  EXPECT_GT(speed.one_block_ns, 0u);
  EXPECT_GT(speed.bytes_per_second, 1'000'000u);
  EXPECT_LE(speed.latency_ns(kBlockBytes), speed.one_block_ns);
  EXPECT_GT(speed.depth, 0u);
}

TEST_F(LinkSpeedTest, MeasuresHostMemoryBothWays) {
  const std::vector<LinkSpeed> speeds = measure();
  ASSERT_EQ(speeds.size(), 2u);
  EXPECT_EQ(speeds[0].name, "far>near");
  EXPECT_FALSE(speeds[0].store);
  EXPECT_EQ(speeds[1].name, "near>far");
  EXPECT_TRUE(speeds[1].store);
  for (const LinkSpeed& speed : speeds) expect_sane(speed);
}

TEST_F(LinkSpeedTest, MeasuresAFileBesideTheOneInUseAndLeavesNothing) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "built without the nvme tier";
  const std::string path = folder_ + "/blocks";
  const std::string precious = "somebody's data";
  std::ofstream(path) << precious;
  use_file(path);
  const std::vector<LinkSpeed> speeds = measure();
  ASSERT_EQ(speeds.size(), 2u);
  if (speeds[0].missing.find("O_DIRECT") != std::string::npos) {
    GTEST_SKIP() << "this folder's file system refuses O_DIRECT: " << speeds[0].missing;
  }
  for (const LinkSpeed& speed : speeds) expect_sane(speed);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), precious);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(LinkSpeedTest, MeasuresGpuMemoryOverHostMemoryAndOverADrive) {
  if (find_tier_factory("hbm") == nullptr) GTEST_SKIP() << "this build has no tiers in GPU memory";
  config_.tiers[0] = tier("gpu", "hbm");
  config_.tiers[0].options = {{"device", "emulated:0"}};
  for (const LinkSpeed& speed : measure()) {
    EXPECT_EQ(speed.missing, "") << speed.name;
    EXPECT_GT(speed.bytes_per_second, 0U) << speed.name;
    EXPECT_GT(speed.depth, 0U) << speed.name;
  }
  if (find_tier_factory("nvme") == nullptr) return;
  use_file(folder_ + "/blocks");
  const auto staged = measure();
  ASSERT_EQ(staged.size(), 2U);
  EXPECT_EQ(staged[0].name, "drive>gpu");
  if (staged[0].missing.find("O_DIRECT") != std::string::npos) GTEST_SKIP() << staged[0].missing;
  EXPECT_EQ(staged[0].missing, "");
  EXPECT_GT(staged[0].depth, 1U) << "a link, though through host memory";
}

TEST_F(LinkSpeedTest, LeavesAFileAloneThatIsInTheWayOfItsScratchFile) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "built without the nvme tier";
  use_file(folder_ + "/blocks");
  const std::string taken = fmt::format("{}/blocks.bench-{}", folder_, ::getpid());
  std::ofstream(taken) << "somebody's data";
  EXPECT_THAT(measure().front().missing, HasSubstr("is in the way of a scratch file: remove it"));
  EXPECT_TRUE(std::filesystem::exists(taken));
}

TEST_F(LinkSpeedTest, NeverWritesOnADevice) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "built without the nvme tier";
  use_file("/dev/null");
  const std::vector<LinkSpeed> speeds = measure();
  ASSERT_EQ(speeds.size(), 2u);
  EXPECT_THAT(speeds[0].missing,
              HasSubstr("'/dev/null' is no regular file, and measuring would write over it"));
  EXPECT_THAT(link_table(speeds, config_), HasSubstr("not measured: "));
}

TEST_F(LinkSpeedTest, MeasuresWithHostMemoryInTheEnginesPlace) {
  config_.tiers[0] = {.name = "engine", .kind = "adopted", .options = {}};
  const std::vector<LinkSpeed> speeds = measure();
  ASSERT_EQ(speeds.size(), 2u);
  for (const LinkSpeed& speed : speeds) expect_sane(speed);
}

TEST_F(LinkSpeedTest, MeasuresEachTierWithTheFirstAndWithTheOneBefore) {
  config_.tiers.push_back(tier("third", "dram"));
  std::vector<std::string> names;
  for (const LinkSpeed& speed : measure()) names.push_back(speed.name);
  EXPECT_THAT(names, testing::ElementsAre("far>near", "near>far", "third>near", "near>third", "third>far",
                                          "far>third"));
}

LinkSpeed speed(std::size_t near, std::size_t far, bool store, std::uint64_t one_block_ns,
                std::uint64_t bytes_per_second) {
  LinkSpeed speed;
  speed.near = near;
  speed.far = far;
  speed.store = store;
  speed.one_block_ns = one_block_ns;
  speed.bytes_per_second = bytes_per_second;
  return speed;
}

TEST_F(LinkSpeedTest, TheConfigTakesLoadsToTheFirstTierAndStoresFromTheOneBefore) {
  config_.tiers.push_back(tier("third", "dram"));
  std::vector<LinkSpeed> speeds = {speed(0, 1, false, 1'000'000, 1 << 30), speed(0, 1, true, 9, 2 << 20),
                                   speed(0, 2, false, 2'000'000, 1 << 30), speed(0, 2, true, 9, 4 << 20),
                                   speed(1, 2, false, 3'000'000, 1 << 29), speed(1, 2, true, 9, 8 << 20)};
  apply_speeds(speeds, config_);
  EXPECT_EQ(config_.tiers[1].load_latency_ns, 939'000u);  // less what 64 KiB take at 1 GiB a second
  EXPECT_EQ(config_.tiers[1].load_bandwidth, 1u << 30);
  EXPECT_EQ(config_.tiers[1].store_bandwidth, 2u << 20);
  EXPECT_EQ(config_.tiers[2].load_latency_ns, 1'939'000u);
  EXPECT_EQ(config_.tiers[2].store_bandwidth, 8u << 20);
  speeds[2].missing = "no such link";
  apply_speeds(speeds, config_);
  EXPECT_EQ(config_.tiers[2].load_bandwidth, 1u << 29) << "no direct link: the one to the tier before";
}

TEST_F(LinkSpeedTest, ASimulationTakesTheSpeedsThatWereWritten) {
  apply_speeds(measure(), config_);
  std::string why;
  const auto back = parse_config(to_toml(config_), "measured", &why);
  ASSERT_TRUE(back.ok()) << why;
  const std::vector<TierSpeed> speeds = speeds_of(*back);
  EXPECT_FALSE(speeds[1].assumed);
  EXPECT_EQ(speeds[1].load_bytes_per_second, config_.tiers[1].load_bandwidth);
  EXPECT_EQ(speeds[1].store_bytes_per_second, config_.tiers[1].store_bandwidth);
}

TEST(ScratchFile, IsGoneWithItsObject) {
  const std::string path = ::testing::TempDir() + "kelvin_scratch";
  {
    const ScratchFile file(path);
    EXPECT_EQ(file.path(), path);
    std::ofstream(path) << "bytes";
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace kelvin::cli
