// Sizes, times and numbers as text; which known word an unknown one means.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>
#include <string>
#include <utility>

#include "config/problems.h"
#include "config/suggest.h"
#include "config/units.h"
#include "kelvin/config.h"

namespace kelvin::config {
namespace {

std::string complaint_about_bytes(std::string_view text) { return parse_bytes(text).status().context(); }
std::string complaint_about_time(std::string_view text) { return parse_duration_ns(text).status().context(); }

TEST(Units, SizesAreReadInPowersOf1000AndOf1024) {
  const std::array<std::pair<const char*, std::uint64_t>, 14> sizes = {{{"0", 0},
                                                                        {"0B", 0},
                                                                        {"17", 17},
                                                                        {"17B", 17},
                                                                        {"3KB", 3000},
                                                                        {"3KiB", 3072},
                                                                        {"5MB", 5'000'000},
                                                                        {"5MiB", 5'242'880},
                                                                        {"8GB", 8'000'000'000},
                                                                        {"8GiB", 8'589'934'592},
                                                                        {"2TB", 2'000'000'000'000},
                                                                        {"2TiB", 2'199'023'255'552},
                                                                        {"18446744073709551615", ~0ULL},
                                                                        {"16777215TiB", 16777215ULL << 40}}};
  for (const auto& [text, bytes] : sizes) {
    const Result<std::uint64_t> read = parse_bytes(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(*read, bytes) << text;
  }
}

TEST(Units, TimesAreReadInNanoseconds) {
  const std::array<std::pair<const char*, std::uint64_t>, 8> times = {{{"0", 0},
                                                                       {"1ns", 1},
                                                                       {"250us", 250'000},
                                                                       {"3ms", 3'000'000},
                                                                       {"4s", 4'000'000'000},
                                                                       {"10min", 600'000'000'000},
                                                                       {"2h", 7'200'000'000'000},
                                                                       {"18446744073709551615ns", ~0ULL}}};
  for (const auto& [text, ns] : times) {
    const Result<std::uint64_t> read = parse_duration_ns(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(*read, ns) << text;
  }
}

TEST(Units, NegativeSizesAndTimesAreRefusedAsSuch) {
  EXPECT_EQ(complaint_about_bytes("-1GiB"), "a size cannot be negative");
  EXPECT_EQ(complaint_about_time("-1ms"), "a time cannot be negative");
}

TEST(Units, WhatDoesNotFitInto64BitsIsRefused) {
  for (const char* text : {"18446744073709551616", "16777216TiB", "99999999999999999999999GiB"}) {
    EXPECT_EQ(complaint_about_bytes(text), "more bytes than 64 bits can count") << text;
  }
  EXPECT_EQ(complaint_about_time("5124096h"), "more nanoseconds than 64 bits can count");
}

TEST(Units, AnUnknownUnitIsToldTheKnownOnes) {
  for (const char* text : {"8gib", "8G", "8kB", "8GiBs", "8GiB ", "8GiB8", "8B\n"}) {
    EXPECT_EQ(complaint_about_bytes(text),
              "unknown unit of size; units are B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB "
              "(powers of 1024)")
        << text;
  }
  for (const char* text : {"8sec", "8m", "8S", "8us "}) {
    EXPECT_EQ(complaint_about_time(text), "unknown unit of time; units are ns, us, ms, s, min, h") << text;
  }
}

TEST(Units, WhatIsNoNumberAndUnitIsToldTheForm) {
  for (const char* text : {"", " ", "GiB", "+1", "1.5GiB", "8 GiB", " 8GiB", "x8", "0x10"}) {
    EXPECT_FALSE(parse_bytes(text).ok()) << text;
  }
  EXPECT_EQ(complaint_about_bytes("1.5GiB"),
            "not a size; write a whole number and a unit without a blank between, such as \"8GiB\"");
  EXPECT_EQ(complaint_about_time("250"),
            "not a time; write a whole number and a unit without a blank between, such as \"250us\"");
}

TEST(Units, ATextWithAZeroByteIsRefused) { EXPECT_FALSE(parse_bytes(std::string_view("8\0B", 3)).ok()); }

TEST(Units, SizesAndTimesAreWrittenInTheLargestExactUnit) {
  EXPECT_EQ(write_bytes(0), "0B");
  EXPECT_EQ(write_bytes(1000), "1000B");
  EXPECT_EQ(write_bytes(2u << 20), "2MiB");
  EXPECT_EQ(write_bytes(3ULL << 40), "3TiB");
  EXPECT_EQ(write_bytes(1536), "1536B");
  EXPECT_EQ(write_duration(0), "0ns");
  EXPECT_EQ(write_duration(250'000), "250us");
  EXPECT_EQ(write_duration(60'000'000'000), "1min");
  EXPECT_EQ(write_duration(90'000'000'000), "90s");
}

TEST(Units, WhatWasWrittenReadsBackToTheSameValue) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t value = (random() >> (random() % 64)) << (random() % 40);
    EXPECT_EQ(*parse_bytes(write_bytes(value)), value);
    EXPECT_EQ(*parse_duration_ns(write_duration(value)), value);
    const double real = std::uniform_real_distribution<double>(-1, 1)(random) * static_cast<double>(value);
    double back = 0;
    ASSERT_EQ(read_real(write_real(real), back), nullptr);
    EXPECT_EQ(back, real);
    const double share = std::uniform_real_distribution<double>(0, 1)(random);
    ASSERT_EQ(read_share(write_share(share), back), nullptr);
    EXPECT_EQ(back, share);
  }
}

TEST(Units, SharesAreWrittenAsPercentagesWherePeopleWould) {
  EXPECT_EQ(write_share(0.02), "2%");
  EXPECT_EQ(write_share(0.5), "50%");
  EXPECT_EQ(write_share(0.033), "0.033");
}

TEST(Units, NumbersAreFiniteAndWhole) {
  double real = 0;
  for (const char* text :
       {"nan", "inf", "-inf", "1e999", "", "-", ".5", "5.", "1,5", "0x1p3", "1 ", "infinity"}) {
    EXPECT_NE(read_real(text, real), nullptr) << text;
  }
  for (const char* text : {"%", "x%", "5%%", "nan%"}) EXPECT_NE(read_share(text, real), nullptr) << text;
  std::int64_t integer = 0;
  for (const char* text : {"", "-", "1.0", "1e3", "9223372036854775808", "12a", " 1"}) {
    EXPECT_NE(read_integer(text, integer), nullptr) << text;
  }
  EXPECT_EQ(read_integer("-9223372036854775808", integer), nullptr);
  EXPECT_EQ(integer, std::numeric_limits<std::int64_t>::min());
}

TEST(Suggest, DistanceCountsSwapsAsOne) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("uring", "urign"), 1u);
  EXPECT_EQ(edit_distance("dram", "dramm"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("nvme", "dram"), 4u);
}

TEST(Suggest, VeryLongWordsAreFarFromEverything) {
  EXPECT_EQ(edit_distance(std::string(100'000, 'x'), "x"), 64u);
}

TEST(Suggest, TheNearestIsTheFirstOfTheNearest) {
  const std::array<std::string_view, 4> known = {"block_bytes", "block_tokens", "model", "seed"};
  EXPECT_EQ(nearest("blok_bytes", known), "block_bytes");
  EXPECT_EQ(nearest("modle", known), "model");
  EXPECT_EQ(nearest("capacity", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(did_you_mean("x", {}), "; there are none");
}

TEST(Problems, StandInTheOrderOfTheTextWithThoseOfNoPlaceFirst) {
  Problems problems;
  problems.add({7, 2}, "third");
  problems.add({2, 5}, "second");
  problems.add({}, "first");
  EXPECT_EQ(problems.text("a.toml"), "a.toml: first\na.toml:2:5: second\na.toml:7:2: third");
  EXPECT_EQ(problems.text(""), "first\nline 2, column 5: second\nline 7, column 2: third");
}

TEST(Problems, AreCutToWhatSomebodyReads) {
  Problems problems;
  for (std::uint32_t i = 1; i <= 100; ++i) problems.add({i, 1}, "x");
  EXPECT_NE(problems.text("n").find("n:20:1: x\n... and 80 more"), std::string::npos);
}

TEST(Problems, QuotedTextIsFitForATerminal) {
  EXPECT_EQ(in_quotes("plain"), "'plain'");
  EXPECT_EQ(in_quotes("a\x1b[31m\n"), "'a\\x1b[31m\\x0a'");
  EXPECT_EQ(in_quotes(std::string(1000, 'y')), "'" + std::string(80, 'y') + "...'");
  // A cut never splits a character.
  EXPECT_EQ(in_quotes(std::string(79, 'y') + "\u00e9\u00e9"), "'" + std::string(79, 'y') + "...'");
}

}  // namespace
}  // namespace kelvin::config
