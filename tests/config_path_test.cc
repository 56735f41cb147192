// Single keys of a config by path.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kelvin/config.h"

namespace kelvin {
namespace {

using testing::HasSubstr;

constexpr const char* kText = R"(
[[tier]]
name = "dram"
kind = "dram"
capacity = "1GiB"
[[tier]]
name = "fast.drive"
kind = "fake"
capacity = "2GiB"
latency = "100us"
[policy]
name = "heat"
sample = 32
[[tenant]]
name = "chat"
salt = "9f8b5a"
share = "50%"
[[tenant]]
name = "batch.nightly"
salt = "11c07e"
share = 0.1
)";

Config config() {
  std::string why;
  auto read = parse_config(kText, "path", &why);
  EXPECT_TRUE(read.ok()) << why;
  return read.ok() ? *read : Config{};
}

std::string at(const Config& from, const std::string& path) {
  std::string why;
  const auto value = value_at(from, path, &why);
  return value.ok() ? *value : "none: " + why;
}

TEST(ConfigPath, ReachesEverySectionAndTheKeysOfKindsAndPolicies) {
  const Config from = config();
  EXPECT_EQ(at(from, "space.block_bytes"), "2MiB");
  EXPECT_EQ(at(from, "tier.dram.capacity"), "1GiB");
  EXPECT_EQ(at(from, "tier.fast.drive.latency"), "100us");
  EXPECT_EQ(at(from, "policy.name"), "heat");
  EXPECT_EQ(at(from, "policy.sample"), "32");
  EXPECT_EQ(at(from, "mover.queue"), "4096");
  EXPECT_EQ(at(from, "tenant.chat.share"), "50%");
  EXPECT_EQ(at(from, "tenant.batch.nightly.share"), "10%");
}

TEST(ConfigPath, AKeyOfAKindThatIsNotGivenHasItsDefault) {
  EXPECT_EQ(at(config(), "policy.use_hints"), "true");
  EXPECT_EQ(at(config(), "tier.fast.drive.bandwidth"), "0B");
}

TEST(ConfigPath, AKeysSpecSaysWhatItMayBe) {
  std::string why;
  const auto spec = key_at(config(), "policy.sample", &why);
  ASSERT_TRUE(spec.ok()) << why;
  EXPECT_EQ(spec->name, "sample");
  EXPECT_EQ(spec->type, OptionType::kInteger);
}

TEST(ConfigPath, WhatIsSetIsReadBackInTheFormThatFilesHave) {
  Config to = config();
  std::string why;
  for (const auto& [path, given, kept] : {std::tuple{"tier.dram.capacity", "4294967296", "4GiB"},
                                          {"tier.fast.drive.latency", "250000ns", "250us"},
                                          {"tier.dram.free_ahead", "0.05", "5%"},
                                          {"policy.sample", "128", "128"},
                                          {"policy.write_worth", "2.50", "2.5"},
                                          {"tier.dram.placement", "exclusive", "exclusive"},
                                          {"tenant.chat.share", "0.25", "25%"}}) {
    EXPECT_TRUE(set_value(to, path, given, &why).ok()) << why;
    EXPECT_EQ(at(to, path), kept);
  }
  EXPECT_TRUE(validate(to, &why).ok()) << why;
  const auto back = parse_config(to_toml(to), "written", &why);
  ASSERT_TRUE(back.ok()) << why;
  EXPECT_EQ(at(*back, "policy.sample"), "128");
}

TEST(ConfigPath, AnotherPolicyTakesTheKeysOfTheOldOneAway) {
  Config to = config();
  std::string why;
  ASSERT_TRUE(set_value(to, "policy.name", "heat", &why).ok()) << why;
  EXPECT_EQ(at(to, "policy.sample"), "32") << "the same policy keeps its keys";
  ASSERT_TRUE(set_value(to, "policy.name", "lru", &why).ok()) << why;
  EXPECT_TRUE(to.policy.options.empty());
  EXPECT_TRUE(validate(to, &why).ok()) << why;
}

TEST(ConfigPath, APathThatLeadsNowhereIsAnErrorWithTheNearestKnown) {
  const struct {
    const char* path;
    const char* says;
  } cases[] = {
      {"policy.smaple", "policy has no key 'smaple'; did you mean 'sample'?"},
      {"tier.darm.capacity", "did you mean 'tier.dram.capacity'?"},
      {"tier.dram.latency", "tier.dram has no key 'latency'; known: name, kind, capacity"},
      {"tier.capacity",
       "Keys begin with space., tier.dram., tier.fast.drive., policy., mover., tenant.chat., "
       "tenant.batch.nightly."},
      {"tenant.caht.share", "did you mean 'tenant.chat.share'?"},
      {"tenant.chat.shaer", "tenant.chat has no key 'shaer'; did you mean 'share'?"},
      {"tenant.share", "there is no key 'tenant.share'"},
      {"space.x.block_bytes", "there is no key 'space.x.block_bytes'"},
      {"capacity", "there is no key 'capacity'"},
      {"", "there is no key ''"},
      {".", "there is no key '.'"},
  };
  for (const auto& [path, says] : cases) {
    std::string why;
    EXPECT_EQ(value_at(config(), path, &why).status().code(), Code::kNotFound) << path;
    EXPECT_THAT(why, HasSubstr(says));
  }
}

TEST(ConfigPath, AKeyOfAnotherPolicySaysWhose) {
  Config to = config();
  std::string why;
  ASSERT_TRUE(set_value(to, "policy.name", "lru", &why).ok()) << why;
  EXPECT_EQ(set_value(to, "policy.sample", "8", &why).code(), Code::kNotFound);
  EXPECT_EQ(why,
            "policy 'lru' has no key 'sample'; it is one of policy 'heat': set policy.name to that first");
}

TEST(ConfigPath, AWrongValueChangesNothing) {
  for (const auto& [path, value, says] : {std::tuple{"policy.sample", "0", "out of range"},
                                          {"policy.sample", "many", "not a whole number"},
                                          {"tier.dram.capacity", "8GX", "unknown unit of size"},
                                          {"tier.dram.placement", "here", "not one of"},
                                          {"policy.name", "crystal", "unknown policy 'crystal'"},
                                          {"tier.dram.kind", "glass", "unknown kind 'glass'"},
                                          {"tenant.chat.share", "120%", "out of range"},
                                          {"policy.use_hints", "yes", "neither true nor false"}}) {
    Config to = config();
    std::string why;
    EXPECT_EQ(set_value(to, path, value, &why).code(), Code::kInvalid) << path;
    EXPECT_THAT(why, HasSubstr(says));
    EXPECT_EQ(to_toml(to), to_toml(config()));
  }
}

}  // namespace
}  // namespace kelvin
