// parse_config, load_config and validate: good configs are read, every kind of mistake is named with its
// place.
#include "kelvin/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "kelvin/block.h"
#include "registry.h"

namespace kelvin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kDram = "[[tier]]\nname = \"dram\"\nkind = \"dram\"\ncapacity = \"1GiB\"\n";

std::string many_tiers(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += "[[tier]]\nname = \"t" + std::to_string(i) + "\"\nkind = \"dram\"\ncapacity = \"1GiB\"\n";
  }
  return text;
}

Config parsed(const std::string& text) {
  std::string why;
  Result<Config> config = parse_config(text, "k.toml", &why);
  EXPECT_TRUE(config.ok()) << why;
  return config.ok() ? *config : Config();
}

std::string mistake(const std::string& text) {
  std::string why;
  const Result<Config> config = parse_config(text, "k.toml", &why);
  EXPECT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), Code::kInvalid);
  return why;
}

TEST(Config, OneTierIsEnough) {
  const Config config = parsed(kDram);
  ASSERT_EQ(config.tiers.size(), 1u);
  EXPECT_EQ(config.tiers[0].name, "dram");
  EXPECT_EQ(config.tiers[0].kind, "dram");
  EXPECT_EQ(config.tiers[0].capacity_bytes, 1u << 30);
  EXPECT_EQ(config.tiers[0].free_ahead, 0.02);
  EXPECT_EQ(config.space.block_bytes, SpaceConfig().block_bytes);
  EXPECT_EQ(config.policy.name, "heat");
  EXPECT_EQ(config.mover.threads, 1u);
}

