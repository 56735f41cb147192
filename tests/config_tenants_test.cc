// Tenants in a config: what is right, and what each mistake is told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kelvin/config.h"
#include "kelvin/policy.h"

namespace kelvin {
namespace {

using ::testing::HasSubstr;

const std::string kDram = "[[tier]]\nname = \"dram\"\nkind = \"dram\"\ncapacity = \"1GiB\"\n";

std::string tenant(const std::string& name, const std::string& salt, const std::string& share) {
  return fmt::format("[[tenant]]\nname = \"{}\"\nsalt = \"{}\"\nshare = {}\n", name, salt, share);
}

std::string mistake(const std::string& text) {
  std::string why;
  EXPECT_FALSE(parse_config(text, "k.toml", &why).ok());
  return why;
}

TEST(Tenants, AreReadInTheOrderOfTheText) {
  std::string why;
  const auto config =
      parse_config(kDram + tenant("a", "salt a", "\"30%\"") + tenant("b", "salt b", "0.7"), "k.toml", &why);
  ASSERT_TRUE(config.ok()) << why;
  ASSERT_EQ(config->tenants.size(), 2u);
  EXPECT_EQ(config->tenants[0].name, "a");
  EXPECT_EQ(config->tenants[0].salt, "salt a");
  EXPECT_EQ(config->tenants[0].share, 0.3);
  EXPECT_EQ(config->tenants[1].share, 0.7);
}

TEST(Tenants, HaveNoMoreThanTheWholeTogether) {
  EXPECT_EQ(
      mistake(kDram + tenant("a", "1", "\"60%\"") + tenant("b", "2", "\"50%\"")),
      "k.toml:12:9: tenant 'b': share = '50%': with it the tenants' shares are 110% together, more than "
      "the whole; lower some to 100% in all");
  std::string tenths = kDram;
  for (int n = 0; n < 10; ++n) tenths += tenant(fmt::format("t{}", n), fmt::format("{}", n), "0.1");
  std::string why;
  EXPECT_TRUE(parse_config(tenths, "k.toml", &why).ok()) << why;
}

TEST(Tenants, HaveNamesAndSaltsOfTheirOwnThatNoMessageRepeats) {
  EXPECT_EQ(mistake(kDram + tenant("a", "1", "0.1") + tenant("a", "2", "0.1")),
            "k.toml:10:8: tenant 'a': this name is taken in line 6; tenants need different names");
  const std::string twice = mistake(kDram + tenant("a", "secret", "0.1") + tenant("b", "secret", "0.1"));
  EXPECT_EQ(twice,
            "k.toml:11:8: tenant 'b': this salt is that of tenant 'a' already in line 7; tenants need "
            "different salts");
  EXPECT_THAT(mistake(kDram + tenant("a b", "1", "0.1")), HasSubstr("a name is of letters"));
}

TEST(Tenants, NeedEveryKeyAndNoOther) {
  EXPECT_EQ(
      mistake(kDram + "[[tenant]]\nname = \"a\"\nshare = 0.1\n"),
      "k.toml:5:1: tenant 'a': 'salt' is missing; add salt = \"...\" (what its keys are salted with, and "
      "Hints::tenant is made from)");
  EXPECT_THAT(mistake(kDram + "[[tenant]]\nname = \"a\"\nsalt = \"1\"\nshar = 0.1\n"),
              HasSubstr("tenant 'a': unknown key 'shar'; did you mean 'share'?"));
  EXPECT_THAT(mistake(kDram + tenant("a", "1", "1.5")), HasSubstr("out of range"));
  EXPECT_EQ(mistake("[tenant]\nname = \"a\"\n" + kDram),
            "k.toml:1:2: 'tenant' is a list of tables; write [[tenant]], with two brackets, for each tenant");
}

TEST(Tenants, AreOnlySoMany) {
  std::string text = kDram;
  for (std::size_t n = 0; n <= kMaxTenants; ++n) {
    text += tenant(fmt::format("t{}", n), fmt::format("{}", n), "0");
  }
  EXPECT_THAT(mistake(text), HasSubstr("1024 tenants are too many; a config lists at most 1023"));
}

TEST(Tenants, MadeByHandAreHeldToTheSameRules) {
  Config config;
  config.tiers.push_back({.name = "dram", .kind = "dram", .capacity_bytes = 1 << 30, .options = {}});
  config.tenants = {{"a", "1", 0.6}, {"b", "2", 0.6}};
  std::string why;
  EXPECT_EQ(validate(config, &why).code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("tenant 'b': share = '60%'"));
  config.tenants[1].share = 0.4;
  EXPECT_TRUE(validate(config, &why).ok()) << why;
}

}  // namespace
}  // namespace kelvin
