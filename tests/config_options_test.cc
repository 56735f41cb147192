// Options::bind: the keys of one tier kind or policy against its table.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "config/value.h"
#include "kelvin/config.h"
#include "registry.h"

namespace kelvin {
namespace {

constexpr std::array kSpecs = {
    OptionSpec{
        .name = "path", .type = OptionType::kTextList, .fallback = "", .reason = "where the blocks are"},
    OptionSpec{.name = "label", .type = OptionType::kText, .fallback = "none", .reason = "a label"},
    OptionSpec{.name = "io",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason = "how",
               .choices = "auto|uring|threads"},
    OptionSpec{.name = "direct",
               .type = OptionType::kBoolean,
               .fallback = "true",
               .reason = "around the page cache"},
    OptionSpec{.name = "depth",
               .type = OptionType::kInteger,
               .fallback = "32",
               .reason = "in flight",
               .min = 1,
               .max = 1024},
    OptionSpec{.name = "offset",
               .type = OptionType::kInteger,
               .fallback = "-5",
               .reason = "signed",
               .min = -10,
               .max = 10},
    OptionSpec{
        .name = "weight", .type = OptionType::kReal, .fallback = "1.5", .reason = "a weight", .max = 10},
    OptionSpec{.name = "share", .type = OptionType::kReal, .fallback = "5%", .reason = "a share", .max = 1},
    OptionSpec{.name = "io_bytes",
               .type = OptionType::kBytes,
               .fallback = "1MiB",
               .reason = "one request",
               .min = 4096,
               .max = 1 << 24},
    OptionSpec{.name = "every",
               .type = OptionType::kDuration,
               .fallback = "10ms",
               .reason = "how often",
               .max = 1e9},
};

const Option kPath = {"path", "/a\n/b", 3, 9};

// The message for a set of options that has one mistake.
std::string mistake(std::vector<Option> given) {
  if (std::ranges::find(given, "path", &Option::name) == given.end()) given.push_back(kPath);
  std::string why;
  const Result<Options> options = Options::bind(kSpecs, given, "tier 'nvme'", &why);
  EXPECT_FALSE(options.ok());
  EXPECT_EQ(options.status().code(), Code::kInvalid);
  return why;
}

TEST(Options, WhatIsNotGivenHasItsDefault) {
  const Result<Options> options = Options::bind(kSpecs, {kPath}, "tier 'nvme'", nullptr);
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->text_list("path"), (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(options->text("label"), "none");
  EXPECT_EQ(options->text("io"), "auto");
  EXPECT_TRUE(options->boolean("direct"));
  EXPECT_EQ(options->integer("depth"), 32);
  EXPECT_EQ(options->integer("offset"), -5);
  EXPECT_EQ(options->real("weight"), 1.5);
  EXPECT_EQ(options->real("share"), 0.05);
  EXPECT_EQ(options->bytes("io_bytes"), 1u << 20);
  EXPECT_EQ(options->duration_ns("every"), 10'000'000u);
}

TEST(Options, WhatIsGivenIsReadByItsType) {
  const Result<Options> options = Options::bind(kSpecs,
                                                {{"path", "/x"},
                                                 {"label", "two words"},
                                                 {"io", "threads"},
                                                 {"direct", "false"},
                                                 {"depth", "1024"},
                                                 {"offset", "-10"},
                                                 {"weight", "2"},
                                                 {"share", "0.25"},
                                                 {"io_bytes", "4096"},
                                                 {"every", "1s"}},
                                                "tier 'nvme'", nullptr);
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->text_list("path"), std::vector<std::string>{"/x"});
  EXPECT_EQ(options->text("label"), "two words");
  EXPECT_EQ(options->text("io"), "threads");
  EXPECT_FALSE(options->boolean("direct"));
  EXPECT_EQ(options->integer("depth"), 1024);
  EXPECT_EQ(options->integer("offset"), -10);
  EXPECT_EQ(options->real("weight"), 2.0);
  EXPECT_EQ(options->real("share"), 0.25);
  EXPECT_EQ(options->bytes("io_bytes"), 4096u);
  EXPECT_EQ(options->duration_ns("every"), 1'000'000'000u);
}

TEST(Options, AnUnknownKeyIsToldTheNearest) {
  EXPECT_EQ(
      mistake({{"depht", "3", 4, 1}}),
      "line 4, column 1: tier 'nvme': unknown key 'depht'; did you mean 'depth'? Known: path, label, io, "
      "direct, depth, offset, weight, share, io_bytes, every");
}

TEST(Options, OptionsThatAreNotFromAFileHaveNoPlaceInTheMessage) {
  EXPECT_EQ(mistake({{"depth", "0"}}), "tier 'nvme': depth = '0': out of range; must be 1 to 1024");
}

TEST(Options, ValuesOutOfRangeAreToldTheRangeInTheirUnit) {
  EXPECT_EQ(mistake({{"io_bytes", "1KiB", 5, 12}}),
            "line 5, column 12: tier 'nvme': io_bytes = '1KiB': out of range; must be 4KiB to 16MiB");
  EXPECT_EQ(mistake({{"every", "1min"}}), "tier 'nvme': every = '1min': out of range; must be 0ns to 1s");
  EXPECT_EQ(mistake({{"share", "101%"}}), "tier 'nvme': share = '101%': out of range; must be 0 to 1");
  EXPECT_EQ(mistake({{"weight", "-0.1"}}), "tier 'nvme': weight = '-0.1': out of range; must be 0 to 10");
  EXPECT_EQ(mistake({{"offset", "-11"}}), "tier 'nvme': offset = '-11': out of range; must be -10 to 10");
}

TEST(Options, ValuesOfAnotherTypeAreToldHowToWriteIt) {
  EXPECT_EQ(mistake({{"depth", "many"}}),
            "tier 'nvme': depth = 'many': not a whole number; write one such as 32");
  EXPECT_EQ(mistake({{"weight", "heavy"}}),
            "tier 'nvme': weight = 'heavy': not a number; write one such as 1.5");
  EXPECT_EQ(mistake({{"share", "most"}}),
            "tier 'nvme': share = 'most': not a number; write one such as \"5%\"");
  EXPECT_EQ(mistake({{"weight", "50%"}}), "tier 'nvme': weight = '50%': not a number; write one such as 1.5");
  EXPECT_EQ(mistake({{"direct", "yes"}}), "tier 'nvme': direct = 'yes': neither true nor false");
  EXPECT_EQ(
      mistake({{"io", "urign"}}),
      "tier 'nvme': io = 'urign': not one of the choices; did you mean 'uring'? Known: auto, uring, threads");
  EXPECT_EQ(
      mistake({{"every", "10"}}),
      "tier 'nvme': every = '10': not a time; write a whole number and a unit without a blank between, such "
      "as \"250us\"");
}

TEST(Options, TextsAreNeitherEmptyNorUnprintable) {
  EXPECT_EQ(mistake({{"label", ""}}), "tier 'nvme': label = '': empty; give a text or remove the key");
  EXPECT_EQ(mistake({{"label", "a\tb"}}),
            "tier 'nvme': label = 'a\\x09b': holds a control character; remove it");
  EXPECT_EQ(mistake({{"label", "\xff"}}), "tier 'nvme': label = not valid UTF-8; write the file in UTF-8");
  EXPECT_EQ(mistake({{"path", "/a\n"}}), "tier 'nvme': path = '': empty; give a text or remove the key");
  EXPECT_NE(mistake({{"label", std::string(5000, 'x')}}).find("longer than 4096 bytes"), std::string::npos);
}

TEST(Options, OnlyWellFormedUtf8IsText) {
  for (const char* good :
       {"\x7e", "\u00e9", "\u20ac", "\U0001F600", "\uFFFD", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(Options::bind(kSpecs, {kPath, {"label", good}}, "t", nullptr).ok()) << good;
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3", "\xc3(", "\xfe"}) {
    EXPECT_FALSE(Options::bind(kSpecs, {kPath, {"label", bad}}, "t", nullptr).ok());
  }
}

TEST(Options, ARequiredKeyThatIsMissingIsToldWithItsReason) {
  std::string why;
  EXPECT_FALSE(Options::bind(kSpecs, {}, "tier 'nvme'", &why).ok());
  EXPECT_EQ(why, "tier 'nvme': 'path' is missing; add path = \"...\" (where the blocks are)");
}

TEST(Options, AKeyGivenTwiceIsAMistake) {
  EXPECT_EQ(mistake({{"depth", "1", 3, 1}, {"depth", "2", 4, 1}}),
            "line 4, column 1: tier 'nvme': 'depth' is given twice; remove one");
}

TEST(Options, EveryMistakeIsNamedAtOnce) {
  EXPECT_EQ(mistake({{"depth", "0", 9, 1}, {"weight", "x", 8, 1}}),
            "line 8, column 1: tier 'nvme': weight = 'x': not a number; write one such as 1.5\n"
            "line 9, column 1: tier 'nvme': depth = '0': out of range; must be 1 to 1024");
}

TEST(Options, AKindWithoutKeysRefusesAny) {
  std::string why;
  EXPECT_TRUE(Options::bind({}, {}, "tier 'a'", &why).ok());
  EXPECT_FALSE(Options::bind({}, {{"x", "1"}}, "tier 'a'", &why).ok());
  EXPECT_EQ(why, "tier 'a': unknown key 'x'; there are none");
}

// What a registered kind or policy declares must hold together.
void expect_sound(std::string_view who, std::span<const OptionSpec> specs) {
  for (const OptionSpec& spec : specs) {
    SCOPED_TRACE(std::string(who) + "." + std::string(spec.name));
    EXPECT_FALSE(spec.reason.empty()) << "every key has its reason";
    EXPECT_EQ(spec.reason.find_first_of("\n|"), std::string_view::npos) << "one line, fit for a table";
    EXPECT_EQ(spec.type == OptionType::kChoice, !spec.choices.empty());
    EXPECT_LE(spec.min, spec.max);
    const bool required = config::is_required(spec);
    EXPECT_EQ(required ? "" : config::value_problem(spec, spec.fallback), "");
    EXPECT_EQ(std::ranges::count(specs, spec.name, &OptionSpec::name), 1) << "declared twice";
    for (const char* common : {"name", "kind", "capacity", "free_ahead"}) EXPECT_NE(spec.name, common);
  }
}

TEST(Options, EveryRegisteredTableIsSound) {
  for (const TierFactory* factory : tier_factories()) expect_sound(factory->kind, factory->options);
  for (const PolicyFactory* factory : policy_factories()) expect_sound(factory->name, factory->options);
}

}  // namespace
}  // namespace kelvin
