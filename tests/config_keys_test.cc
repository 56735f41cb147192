// The table of common keys: what it says is what the structs of kelvin/config.h say.
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "config/keys.h"
#include "config/value.h"

namespace kelvin::config {
namespace {

// Each default, set from its text in the table, is the default of the struct.
template <class S, std::size_t N>
void expect_defaults(const std::array<Key<S>, N>& keys) {
  for (const Key<S>& key : keys) {
    SCOPED_TRACE(std::string(key.spec.name));
    if (is_required(key.spec)) continue;
    EXPECT_EQ(value_problem(key.spec, key.spec.fallback), "");
    EXPECT_EQ(key_text(key, S()), key.spec.fallback);
    S section;
    set_key(key, key.spec.fallback, section);
    EXPECT_EQ(key_text(key, section), key.spec.fallback);
  }
}

bool is_text(const OptionSpec& spec) {
  return spec.type == OptionType::kText || spec.type == OptionType::kChoice;
}

// A member cannot hold less than the table allows.
template <class S, std::size_t N>
void expect_ranges_fit(const std::array<Key<S>, N>& keys) {
  for (const Key<S>& key : keys) {
    EXPECT_FALSE(key.spec.reason.empty()) << key.spec.name;
    const bool narrow = std::holds_alternative<std::uint32_t S::*>(key.member);
    EXPECT_TRUE(!narrow || key.spec.max <= std::numeric_limits<std::uint32_t>::max()) << key.spec.name;
    const bool text = std::holds_alternative<std::string S::*>(key.member);
    EXPECT_EQ(text, is_text(key.spec)) << key.spec.name;
    const bool real = std::holds_alternative<double S::*>(key.member);
    EXPECT_EQ(real, key.spec.type == OptionType::kReal) << key.spec.name;
  }
}

// Setting one key changes that key and no other: no two keys name one member.
template <class S, std::size_t N>
void expect_own_members(const std::array<Key<S>, N>& keys) {
  for (const Key<S>& key : keys) {
    S section;
    const bool duration = key.spec.type == OptionType::kDuration;
    const bool real = key.spec.type == OptionType::kReal;
    set_key(key, is_text(key.spec) ? "other" : duration ? "333ns" : real ? "0.25" : "333", section);
    for (const Key<S>& other : keys) {
      EXPECT_EQ(key_text(other, section) == key_text(other, S()), other.spec.name != key.spec.name)
          << key.spec.name << " " << other.spec.name;
    }
  }
}

TEST(ConfigKeys, DefaultsAreThoseOfTheStructs) {
  expect_defaults(kSpaceKeys);
  expect_defaults(kTierKeys);
  expect_defaults(kPolicyKeys);
  expect_defaults(kMoverKeys);
  expect_defaults(kTenantKeys);
}

TEST(ConfigKeys, WhatTheTableAllowsFitsTheMember) {
  expect_ranges_fit(kSpaceKeys);
  expect_ranges_fit(kTierKeys);
  expect_ranges_fit(kPolicyKeys);
  expect_ranges_fit(kMoverKeys);
  expect_ranges_fit(kTenantKeys);
}

TEST(ConfigKeys, EachSetsAMemberOfItsOwn) {
  expect_own_members(kSpaceKeys);
  expect_own_members(kTierKeys);
  expect_own_members(kPolicyKeys);
  expect_own_members(kMoverKeys);
  expect_own_members(kTenantKeys);
}

TEST(ConfigKeys, CoverEveryMember) {
  // Structured bindings name as many members as there are, or do not compile: a new member shows here.
  [[maybe_unused]] const auto [block_bytes, block_tokens, model, max_leases, ghosts, prefill, seed] =
      SpaceConfig();
  [[maybe_unused]] const auto [threads, queue, retries, offline, write_depth, staging, deadline,
                               retry_offline] = MoverConfig();
  [[maybe_unused]] const auto [tier_name, kind, capacity, free_ahead, write_budget, scrub, placement,
                               pin_share, load_latency, load_bandwidth, store_bandwidth, tier_options] =
      TierConfig();
  [[maybe_unused]] const auto [tenant_name, salt, share] = TenantConfig();
  [[maybe_unused]] const auto [policy_name, learned, policy_options] = PolicyConfig();
  EXPECT_EQ(kSpaceKeys.size(), 7u);
  EXPECT_EQ(kMoverKeys.size(), 8u);
  EXPECT_EQ(kTierKeys.size(), 11u) << "all but the options";
  EXPECT_EQ(kTenantKeys.size(), 3u);
  EXPECT_EQ(kPolicyKeys.size(), 2u) << "all but the options";
}

}  // namespace
}  // namespace kelvin::config
