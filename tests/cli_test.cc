// The kelvin command as a person or a script meets it: exit codes, messages, the JSON it writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cli/progress.h"
#include "command_fixture.h"

namespace kelvin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

TEST_F(Command, SaysItsVersionAndItsHelp) {
  const Outcome version = kelvin("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, MatchesRegex("kelvin [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  const Outcome help = kelvin("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"replay", "sim", "tune", "bench", "trace", "config", "Exit codes"})
    EXPECT_THAT(help.out, HasSubstr(word));
}

TEST_F(Command, WrongUsageEndsWithTwoAndSaysWhy) {
  for (const char* arguments : {"",
                                "nonsense",
                                "replay",
                                "replay t.jsonl",
                                "trace",
                                "config",
                                "config check",
                                "trace info",
                                "trace gen --kind chat --requests 5",
                                "trace gen --kind poems --requests 5 --seed 1",
                                "trace gen --kind chat --requests 0 --seed 1",
                                "trace gen --kind chat --requests many --seed 1",
                                "tune",
                                "tune t.jsonl --config c.toml",
                                "tune t.jsonl --config c.toml --vary",
                                "tune t.jsonl --config c.toml --vary a=b --objective luck",
                                "tune t.jsonl --config c.toml --vary a=b --budget 0",
                                "bench",
                                "bench --config c.toml",
                                "bench --links",
                                "replay t.jsonl --config c.toml --limit 0",
                                "replay t.jsonl --config c.toml --frobnicate"}) {
    const Outcome got = kelvin(arguments);
    EXPECT_EQ(got.code, 2) << arguments;
    EXPECT_THAT(got.err, Not(testing::IsEmpty())) << arguments;
  }
}

TEST_F(Command, ConfigCheckSaysWhatEachTierAmountsTo) {
  const Outcome got = kelvin("config check " + write("two.toml", kTwoTiers));
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("two.toml: ok"));
  EXPECT_THAT(got.out, HasSubstr("16 MiB = 1024 blocks"));
  EXPECT_THAT(got.out, HasSubstr("64 MiB = 4096 blocks"));
  EXPECT_THAT(got.out, HasSubstr("policy  heat"));
}

TEST_F(Command, ConfigCheckRefusesAMistakeWithItsPlace) {
  const Outcome got =
      kelvin("config check " + write("bad.toml", std::string(kTwoTiers) + "capacty = \"1GiB\"\n"));
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("bad.toml:13"));
  EXPECT_THAT(got.err, HasSubstr("capacty"));
  EXPECT_EQ(kelvin("config check " + folder_ + "/absent.toml").code, 1);
}

TEST_F(Command, TheExampleConfigsAreRight) {
  for (const char* name : {"dram.toml", "dram_nvme.toml"}) {
    const Outcome got = kelvin(std::string("config check ") + KELVIN_SOURCE_DIR + "/docs/examples/" + name);
    EXPECT_EQ(got.code, 0) << got.err;
  }
}

TEST_F(Command, TraceGenWritesTheSameToAPipeAndToAFile) {
  const std::string path = trace("chat", 50);
  EXPECT_EQ(kelvin("trace gen --kind chat --seed 1 --requests 50").out, read(path));
}

TEST_F(Command, TraceGenSaysWhenItCannotWrite) {
  EXPECT_EQ(kelvin("trace gen --kind chat --requests 5 --seed 1 --out " + folder_ + "/no/such/folder").code,
            1);
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full to stand for a full disk";
  const Outcome got = kelvin("trace gen --kind chat --requests 500 --seed 1 --out /dev/full");
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("cannot be written"));
}

TEST_F(Command, TraceInfoReadsAFileAndStandardInput) {
  const std::string path = trace("agent", 200);
  const Outcome file = kelvin("trace info " + path);
  EXPECT_EQ(file.code, 0) << file.err;
  EXPECT_THAT(file.out, HasSubstr("hit ratio, endless memory"));
  EXPECT_EQ(kelvin("trace info - < " + path).out, file.out);
}