TEST(Config, EveryCommonKeyIsRead) {
  const Config config = parsed(R"(
[space]
block_bytes = "64KiB"
block_tokens = 16
model = "llama-3.1-8b/bf16/tp1"
max_leases = 7
ghosts_percent = 0
prefill_tokens_per_second = 12_500.5
seed = 42

[[tier]]
name = "near"
kind = "dram"
capacity = 1073741824
free_ahead = "0.5%"

[[tier]]
name = "far"
kind = "fake"
capacity = "4GB"
free_ahead = 0

[policy]
name = "lru"

[mover]
threads = 0
queue = 64
demand_retries = 0
offline_after = 1
write_depth = 4
staging = "8MiB"
deadline = "1500ms"
retry_offline = 0
)");
  EXPECT_EQ(config.space.block_bytes, 65536u);
  EXPECT_EQ(config.space.block_tokens, 16u);
  EXPECT_EQ(config.space.model, "llama-3.1-8b/bf16/tp1");
  EXPECT_EQ(config.space.max_leases, 7u);
  EXPECT_EQ(config.space.ghosts_percent, 0u);
  EXPECT_EQ(config.space.prefill_tokens_per_second, 12500.5);
  EXPECT_EQ(config.space.seed, 42u);
  ASSERT_EQ(config.tiers.size(), 2u);
  EXPECT_EQ(config.tiers[0].capacity_bytes, 1u << 30);
  EXPECT_EQ(config.tiers[0].free_ahead, 0.005);
  EXPECT_EQ(config.tiers[1].name, "far");
  EXPECT_EQ(config.tiers[1].capacity_bytes, 4'000'000'000u);
  EXPECT_EQ(config.tiers[1].free_ahead, 0.0);
  EXPECT_EQ(config.mover.threads, 0u);
  EXPECT_EQ(config.mover.queue, 64u);
  EXPECT_EQ(config.mover.demand_retries, 0u);
  EXPECT_EQ(config.mover.offline_after, 1u);
  EXPECT_EQ(config.mover.write_depth, 4u);
  EXPECT_EQ(config.mover.staging_bytes, 8u << 20);
  EXPECT_EQ(config.mover.deadline_ns, 1'500'000'000u);
  EXPECT_EQ(config.mover.retry_offline_ns, 0u);
}

TEST(Config, KeysOfAKindTravelAsOptionsWithTheirPlaces) {
  const Config config = parsed(kDram + "prefault = true\nhuge_pages = \"none\"\n");
  ASSERT_EQ(config.tiers[0].options.size(), 2u);
  const Option& prefault = config.tiers[0].options[0];
  EXPECT_EQ(prefault.name, "prefault");
  EXPECT_EQ(prefault.value, "true");
  EXPECT_EQ(prefault.line, 5u);
  EXPECT_EQ(prefault.column, 12u);
  EXPECT_EQ(config.tiers[0].options[1].value, "none");
}

TEST(Config, AnAdoptedTierNeedsNoCapacity) {
  const Config config = parsed("[[tier]]\nname = \"engine\"\nkind = \"adopted\"\n");
  EXPECT_EQ(config.tiers[0].capacity_bytes, 0u);
  EXPECT_TRUE(validate(config, nullptr).ok());
}

TEST(Config, OtherWaysToWriteTheSameTomlAreTheSame) {
  const Config config =
      parsed("space.block_bytes = \"1MiB\"\ntier = [{name = \"d\", kind = 'dram', capacity = \"1GiB\"}]");
  EXPECT_EQ(config.space.block_bytes, 1u << 20);
  EXPECT_EQ(config.tiers.at(0).name, "d");
}

TEST(Config, WhatIsNotTomlIsToldWhere) {
  EXPECT_THAT(mistake("[space]\nblock_bytes = 12MiB\n"), StartsWith("k.toml:2:17: not TOML: "));
  EXPECT_THAT(mistake("[space\n"), StartsWith("k.toml:1:7: not TOML: "));
  EXPECT_THAT(mistake("\"\xff\" = 1"), HasSubstr("not TOML"));
  EXPECT_THAT(mistake("[space]\nseed = 1\nseed = 2\n"), HasSubstr("not TOML"));
}

TEST(Config, AnUnknownKeyIsToldTheNearestKnownOne) {
  EXPECT_EQ(mistake("[space]\n  blok_bytes = \"2MiB\"\n" + kDram),
            "k.toml:2:3: [space]: unknown key 'blok_bytes'; did you mean 'block_bytes'? Known: block_bytes, "
            "block_tokens, "
            "model, max_leases, ghosts_percent, prefill_tokens_per_second, seed");
  EXPECT_EQ(mistake(kDram + "[mover]\nthread = 1\n"),
            "k.toml:6:1: [mover]: unknown key 'thread'; did you mean 'threads'? Known: threads, queue, "
            "demand_retries, "
            "offline_after, write_depth, staging, deadline, retry_offline");
  EXPECT_THAT(
      mistake(kDram + "huge_page = \"thp\"\n"),
      StartsWith(
          "k.toml:5:1: tier 'dram': unknown key 'huge_page'; did you mean 'huge_pages'? Known: name, kind, "
          "capacity, free_ahead, write_budget, scrub, placement, pin_share, "
          "load_latency, load_bandwidth, store_bandwidth, huge_pages"));
  EXPECT_THAT(mistake(kDram + "[policy]\nnane = \"lru\"\n"),
              StartsWith("k.toml:6:1: policy 'heat': unknown key 'nane'; did you mean 'name'?"));
}

TEST(Config, AKeyOfAnotherSectionIsToldWhereItBelongs) {
  EXPECT_THAT(
      mistake("[space]\nthreads = 1\n" + kDram),
      StartsWith("k.toml:2:1: [space]: unknown key 'threads'; it is a key of [mover]. Known: block_bytes,"));
  EXPECT_THAT(
      mistake("[[tier]]\nname = \"a\"\nkind = \"adopted\"\nmlock = true\n"),
      StartsWith(
          "k.toml:4:1: tier 'a': unknown key 'mlock'; it is a key of tiers of kind 'dram'. Known: name,"));
  EXPECT_EQ(mistake("threads = 1\n" + kDram),
            "k.toml:1:1: key 'threads' stands outside of every section; it is a key of [mover]");
}

TEST(Config, AnUnknownSectionIsToldTheNearest) {
  EXPECT_EQ(mistake("[spce]\n" + kDram),
            "k.toml:1:2: unknown section 'spce'; did you mean 'space'? Known: space, tier, policy, mover, "
            "tenant");
  EXPECT_EQ(mistake("[[tiers]]\nx = 1\n" + kDram),
            "k.toml:1:1: unknown section 'tiers'; did you mean 'tier'? Known: space, tier, policy, mover, "
            "tenant");
}

TEST(Config, BracketsOfTheWrongNumberAreToldTheRightOnes) {
  EXPECT_EQ(mistake("[tier]\nname = \"a\"\n"),
            "k.toml:1:2: 'tier' is a list of tables; write [[tier]], with two brackets, for each tier");
  EXPECT_EQ(mistake("[[mover]]\n" + kDram),
            "k.toml:1:1: 'mover' is one table; write [mover], with one bracket, once");
  EXPECT_EQ(mistake("space = 3\n" + kDram),
            "k.toml:1:1: 'space' is one table; write [space], with one bracket, once");
}

TEST(Config, AValueOfAnotherTypeIsToldTheRightOne) {
  const auto space = [](const std::string& line) { return mistake("[space]\n" + line + "\n" + kDram); };
  EXPECT_EQ(space("block_tokens = \"512\""),
            "k.toml:2:16: [space]: block_tokens = '512' is text; needed: whole number, such as 512");
  EXPECT_EQ(space("block_tokens = 51.2"),
            "k.toml:2:16: [space]: block_tokens = 51.2 is a number with a fraction; needed: whole number, "
            "such as 512");
  EXPECT_EQ(space("model = 3"),
            "k.toml:2:9: [space]: model = 3 is a whole number; needed: text, such as \"unnamed\"");
  EXPECT_EQ(space("model = true"),
            "k.toml:2:9: [space]: model = true is a truth value; needed: text, such as \"unnamed\"");
  EXPECT_EQ(space("model = 2026-01-01"),
            "k.toml:2:9: [space]: model = this is a date; needed: text, such as \"unnamed\"");
  EXPECT_EQ(space("model = {a = 1}"),
            "k.toml:2:9: [space]: model = this is a table; needed: text, such as \"unnamed\"");
  EXPECT_EQ(space("block_bytes = [\"1MiB\"]"),
            "k.toml:2:15: [space]: block_bytes = this is a list; needed: size, such as \"2MiB\"");
  EXPECT_EQ(mistake(kDram + "prefault = 1\n"),
            "k.toml:5:12: tier 'dram': prefault = 1 is a whole number; needed: true or false");
  EXPECT_EQ(
      mistake(kDram + "free_ahead = \"some\"\n"),
      "k.toml:5:14: tier 'dram': free_ahead = 'some' is text; needed: number or percentage, such as \"2%\"");
}

TEST(Config, AValueOutOfRangeIsToldTheRange) {
  const auto space = [](const std::string& line) { return mistake("[space]\n" + line + "\n" + kDram); };
  EXPECT_EQ(space("block_bytes = \"2GiB\""),
            "k.toml:2:15: [space]: block_bytes = '2GiB': out of range; must be 64B to 1GiB");
  EXPECT_EQ(space("block_tokens = 0"),
            "k.toml:2:16: [space]: block_tokens = '0': out of range; must be 1 to 1048576");
  EXPECT_EQ(space("seed = -1"), "k.toml:2:8: [space]: seed = '-1': out of range; must be at least 0");
  EXPECT_EQ(space("prefill_tokens_per_second = nan"),
            "k.toml:2:29: [space]: prefill_tokens_per_second = 'nan': not a number; write one such as 8000");
  EXPECT_EQ(mistake(kDram + "free_ahead = \"70%\"\n"),
            "k.toml:5:14: tier 'dram': free_ahead = '70%': out of range; must be 0 to 50%");
  EXPECT_EQ(mistake(kDram + "free_ahead = 0.51\n"),
            "k.toml:5:14: tier 'dram': free_ahead = '0.51': out of range; must be 0 to 50%");
}

TEST(Config, ASizeWithABadUnitIsToldTheUnits) {
  EXPECT_EQ(mistake("[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"8GX\"\n"),
            "k.toml:4:12: tier 'a': capacity = '8GX': unknown unit of size; units are B, KB, MB, GB, TB "
            "(powers of 1000), "
            "KiB, MiB, GiB, TiB (powers of 1024)");
  EXPECT_EQ(mistake("[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"-8GiB\"\n"),
            "k.toml:4:12: tier 'a': capacity = '-8GiB': a size cannot be negative");
}

TEST(Config, AChoiceThatIsNoneIsToldTheChoices) {
  EXPECT_EQ(mistake(kDram + "huge_pages = \"tph\"\n"),
            "k.toml:5:14: tier 'dram': huge_pages = 'tph': not one of the choices; did you mean 'thp'? "
            "Known: auto, "
            "hugetlb, thp, none");
}

TEST(Config, AnUnknownKindOrPolicyIsToldTheNearest) {
  EXPECT_THAT(mistake("[[tier]]\nname = \"a\"\nkind = \"dramm\"\ncapacity = \"1GiB\"\nprefault = true\n"),
              StartsWith("k.toml:3:8: tier 'a': unknown kind 'dramm'; did you mean 'dram'? Known: "));
  EXPECT_THAT(mistake(kDram + "[policy]\nname = \"lur\"\nx = 1\n"),
              StartsWith("k.toml:6:8: [policy]: unknown policy 'lur'; did you mean 'lru'? Known: "));
}

TEST(Config, WhatIsMissingIsToldWithItsReason) {
  EXPECT_EQ(mistake("\n[[tier]]\nkind = \"dram\"\n"),
            "k.toml:2:1: tier 1: 'name' is missing; add name = \"...\" (unique; what statistics and messages "
            "call the "
            "tier)\n"
            "k.toml:2:1: tier 1: 'capacity' is missing; add capacity = \"8GiB\" (a hard cap, never exceeded; "
            "rounded down "
            "to whole blocks)");
  EXPECT_THAT(mistake("[[tier]]\nname = \"a\"\n"),
              HasSubstr("tier 'a': 'kind' is missing; add kind = \"...\""));
}

TEST(Config, AnNvmeTierNeedsAPath) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "this build has no NVMe tier";
  EXPECT_THAT(mistake(kDram + "[[tier]]\nname = \"n\"\nkind = \"nvme\"\ncapacity = \"1GiB\"\n"),
              StartsWith("k.toml:5:1: tier 'n': 'path' is missing; add path = \"...\" ("));
  EXPECT_TRUE(parse_config(
                  kDram + "[[tier]]\nname = \"n\"\nkind = \"nvme\"\ncapacity = \"1GiB\"\npath = \"/tmp/x\"\n",
                  "", nullptr)
                  .ok());
}

TEST(Config, ANameGivenTwiceIsToldWhereFirst) {
  EXPECT_EQ(mistake(kDram + kDram),
            "k.toml:6:8: tier 'dram': this name is taken in line 2; tiers need different names");
}

TEST(Config, ANameIsFitForLinkNamesAndJson) {
  EXPECT_EQ(mistake("[[tier]]\nname = \"a>b\"\nkind = \"dram\"\ncapacity = \"1GiB\"\n"),
            "k.toml:2:8: tier 'a>b': a name is of letters, digits, '_', '-' and '.', at most 64 of them");
  EXPECT_THAT(
      mistake("[[tier]]\nname = \"" + std::string(65, 'a') + "\"\nkind = \"dram\"\ncapacity = \"1GiB\"\n"),
      HasSubstr("at most 64 of them"));
}

TEST(Config, HasAtLeastOneTierAndAtMostEight) {
  EXPECT_EQ(mistake(""), "k.toml: no tiers; add at least one [[tier]] with name, kind and capacity");
  EXPECT_EQ(mistake("tier = []"),
            "k.toml:1:1: 'tier' is a list of tables; write [[tier]], with two brackets, for each tier");
  EXPECT_EQ(parsed(many_tiers(kMaxTiers)).tiers.size(), kMaxTiers);
  EXPECT_EQ(mistake(many_tiers(kMaxTiers + 1)), "k.toml:33:1: 9 tiers are too many; a space has at most 8");
}

TEST(Config, ACapacityHoldsABlock) {
  EXPECT_EQ(mistake("[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"1MiB\"\n"),
            "k.toml:4:12: tier 'a': capacity = '1MiB': less than one block of 2MiB; raise it, or lower "
            "[space] block_bytes");
}

TEST(Config, ACapacityHoldsNoMoreBlocksThanCanBeCounted) {
  EXPECT_EQ(mistake("space.block_bytes = 64\n[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"1TiB\"\n"),
            "k.toml:5:12: tier 'a': capacity = '1TiB': more than 4294967294 blocks of 64B; raise [space] "
            "block_bytes");
  EXPECT_EQ(
      mistake("space.block_bytes = 64\n[[tier]]\nname = \"a\"\nkind = \"dram\"\ncapacity = \"250GiB\"\n"),
      "k.toml: [space]: all tiers together hold more than 4294967294 blocks and ghosts; raise block_bytes or "
      "lower "
      "ghosts_percent");
}

TEST(Config, BlocksAreWholeCacheLines) {
  EXPECT_EQ(mistake("space.block_bytes = 1000\n" + kDram),
            "k.toml: [space]: block_bytes = '1000B': not a multiple of 64 bytes; the next is 1KiB");
}

TEST(Config, EveryMistakeIsNamedAtOnceInTheOrderOfTheText) {
  EXPECT_EQ(mistake("[mover]\nqueue = 1\n[space]\nmodel = \"\"\n" + kDram + "prefault = 2\n"),
            "k.toml:2:9: [mover]: queue = '1': out of range; must be 16 to 1048576\n"
            "k.toml:4:9: [space]: model = '': empty; give a text or remove the key\n"
            "k.toml:9:12: tier 'dram': prefault = 2 is a whole number; needed: true or false");
}

TEST(Config, TextOfTheUserCannotWriteToTheTerminal) {
  EXPECT_THAT(mistake(kDram + "\"\\u001b[31m\" = 1\n"), HasSubstr("unknown key '\\x1b[31m'"));
}

TEST(Config, DeepNestingIsRefusedBeforeItIsParsed) {
  const std::string what = "keys or brackets nested too deeply";
  std::string dots = "a";
  for (int i = 0; i < 200'000; ++i) dots += ".a";
  EXPECT_THAT(mistake(dots + " = 1"), HasSubstr(what));
  EXPECT_THAT(mistake("[" + dots + "]"), HasSubstr(what));
  EXPECT_THAT(mistake("x = " + std::string(200'000, '[')), HasSubstr(what));
  std::string tables = "x = ";
  for (int i = 0; i < 50'000; ++i) tables += "{a=";
  EXPECT_THAT(mistake(tables), HasSubstr(what));
  EXPECT_THAT(mistake("x = \"a string\" # a comment\ny = '''a\nlong'' one'''''\nz" + dots), HasSubstr(what));
}

TEST(Config, CharactersBeyondAsciiBelongInQuotesAndComments) {
  EXPECT_THAT(mistake("[space]\nmod\u00e9l = \"m\"\n"), StartsWith("k.toml:2:4: not TOML: "));
  EXPECT_THAT(mistake("[space]\nmodel = 1\u00e9\n"), HasSubstr("not TOML: "));
  EXPECT_EQ(parsed("\uFEFF# \u00e9\n[space]\nmodel = \"\u00e9\"\n" + kDram).space.model, "\u00e9");
  EXPECT_EQ(parsed("[space]\nmodel = \"\"\"a\\\n  \u00e9\"\"\"\n" + kDram).space.model, "a\u00e9");
}

TEST(Config, DotsAndBracketsInStringsAndCommentsAreNoNesting) {
  const std::string dots(100, '.');
  const std::string brackets(100, '[');
  EXPECT_EQ(parsed("# " + dots + brackets + "\n[space]\nmodel = \"\\\"" + dots + brackets + "\"\n" + kDram)
                .space.model,
            "\"" + dots + brackets);
  EXPECT_EQ(parsed("[space]\nmodel = '" + dots + brackets + "\\'\n" + kDram).space.model,
            dots + brackets + "\\");
  EXPECT_EQ(parsed("[space]\nmodel = \"\"\"a\"\" " + dots + brackets + "\"\"\"\"\n" + kDram).space.model,
            "a\"\" " + dots + brackets + "\"");
}

TEST(Config, ATextOfMegabytesIsRefused) {
  EXPECT_THAT(mistake(std::string(2u << 20, '\n')), HasSubstr("too long for a config"));
}

TEST(Config, NobodyNeedsToAskWhy) {
  EXPECT_FALSE(parse_config("x", "k.toml", nullptr).ok());
  EXPECT_FALSE(load_config("/nonexistent/k.toml", nullptr).ok());
  EXPECT_FALSE(validate(Config(), nullptr).ok());
}

class ConfigFile : public ::testing::Test {
 protected:
  ~ConfigFile() override { static_cast<void>(std::remove(path_.c_str())); }

  std::string path_ = ::testing::TempDir() + "kelvin_config_test.toml";
};

TEST_F(ConfigFile, IsReadWithItsPathInTheMessages) {
  std::ofstream(path_) << kDram;
  EXPECT_TRUE(load_config(path_, nullptr).ok());
  std::ofstream(path_) << kDram << "x = 1\n";
  std::string why;
  EXPECT_EQ(load_config(path_, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, StartsWith(path_ + ":5:1: tier 'dram': unknown key 'x'"));
}

TEST_F(ConfigFile, ThatIsNotThereIsNotFound) {
  std::string why;
  const Status status = load_config(path_, &why).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.native(), ENOENT);
  EXPECT_EQ(why, path_ + ": opening the config: No such file or directory");
}

TEST_F(ConfigFile, ThatIsAFolderIsAnError) {
  std::string why;
  EXPECT_EQ(load_config(::testing::TempDir(), &why).status().code(), Code::kIo);
  EXPECT_THAT(why, HasSubstr("Is a directory"));
}

TEST_F(ConfigFile, WithoutEndIsRefused) {
  std::string why;
  EXPECT_EQ(load_config("/dev/zero", &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("too long for a config"));
}

TEST(Validate, HoldsAConfigMadeByHandToTheRulesOfAFile) {
  Config config = parsed(kDram);
  EXPECT_TRUE(validate(config, nullptr).ok());
  config.space.block_tokens = 0;
  config.space.model = "a\nb";
  config.space.prefill_tokens_per_second = std::numeric_limits<double>::quiet_NaN();
  config.tiers[0].free_ahead = -0.1;
  config.tiers[0].options = {{"prefault", "yes"}, {"hug", "1"}};
  config.policy.name = "";
  config.mover.threads = 2;
  std::string why;
  EXPECT_EQ(validate(config, &why).code(), Code::kInvalid);
  for (const char* what :
       {"[space]: block_tokens = '0': out of range; must be 1 to 1048576",
        "[space]: model = 'a\\x0ab': holds a control character; remove it",
        "[space]: prefill_tokens_per_second = 'nan': not a number; write one such as 8000",
        "tier 'dram': free_ahead = '-10%': out of range; must be 0 to 50%",
        "tier 'dram': prefault = 'yes': neither true nor false", "tier 'dram': unknown key 'hug'",
        "[policy]: name = '': empty", "[mover]: threads = '2': out of range; must be 0 to 1"}) {
    EXPECT_THAT(why, HasSubstr(what));
  }
  EXPECT_THAT(why, Not(HasSubstr("line")));
}

TEST(Validate, RefusesWhatAFileCouldNotSay) {
  Config config = parsed(kDram);
  config.space.seed = ~0ULL;
  EXPECT_FALSE(validate(config, nullptr).ok());
  config = parsed(kDram);
  config.tiers[0].capacity_bytes = ~0ULL;
  EXPECT_FALSE(validate(config, nullptr).ok());
  config = parsed(kDram);
  config.tiers[0].capacity_bytes = 0;
  EXPECT_FALSE(validate(config, nullptr).ok());
  config = parsed(kDram);
  config.tiers.assign(kMaxTiers + 1, config.tiers[0]);
  EXPECT_FALSE(validate(config, nullptr).ok());
}

TEST(Validate, NamesATierWithoutANameByItsNumber) {
  Config config = parsed(kDram);
  config.tiers.emplace_back();
  std::string why;
  EXPECT_FALSE(validate(config, &why).ok());
  EXPECT_THAT(why, HasSubstr("tier 2: name = '': empty"));
}

}  // namespace
}  // namespace kelvin
