// kelvin nvme: what it says of a file, what it mends, and what it refuses.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "command_fixture.h"

namespace kelvin {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class NvmeCommand : public Command {
 protected:
  void SetUp() override {
    Command::SetUp();
    blocks_ = folder_ + "/blocks";
    config_ = write("c.toml", R"([space]
block_bytes = "16KiB"
model = "test"
[[tier]]
name = "near"
kind = "dram"
capacity = "2MiB"
[[tier]]
name = "far"
kind = "nvme"
direct = "auto"
capacity = "32MiB"
path = ")" + blocks_ + "\"\n[policy]\nname = \"lru\"\n");
  }
  json info() {
    const Outcome got = kelvin("nvme info " + blocks_ + " --json -");
    EXPECT_EQ(got.code, 0) << got.err;
    return json::parse(got.out);
  }
  void fill() {
    const Outcome got = kelvin("replay " + trace("chat", 60) + " --config " + config_);
    ASSERT_EQ(got.code, 0) << got.err;
  }
  // Flips a bit of the block in the first slots that are used.
  void spoil_blocks(int count) {
    std::fstream file(blocks_, std::ios::in | std::ios::out | std::ios::binary);
    for (int i = 0; i < count; ++i) {
      const auto at = std::streamoff{2 << 20} + std::streamoff{i} * (16 << 10) + 5;
      file.seekg(at);
      const int was = file.get();
      file.seekp(at);
      file.put(static_cast<char>(was ^ 1));
    }
  }
  std::string blocks_;
  std::string config_;
};

TEST_F(NvmeCommand, InfoSaysWhatAFileHoldsAndForWhom) {
  fill();
  const json report = info();
  EXPECT_EQ(report["model"], "test");
  EXPECT_EQ(report["block_bytes"], 16384);
  EXPECT_EQ(report["slots"], 1920);
  EXPECT_GT(report["used"], 100);
  EXPECT_EQ(report["closed_in_order"], true);
  EXPECT_EQ(report["damaged_records"], 0);
  const Outcome text = kelvin("nvme info " + blocks_);
  EXPECT_THAT(text.out, HasSubstr("closed in order"));
}

TEST_F(NvmeCommand, FsckFindsWhatRottedAndForgetsIt) {
  fill();
  const auto used = info()["used"].get<int>();
  spoil_blocks(40);
  const Outcome dry = kelvin("nvme fsck " + blocks_ + " --dry-run --json -");
  EXPECT_EQ(dry.code, 1);
  const json found = json::parse(dry.out);
  EXPECT_EQ(found["checked"], used);
  EXPECT_GT(found["wrong"], 0);
  EXPECT_EQ(found["forgotten"], 0);
  EXPECT_EQ(info()["used"], used) << "a dry run changes nothing";

  const Outcome wet = kelvin("nvme fsck " + blocks_ + " --json -");
  EXPECT_EQ(wet.code, 0) << wet.err;
  EXPECT_EQ(json::parse(wet.out)["forgotten"], found["wrong"]);
  const Outcome again = kelvin("nvme scrub " + blocks_ + " --budget 1GB --json -");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out)["wrong"], 0);
  EXPECT_EQ(json::parse(again.out)["checked"], used - found["wrong"].get<int>());
}

TEST_F(NvmeCommand, AReplayOverRottenBlocksIsRightAndOverGoodOnesBeginsWarm) {
  fill();
  const std::string replay = "replay " + trace("chat", 60) + " --json - --config " + config_;
  const Outcome cold = kelvin(replay);
  ASSERT_EQ(cold.code, 0) << cold.err;
  spoil_blocks(200);
  const Outcome warm = kelvin(replay);
  ASSERT_EQ(warm.code, 0) << warm.err;
  EXPECT_EQ(json::parse(warm.out)["verify"]["corrupt"], 0);
}

TEST_F(NvmeCommand, AReplayThatIsRestartedGoesOnAlmostAsIfItHadNotBeen) {
  const std::string play = "replay " + trace("agent", 300) + " --json - --config " + config_;
  const auto run = [&](const std::string& part) {
    const Outcome got = kelvin(play + part);
    EXPECT_EQ(got.code, 0) << got.err;
    return json::parse(got.out);
  };
  const auto blocks = [](const json& report, const char* which) {
    return report["blocks"][which].get<double>();
  };
  const json whole = run(" --limit 300");
  EXPECT_EQ(kelvin("nvme format " + blocks_ + " --yes").code, 0);
  const json before = run(" --limit 180");
  const json after = run(" --skip 180 --limit 120");
  EXPECT_EQ(after["requests"], 120);
  EXPECT_EQ(after["verify"]["corrupt"], 0);
  const double referenced = blocks(whole, "referenced") - blocks(before, "referenced");
  EXPECT_EQ(blocks(after, "referenced"), referenced);
  const double uninterrupted = (blocks(whole, "hit") - blocks(before, "hit")) / referenced;
  EXPECT_GT(uninterrupted, 0);
  EXPECT_GE(blocks(after, "hit") / referenced, uninterrupted - 0.02);
}

TEST_F(NvmeCommand, FormatAsksFirst) {
  fill();
  const Outcome no = kelvin("nvme format " + blocks_);
  EXPECT_EQ(no.code, 1);
  EXPECT_THAT(no.err, HasSubstr("--yes"));
  EXPECT_GT(info()["used"], 0);
  EXPECT_EQ(kelvin("nvme format " + blocks_ + " --yes").code, 0);
  const Outcome empty = kelvin("nvme info " + blocks_);
  EXPECT_EQ(empty.code, 1);
  EXPECT_THAT(empty.err, HasSubstr("holds nothing yet"));
  fill();
}

TEST_F(NvmeCommand, FormatMakesAFileOfAnotherLayoutUsable) {
  fill();
  const Outcome other = kelvin("replay " + trace("chat", 60) + " --block-bytes 32KiB --config " + config_);
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("kelvin nvme format"));
  EXPECT_EQ(kelvin("nvme format " + blocks_ + " --yes").code, 0);
  EXPECT_EQ(kelvin("replay " + trace("chat", 60) + " --block-bytes 32KiB --config " + config_).code, 0);
}

TEST_F(NvmeCommand, WhatIsNotOursOrNotThereIsRefused) {
  const std::string letter = write("letter", "dear reader");
  for (const std::string verb : {"info ", "fsck "}) {
    const Outcome got = kelvin("nvme " + verb + letter);
    EXPECT_EQ(got.code, 1);
    EXPECT_THAT(got.err, HasSubstr("something else than blocks"));
  }
  const Outcome missing = kelvin("nvme info " + folder_ + "/none");
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("none"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/none"));
  EXPECT_EQ(kelvin("nvme scrub " + letter + " --budget fast").code, 1);
  EXPECT_EQ(read(letter), "dear reader");
  EXPECT_EQ(kelvin("nvme format " + letter + " --yes").code, 0) << "it was asked for";
}

}  // namespace
}  // namespace kelvin