TEST_F(Command, ABadTraceEndsWithOneAndItsLine) {
  const std::string path = write("bad.jsonl", "{\"timestamp\":0}\n");
  const Outcome got = kelvin("trace info " + path);
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("bad.jsonl:1: input_length is missing"));
}

TEST_F(Command, ReplayRefusesBadInputWithOne) {
  const std::string config = write("two.toml", kTwoTiers);
  EXPECT_EQ(kelvin("replay " + folder_ + "/absent.jsonl --config " + config).code, 1);
  EXPECT_EQ(kelvin("replay " + write("empty.jsonl", "") + " --config " + config).code, 1);
  EXPECT_EQ(kelvin("replay x --config " + folder_ + "/absent.toml").code, 1);
  const Outcome size = kelvin("replay x --block-bytes lots --config " + config);
  EXPECT_EQ(size.code, 1);
  EXPECT_THAT(size.err, HasSubstr("--block-bytes lots: is not a size"));
}

// Every key of an object, those of objects in it behind a dot.
void collect_keys(const nlohmann::json& object, const std::string& prefix, std::set<std::string>& keys) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      collect_keys(value, prefix + key + ".", keys);
    } else {
      keys.insert(prefix + key);
    }
  }
}

TEST_F(Command, ReplayWritesJsonWithTheFixedKeys) {
  const Outcome got =
      kelvin("replay " + trace("chat", 300) + " --json - --config " + write("two.toml", kTwoTiers));
  ASSERT_EQ(got.code, 0) << got.err;
  const auto report = nlohmann::json::parse(got.out);
  std::set<std::string> keys;
  collect_keys(report, "", keys);
  EXPECT_THAT(keys, ElementsAre("blocks.hit", "blocks.published", "blocks.referenced", "bytes_moved.far>near",
                                "bytes_moved.near>far", "config", "hit_ratio", "hits_by_tier.far",
                                "hits_by_tier.near", "latency_us.acquire.max", "latency_us.acquire.p50",
                                "latency_us.acquire.p99", "latency_us.match.max", "latency_us.match.p50",
                                "latency_us.match.p99", "latency_us.publish.max", "latency_us.publish.p50",
                                "latency_us.publish.p99", "load_failures", "requests", "seconds",
                                "verify.checked", "verify.corrupt"));
  EXPECT_EQ(report["requests"], 300);
  EXPECT_EQ(report["verify"]["corrupt"], 0);
  EXPECT_EQ(report["verify"]["checked"], report["blocks"]["hit"]);
  EXPECT_EQ(report["load_failures"], 0);
  EXPECT_GT(report["bytes_moved"]["near>far"], 0);
}

TEST_F(Command, SimWritesJsonWithTheFixedKeys) {
  const Outcome got =
      kelvin("sim " + trace("chat", 300) + " --json - --config " + write("two.toml", kTwoTiers));
  ASSERT_EQ(got.code, 0) << got.err;
  const auto report = nlohmann::json::parse(got.out);
  std::set<std::string> keys;
  collect_keys(report["lru"], "", keys);
  EXPECT_THAT(keys, ElementsAre("blocks.hit", "blocks.published", "blocks.referenced", "bytes_moved.far>near",
                                "bytes_moved.near>far", "gpu_seconds.computed", "gpu_seconds.saved",
                                "hit_ratio", "hits_by_tier.far", "hits_by_tier.near", "load_wait_seconds",
                                "policy", "references_per_second", "requests", "seconds", "ttft_ms.p50",
                                "ttft_ms.p99", "virtual_seconds", "write_amplification"));
  EXPECT_EQ(report["requests"], 300);
  EXPECT_EQ(report["policy"], "heat");
  EXPECT_GT(report["bytes_moved"]["near>far"], 0);
  ASSERT_EQ(report["min"].size(), 2u);
  EXPECT_EQ(report["min"][1]["tiers"], "near+far");
  EXPECT_GE(report["min"][1]["hit"], report["blocks"]["hit"]);
  EXPECT_EQ(report["speeds"].size(), 2u);
}

