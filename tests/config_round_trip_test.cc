// to_toml: whatever config is valid, its text reads back to the same config.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>
#include <string>

#include "config/units.h"
#include "config/value.h"
#include "kelvin/block.h"
#include "kelvin/config.h"
#include "registry.h"
#include "same_config.h"

namespace kelvin {
namespace {

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  Config config() {
    Config config;
    config.space = {.block_bytes = 64 * between(1, 1 << 14),
                    .block_tokens = narrow(1, 1 << 20),
                    .model = text(),
                    .max_leases = narrow(1, 1 << 20),
                    .ghosts_percent = narrow(0, 400),
                    .prefill_tokens_per_second = real(1, 1e9),
                    .seed = between(0, 1'000'000'000'000'000'000)};
    const std::uint64_t tiers = between(1, kMaxTiers);
    for (std::uint64_t i = 0; i < tiers; ++i) config.tiers.push_back(tier(config.space, i));
    const auto policies = policy_factories();
    const PolicyFactory& policy = *policies[between(0, policies.size() - 1)];
    config.policy = {std::string(policy.name), text(), options(policy.options)};
    config.mover = {narrow(0, 1), narrow(16, 1 << 20), narrow(0, 100), narrow(1, 1'000'000),
                    narrow(1, 65536)};
    const std::uint64_t tenants = between(0, 3);
    for (std::uint64_t i = 0; i < tenants; ++i) {
      config.tenants.push_back({fmt::format("tenant-{}", i), fmt::format("{} {}", i, text()), real(0, 0.33)});
    }
    return config;
  }

 private:
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(random_);
  }
  std::uint32_t narrow(std::uint32_t low, std::uint32_t high) {
    return static_cast<std::uint32_t>(between(low, high));
  }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  bool heads() { return between(0, 1) == 1; }

  std::string text() {
    static constexpr std::array<const char*, 16> kPieces = {
        "a", "Z", "0", " ", "\"", "\\", "'", "#", "[", "]", "{", "=", ".", "\\u0041", "\u00e9", "\U0001F600"};
    std::string out;
    const std::uint64_t length = between(1, 12);
    for (std::uint64_t i = 0; i < length; ++i) out += kPieces[between(0, kPieces.size() - 1)];
    return out;
  }

  double share() { return heads() ? static_cast<double>(between(0, 50)) / 100.0 : real(0, 0.5); }

  TierConfig tier(const SpaceConfig& space, std::uint64_t index) {
    const auto kinds = tier_factories();
    const TierFactory& kind = *kinds[between(0, kinds.size() - 1)];
    TierConfig tier;
    tier.name = fmt::format("tier-{}.{}_X", index, between(0, 9));
    tier.kind = kind.kind;
    tier.capacity_bytes = space.block_bytes * between(1, 1 << 20) + between(0, 4096);
    if (tier.kind == "adopted" && heads()) tier.capacity_bytes = 0;
    tier.free_ahead = share();
    tier.write_budget = heads() ? 0 : between(1, 1'000'000'000'000);
    tier.scrub = heads() ? 0 : between(1, 1'000'000'000'000);
    tier.placement = heads() ? "keep" : "exclusive";
    tier.pin_share = heads() ? static_cast<double>(between(0, 100)) / 100.0 : real(0, 1);
    tier.load_latency_ns = between(0, 1'000'000'000);
    tier.load_bandwidth = between(0, 1'000'000'000'000);
    tier.store_bandwidth = between(0, 1'000'000'000'000);
    tier.options = options(kind.options);
    return tier;
  }

  std::vector<Option> options(std::span<const OptionSpec> specs) {
    std::vector<Option> given;
    for (const OptionSpec& spec : specs) {
      if (config::is_required(spec) || heads()) given.push_back({std::string(spec.name), value(spec)});
    }
    std::shuffle(given.begin(), given.end(), random_);
    return given;
  }

  std::string value(const OptionSpec& spec) {
    const double high = std::min(spec.max, spec.min + 1e15);
    const auto whole = static_cast<std::int64_t>(real(spec.min, high));
    switch (spec.type) {
      case OptionType::kText: return text();
      case OptionType::kTextList: return heads() ? text() : text() + "\n" + text() + "\n" + text();
      case OptionType::kChoice: {
        const auto choices = config::split(spec.choices, '|');
        return std::string(choices[between(0, choices.size() - 1)]);
      }
      case OptionType::kBoolean: return heads() ? "true" : "false";
      case OptionType::kInteger: return fmt::format("{}", whole);
      case OptionType::kReal: return config::write_real(real(spec.min, high));
      case OptionType::kBytes: return config::write_bytes(static_cast<std::uint64_t>(whole));
      case OptionType::kDuration: return config::write_duration(static_cast<std::uint64_t>(whole));
    }
    return {};
  }

  std::mt19937_64 random_;
};

TEST(ConfigRoundTrip, AnyValidConfigIsWrittenAndReadBackTheSame) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Config config = Maker(seed).config();
    std::string why;
    ASSERT_TRUE(validate(config, &why).ok()) << why;
    const std::string text = to_toml(config);
    const Result<Config> back = parse_config(text, "written", &why);
    ASSERT_TRUE(back.ok()) << why << "\n" << text;
    ASSERT_TRUE(same_config(config, *back)) << text;
    ASSERT_EQ(to_toml(*back), text);
  }
}

TEST(ConfigRoundTrip, TheTextIsWhatSomebodyWouldWrite) {
  Config config;
  config.tiers.push_back({.name = "dram",
                          .kind = "dram",
                          .capacity_bytes = 8ULL << 30,
                          .free_ahead = 0.02,
                          .options = {{"prefault", "true"}}});
  EXPECT_EQ(to_toml(config), R"([space]
block_bytes = "2MiB"
block_tokens = 512
model = "unnamed"
max_leases = 1024
ghosts_percent = 10
prefill_tokens_per_second = 8000.0
seed = 0

[[tier]]
name = "dram"
kind = "dram"
capacity = "8GiB"
free_ahead = "2%"
write_budget = "0B"
scrub = "0B"
placement = "keep"
pin_share = "10%"
load_latency = "0ns"
load_bandwidth = "0B"
store_bandwidth = "0B"
prefault = true

[policy]
name = "heat"
learned = "none"

[mover]
threads = 1
queue = 4096
demand_retries = 2
offline_after = 32
write_depth = 32
staging = "64MiB"
deadline = "30s"
retry_offline = "30s"
)");
}

TEST(ConfigRoundTrip, AnInvalidConfigIsStillWrittenAsToml) {
  Config config;
  config.space.model = "a\nb\x1b\"";
  config.tiers.push_back(
      {.name = "x", .kind = "none", .capacity_bytes = 1, .free_ahead = 2, .options = {{"a b", "c"}}});
  const std::string text = to_toml(config);
  EXPECT_NE(text.find("model = \"a\\u000Ab\\u001B\\\"\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\"a b\" = \"c\"\n"), std::string::npos) << text;
  std::string why;
  EXPECT_FALSE(parse_config(text, "written", &why).ok());
  EXPECT_EQ(why.find("not TOML"), std::string::npos) << why;
}

}  // namespace
}  // namespace kelvin
