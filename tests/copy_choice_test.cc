// CopyChoice: by scripted times.
#include "tiers/host/copy_choice.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace kelvin {
namespace {

bool here() noexcept { return true; }
bool elsewhere() noexcept { return false; }

crc::Kernel named(const char* name, bool (*supported)() noexcept) {
  return {.name = name,
          .supported = supported,
          .crc32c = nullptr,
          .copy_crc32c = nullptr,
          .copy_stream = nullptr};
}

const crc::Kernel kWide = named("wide", here);
const crc::Kernel kForeign = named("foreign", elsewhere);
const crc::Kernel kNarrow = named("narrow", here);
const crc::Kernel kPlain = named("plain", here);
constexpr std::array kAll = {&kWide, &kForeign, &kNarrow, &kPlain};

std::uint64_t ns_of(const crc::Kernel& kernel, std::uint64_t wide_ns, std::uint64_t narrow_ns) {
  return &kernel == &kWide ? wide_ns : narrow_ns;
}

// Plays all timed copies, and returns who made them.
std::vector<std::string> play(CopyChoice& choice, bool checksum, std::uint64_t wide_ns,
                              std::uint64_t narrow_ns) {
  std::vector<std::string> names;
  while (choice.timed(checksum)) {
    const crc::Kernel& kernel = choice.next(checksum);
    names.emplace_back(kernel.name);
    choice.made(checksum, ns_of(kernel, wide_ns, narrow_ns));
  }
  return names;
}

TEST(CopyChoice, TriesInTurnWhatIsSupportedButNothingPortable) {
  CopyChoice choice(kAll);
  EXPECT_EQ(play(choice, true, 10, 20), (std::vector<std::string>{"wide", "narrow", "wide", "narrow", "wide",
                                                                  "narrow", "wide", "narrow"}));
}

TEST(CopyChoice, TheFastestGoesOn) {
  for (const bool checksum : {false, true}) {
    CopyChoice narrow_wins(kAll);
    play(narrow_wins, checksum, 20, 10);
    EXPECT_STREQ(narrow_wins.next(checksum).name, "narrow");
    CopyChoice wide_wins(kAll);
    play(wide_wins, checksum, 10, 20);
    EXPECT_STREQ(wide_wins.next(checksum).name, "wide");
  }
}

TEST(CopyChoice, NearlyAsFastIsFastEnoughForTheOneListedFirst) {
  CopyChoice choice(kAll);
  play(choice, true, 1050, 1000);
  EXPECT_STREQ(choice.next(true).name, "wide");
  CopyChoice slower(kAll);
  play(slower, true, 1080, 1000);
  EXPECT_STREQ(slower.next(true).name, "narrow");
}

TEST(CopyChoice, OneSlowTryIsForgiven) {
  CopyChoice choice(kAll);
  choice.made(true, 1000);  // wide, with a page fault say
  play(choice, true, 10, 20);
  EXPECT_STREQ(choice.next(true).name, "wide");
}

TEST(CopyChoice, CopiesWithAndWithoutChecksumAreToldApart) {
  CopyChoice choice(kAll);
  play(choice, true, 10, 20);
  EXPECT_FALSE(choice.timed(true));
  EXPECT_TRUE(choice.timed(false));
  play(choice, false, 20, 10);
  EXPECT_STREQ(choice.next(true).name, "wide");
  EXPECT_STREQ(choice.next(false).name, "narrow");
}

TEST(CopyChoice, AfterManyCopiesAllAreTriedAgain) {
  CopyChoice choice(kAll);
  play(choice, true, 10, 20);
  for (std::uint32_t i = 0; i < CopyChoice::kCopies; ++i) {
    ASSERT_FALSE(choice.timed(true)) << i;
    choice.made(true, 0);
  }
  EXPECT_TRUE(choice.timed(true));
  play(choice, true, 20, 10);
  EXPECT_STREQ(choice.next(true).name, "narrow");
}

TEST(CopyChoice, WhereNothingElseIsSupportedThePortableOneServes) {
  constexpr std::array few = {&kForeign, &kPlain};
  CopyChoice choice(few);
  EXPECT_STREQ(choice.next(false).name, "plain");
  play(choice, false, 10, 20);
  EXPECT_STREQ(choice.next(false).name, "plain");
}

TEST(CopyChoice, EveryKernelOfThisMachineGivesTheSameCopy) {
  CopyChoice choice;
  const std::vector<std::byte> from(10'000, std::byte{0x5A});
  std::uint32_t sum = 0;
  for (std::uint64_t tries = 0; choice.timed(true); ++tries) {
    std::vector<std::byte> to(from.size());
    const std::uint32_t got = choice.next(true).copy_crc32c(to.data(), from.data(), from.size(), 0);
    if (tries == 0) sum = got;
    EXPECT_EQ(got, sum);
    EXPECT_EQ(std::memcmp(to.data(), from.data(), from.size()), 0);
    choice.made(true, 1 + tries);
  }
}

}  // namespace
}  // namespace kelvin
