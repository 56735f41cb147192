// kelvin tune, bench and the reports, as a person or a script meets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "command_fixture.h"

namespace kelvin {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Command, TuneShowsTheFrontAndWritesTheBestAsAConfig) {
  const std::string path = trace("chat", 300);
  const std::string config = write("two.toml", kTwoTiers);
  const std::string best = folder_ + "/best.toml";
  const Outcome got =
      kelvin("tune " + path + " --config " + config +
             " --vary policy.name=lru,heat --vary tier.near.free_ahead=0,10% --jobs 2 --out " + best +
             " --json " + folder_ + "/tune.json");
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(got.out, StartsWith("5 settings simulated; "));
  for (const char* word : {"Pareto front", "best", "given", "policy", "free_ahead", "p99 ms"}) {
    EXPECT_THAT(got.out, HasSubstr(word));
  }
  EXPECT_EQ(kelvin("config check " + best).code, 0);
  const auto report = nlohmann::json::parse(read(folder_ + "/tune.json"));
  EXPECT_EQ(report["trials"].size(), 5u);
  EXPECT_FALSE(report["random"]);
  const auto winner = report["trials"][report["best"].get<std::size_t>()];
  EXPECT_TRUE(winner["on_front"]);
  const auto again = nlohmann::json::parse(kelvin("sim " + path + " --json - --config " + best).out);
  EXPECT_EQ(again["blocks"]["hit"], winner["blocks_hit"]);
  EXPECT_EQ(again["ttft_ms"], winner["ttft_ms"]);
}

TEST_F(Command, TuneDrawsTheSameFromTheSameSeed) {
  const std::string arguments =
      "tune " + trace("rag", 60) + " --config " + write("two.toml", kTwoTiers) +
      " --vary tier.near.capacity=4MiB..64MiB:log --random --budget 4 --json - --seed ";
  const Outcome first = kelvin(arguments + "7");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(kelvin(arguments + "7").out, first.out);
  EXPECT_NE(kelvin(arguments + "8").out, first.out);
  EXPECT_EQ(nlohmann::json::parse(first.out)["trials"].size(), 5u);
}

TEST_F(Command, TuneSaysThatItDrawsFromALargeGrid) {
  const Outcome got = kelvin("tune " + trace("rag", 60) + " --config " + write("two.toml", kTwoTiers) +
                             " --vary tier.near.capacity=4MiB..64MiB:9 --budget 3");
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(got.err,
              HasSubstr("the grid has 9 settings, more than --budget 3: 3 are drawn at random, seed 1"));
}

TEST_F(Command, TuneRefusesWhatItCannotVaryBeforeItReadsATrace) {
  const std::string config = write("two.toml", kTwoTiers);
  const Outcome got = kelvin("tune absent.jsonl --config " + config + " --vary policy.nmae=lru");
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("--vary policy.nmae=lru: policy has no key 'nmae'; did you mean 'name'?"));
}

TEST_F(Command, TuneSaysWhatCannotBeWritten) {
  const Outcome got = kelvin("tune " + trace("rag", 20) + " --config " + write("two.toml", kTwoTiers) +
                             " --vary mover.queue=64,128 --out " + folder_ + "/no/such/folder");
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("/no/such/folder: cannot be written"));
}

// Interrupts a command as soon as it has a handler for that (bit 1 of SigCgt), however slow the machine is.
// Job control, since a shell without it starts its background commands deaf to interrupts.
constexpr const char* kInterrupted = R"(
set -m
"$@" &
for _ in {1..600}; do
  if grep -q '^SigCgt:.*[2367abef]$' /proc/$!/status; then kill -INT $!; break; fi
  sleep .05
done
wait $!
)";

TEST_F(Command, TuneInterruptedShowsWhatItHasAndWritesNoReport) {
  const std::string config = write("two.toml", kTwoTiers);
  const std::string path = trace("chat", 1500);
  const Outcome got = kelvin("tune " + path + " --config " + config +
                                 " --vary tier.near.free_ahead=0..50%:500 --budget 500 --jobs 1 --report " +
                                 folder_ + "/r.html",
                             "bash " + write("interrupted", kInterrupted));
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.out + got.err, HasSubstr("nterrupted"));  // some settings were simulated, or not even one
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/r.html"));
}

TEST_F(Command, BenchMeasuresTheLinksAndWritesACopyOfTheConfig) {
  const std::string config = write("two.toml", kTwoTiers);
  const Outcome got = kelvin("bench --links --write --config " + config);
  ASSERT_EQ(got.code, 0) << got.err;
  for (const char* word : {"near>far", "far>near", "load_latency", "load_bandwidth", "store_bandwidth"}) {
    EXPECT_THAT(got.out, HasSubstr(word));
  }
  const std::string copy = folder_ + "/two.measured.toml";
  EXPECT_EQ(kelvin("config check " + copy).code, 0);
  EXPECT_EQ(read(config), kTwoTiers);
  const Outcome sim = kelvin("sim " + trace("rag", 40) + " --config " + copy);
  EXPECT_EQ(sim.code, 0) << sim.err;
  EXPECT_THAT(sim.out, Not(HasSubstr("assumed")));
}

TEST_F(Command, BenchOfOneTierSaysThatThereIsNoLink) {
  const std::string config =
      write("one.toml", "[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"16MiB\"\n");
  const Outcome got = kelvin("bench --links --config " + config);
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("has one tier, so there is no link to measure"));
}

TEST_F(Command, SimWritesAReport) {
  const Outcome got = kelvin("sim " + trace("rag", 60) + " --config " + write("two.toml", kTwoTiers) +
                             " --report " + folder_ + "/sim.html");
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(read(folder_ + "/sim.html"), StartsWith("<!DOCTYPE html>"));
}

}  // namespace
}  // namespace kelvin