TEST_F(Command, SimShowsThePolicyBesideTheBound) {
  const Outcome got =
      kelvin("sim " + trace("rag", 100) + " --limit 40 --config " + write("two.toml", kTwoTiers));
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(got.out, StartsWith("40 requests, "));
  for (const char* word : {"lru", "MIN", "near+far", "assumed"}) EXPECT_THAT(got.out, HasSubstr(word));
}

TEST_F(Command, SimRefusesAPolicyThatDoesNotExist) {
  const Outcome got = kelvin("sim x.jsonl --policy crystal --config " + write("two.toml", kTwoTiers));
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("crystal"));
}

TEST_F(Command, ReplayShowsATableByTierAndNoProgressInAPipe) {
  const Outcome got = kelvin("replay " + trace("agent", 60) + " --block-bytes 4KiB --config " +
                             write("two.toml", kTwoTiers) + " --json " + folder_ + "/out.json");
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.err, "");
  EXPECT_THAT(got.out, StartsWith("60 requests, "));
  for (const char* word : {"near", "far", "near>far", "acquire", "every byte as written"}) {
    EXPECT_THAT(got.out, HasSubstr(word));
  }
  EXPECT_THAT(nlohmann::json::parse(read(folder_ + "/out.json"))["config"].get<std::string>(),
              HasSubstr("4KiB"));
}

TEST_F(Command, ReplayObeysItsLimitAndCanLeaveOutTheCheck) {
  const Outcome got = kelvin("replay " + trace("rag", 100) + " --limit 40 --no-verify --json - --config " +
                             write("two.toml", kTwoTiers));
  ASSERT_EQ(got.code, 0) << got.err;
  const auto report = nlohmann::json::parse(got.out);
  EXPECT_EQ(report["requests"], 40);
  EXPECT_EQ(report["verify"]["checked"], 0);
}

TEST_F(Command, ReplayReportsWhatItDidBeforeATraceWentWrong) {
  const std::string path = trace("chat", 20);
  write("cut.jsonl", read(path) + "{\"timestamp\":");
  const Outcome got = kelvin("replay " + folder_ + "/cut.jsonl --config " + write("two.toml", kTwoTiers));
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.out, StartsWith("20 requests, "));
  EXPECT_THAT(got.err, HasSubstr("cut.jsonl:21: is not JSON"));
}

TEST_F(Command, ReplaysOfSeveralTracesKeepTheirIdsApart) {
  const std::string path = trace("chat", 40);
  const std::string config = write("two.toml", kTwoTiers);
  const auto once = nlohmann::json::parse(kelvin("replay " + path + " --json - --config " + config).out);
  const auto twice =
      nlohmann::json::parse(kelvin("replay " + path + " " + path + " --json - --config " + config).out);
  EXPECT_EQ(twice["requests"], 80);
  EXPECT_EQ(twice["blocks"]["hit"].get<int>(), 2 * once["blocks"]["hit"].get<int>());
}

TEST(ProgressLine, SaysRequestsHitsBytesAndTimeLeft) {
  cli::ProgressState state;
  state.requests = 120;
  state.referenced = 200;
  state.hit = 50;
  state.bytes_moved = 2'340'000'000;
  state.fraction = 0.25;
  EXPECT_EQ(cli::progress_line(state, 30), "120 requests  25.0 % hit  2.3 GB moved  0:30  ETA 1:30");
  state.fraction = -1;
  EXPECT_THAT(cli::progress_line(state, 3700), Not(HasSubstr("ETA")));
  EXPECT_THAT(cli::progress_line(state, 3700), HasSubstr("1:01:40"));
}

}  // namespace
}  // namespace kelvin
