// Retention, pins and tenants' shares of a whole space, under every policy that is registered.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "kelvin/hash.h"
#include "registry.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 40;

TenantConfig tenant_of(const std::string& name, double share) { return {name, "salt of " + name, share}; }
std::uint64_t id_of(const std::string& name) { return tenant_id("salt of " + name); }

class EveryPolicyTest : public ::testing::TestWithParam<const PolicyFactory*> {
 protected:
  void open(Config config) {
    config.policy.name = std::string(GetParam()->name);
    Parts parts;
    if (config.mover.threads == 0) parts.clock = clock_.clock();
    space_ = open_space(config, std::move(parts));
    ASSERT_NE(space_, nullptr);
  }

  // Publishes a chain for a tenant and lets go of it. How it was refused, else ok.
  Status store(std::span<const BlockKey> chain, const Hints& hints = {},
               WhenFull when_full = WhenFull::kForget) {
    AllocateOptions options;
    options.when_full = when_full;
    options.timeout = 5s;
    options.hints = hints;
    auto lease = space_->allocate(static_cast<std::uint32_t>(chain.size()), kNear, options);
    if (!lease.ok()) return lease.status();
    for (std::size_t i = 0; i < chain.size(); ++i) write_block(*lease, i, chain[i]);
    const Status status = space_->publish(*lease, chain, 0, hints);
    return status.ok() ? lease->release(hints) : status;
  }
  // Blocks of a scan: chains of four blocks that nobody asks for again.
  void scan(std::uint32_t blocks, const Hints& hints = {}, WhenFull when_full = WhenFull::kForget) {
    for (std::uint32_t n = 0; n < blocks; n += 4) {
      const auto chain = chain_of(1'000 + scanned_++, 4);
      Status status = store(chain, hints, when_full);
      for (int tries = 0; status.code() == Code::kBusy && tries < 1000; ++tries) {
        if (space_->poll().ok()) clock_.pass(1ms);
        status = store(chain, hints, when_full);
      }
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }
  void scan_twice(std::uint32_t blocks) {
    for (std::uint32_t n = 0; n < blocks; n += 4) {
      scan(4);
      use(chain_of(1'000 + scanned_ - 1, 4));
    }
  }
  void use(std::span<const BlockKey> chain) {
    EXPECT_EQ(acquire_blocks(*space_, chain).size(), chain.size());
  }
  std::uint32_t in_near(std::span<const BlockKey> chain) const { return space_->match(chain).in_tier[0]; }
  std::uint32_t known(std::span<const BlockKey> chain) const { return space_->match(chain).blocks; }

  static Hints of(const std::string& tenant) {
    Hints hints;
    hints.tenant = id_of(tenant);
    return hints;
  }

  VirtualClock clock_;
  std::unique_ptr<Space> space_;
  std::uint64_t scanned_ = 0;
};

// --- tenants ---

class Tenants : public EveryPolicyTest {};

TEST_P(Tenants, OneTenantsScanLeavesAnothersHotPrefixAlone) {
  Config config = config_of({tier_of("dram", "dram", kSlots)});
  config.tenants = {tenant_of("hot", 0.5), tenant_of("scanner", 0.25)};
  open(config);
  const auto hot = chain_of(1, 20);
  ASSERT_TRUE(store(hot, of("hot")).ok());
  scan(10 * kSlots, of("scanner"));
  EXPECT_EQ(in_near(hot), 20u);
  scan(10 * kSlots);  // of somebody who is not listed
  EXPECT_EQ(in_near(hot), 20u);
  use(hot);
  const Stats stats = space_->stats();
  ASSERT_EQ(stats.tenants.size(), 3u);
  EXPECT_EQ(stats.tenants[0].name, "");
  EXPECT_EQ(stats.tenants[1].name, "hot");
  EXPECT_EQ(stats.tenants[1].blocks[0], 20u);
  EXPECT_EQ(stats.tenants[1].share[0], 20u);
  EXPECT_EQ(stats.tenants[1].hits, 20u);
  EXPECT_EQ(stats.tenants[0].blocks[0] + stats.tenants[2].blocks[0] + 20, stats.tiers[0].resident);
}

TEST_P(Tenants, AndSoItIsInALowerTier) {
  Config config = two_tiers(16, kSlots);
  config.tiers[0].free_ahead = 0.25;
  config.tenants = {tenant_of("hot", 0.5)};
  open(config);
  const auto hot = chain_of(1, 16);  // more than its share of the first tier: some go to the second
  ASSERT_TRUE(store(hot, of("hot")).ok());
  scan(10 * kSlots, {}, WhenFull::kWait);  // so that what leaves the first tier goes to the second
  ASSERT_TRUE(space_->settle(10s).ok());
  EXPECT_EQ(known(hot), 16u);
  EXPECT_GE(in_near(hot), 5u) << "half of the slots that are not kept free";
  use(hot);
}

TEST_P(Tenants, WhatIsBeyondAShareIsAnybodys) {
  Config config = config_of({tier_of("dram", "dram", kSlots)});
  config.tenants = {tenant_of("hot", 0.5)};
  open(config);
  for (std::uint64_t c = 1; c <= 10; ++c) ASSERT_TRUE(store(chain_of(c, 4), of("hot")).ok());
  EXPECT_EQ(space_->stats().tenants[1].blocks[0], kSlots) << "nobody else wants it";
  scan(10 * kSlots);
  EXPECT_LT(space_->stats().tenants[1].blocks[0], kSlots);
  EXPECT_GE(space_->stats().tenants[1].blocks[0], kSlots / 2);
}

TEST_P(Tenants, AFullShareMakesRoomForItsOwn) {
  Config config = config_of({tier_of("dram", "dram", kSlots)});
  config.tenants = {tenant_of("a", 0.5), tenant_of("b", 0.5)};
  open(config);
  for (std::uint64_t c = 0; c < 5; ++c) {
    ASSERT_TRUE(store(chain_of(100 + c, 4), of("a")).ok());
    ASSERT_TRUE(store(chain_of(200 + c, 4), of("b")).ok());
  }
  scan(5 * kSlots, of("a"));
  for (std::uint64_t c = 0; c < 5; ++c) EXPECT_EQ(in_near(chain_of(200 + c, 4)), 4u);
  const Status nobodys = store(chain_of(300, 4));
  EXPECT_EQ(nobodys.code(), Code::kFull) << nobodys.message();
  EXPECT_NE(std::string(nobodys.message()).find("another tenant"), std::string::npos) << nobodys.message();
  EXPECT_EQ(store(chain_of(300, 4), {}, WhenFull::kWait).code(), Code::kFull) << "and no waiting for ever";
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_P(Tenants, LoadsOfATenantAtItsShareTakeItsOwnPlaces) {
  Config config = two_tiers(kSlots, 4 * kSlots);
  config.tenants = {tenant_of("a", 0.5), tenant_of("b", 0.5)};
  open(config);
  std::vector<std::vector<BlockKey>> chains;
  for (std::uint64_t c = 0; c < 10; ++c) {
    chains.push_back(chain_of(100 + c, 4));
    Status status = store(chains.back(), of("a"), WhenFull::kWait);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  for (std::uint64_t c = 0; c < 5; ++c) {
    Status status = store(chain_of(200 + c, 4), of("b"), WhenFull::kWait);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  ASSERT_TRUE(space_->settle(10s).ok());
  for (const auto& chain : chains) {
    EXPECT_EQ(known(chain), 4u);
    use(chain);
  }
  for (std::uint64_t c = 0; c < 5; ++c) EXPECT_EQ(in_near(chain_of(200 + c, 4)), 4u);
}

TEST_P(Tenants, AreIsolatedWithAMoverThreadAndADriveBelow) {
  if (find_tier_factory("nvme") == nullptr) GTEST_SKIP() << "this build has no NVMe tier";
  const std::string file = ::testing::TempDir() + "kelvin_tenants_" + std::to_string(::getpid());
  Config config = config_of({tier_of("dram", "dram", kSlots),
                             tier_of("nvme", "nvme", 512 + 3 * kSlots, {{"path", file}, {"direct", "auto"}})},
                            1);
  config.tiers[0].free_ahead = 0.1;
  config.space.ghosts_percent = 400;  // forgetting at once leaves some
  config.tenants = {tenant_of("hot", 0.5)};
  open(config);
  const auto hot = chain_of(1, 17);  // half of what is not kept free
  ASSERT_TRUE(store(hot, of("hot")).ok());
  for (std::uint64_t n = 0; n < 100; ++n) {
    const Status status = store(chain_of(1'000 + n, 4), {}, n % 2 == 0 ? WhenFull::kWait : WhenFull::kForget);
    EXPECT_TRUE(status.ok() || status.code() == Code::kBusy) << status.message();
  }
  EXPECT_EQ(in_near(hot), 17u);
  ASSERT_TRUE(space_->settle(20s).ok());
  space_.reset();
  std::filesystem::remove(file);
}

// --- pins ---

class Pins : public EveryPolicyTest {};

TEST_P(Pins, KeepWhatAScanWouldFlushUntilTheyEnd) {
  Config config = config_of({tier_of("dram", "dram", kSlots)});
  config.tiers[0].pin_share = 0.25;
  open(config);
  const auto prompt = chain_of(1, 10);
  ASSERT_TRUE(store(prompt).ok());
  ASSERT_TRUE(space_->pin(prompt, 60s).ok());
  EXPECT_EQ(space_->stats().pinned, 10u);
  scan(10 * kSlots);
  EXPECT_EQ(in_near(prompt), 10u);
  clock_.pass(61s);
  EXPECT_EQ(space_->stats().pinned, 0u);
  scan(10 * kSlots);
  EXPECT_EQ(known(prompt), 0u);
}

TEST_P(Pins, EndWhenTheyAreTakenBack) {
  open(config_of({tier_of("dram", "dram", kSlots)}));
  const auto prompt = chain_of(1, 4);
  ASSERT_TRUE(store(prompt).ok());
  ASSERT_TRUE(space_->pin(prompt, 1h).ok());
  EXPECT_EQ(space_->drop(prompt).code(), Code::kBusy);
  EXPECT_EQ(known(prompt), 4u);
  ASSERT_TRUE(space_->unpin(prompt).ok());
  EXPECT_TRUE(space_->unpin(prompt).ok());
  EXPECT_TRUE(space_->drop(prompt).ok());
  EXPECT_EQ(known(prompt), 0u);
}

TEST_P(Pins, WithoutATierSurviveDemotionWithOneStayWhereTheyAre) {
  Config config = two_tiers(kSlots, 4 * kSlots);
  config.tiers[0].free_ahead = 0.1;
  open(config);
  const auto anywhere = chain_of(1, 4);
  const auto here = chain_of(2, 4);
  ASSERT_TRUE(store(anywhere).ok());
  ASSERT_TRUE(store(here).ok());
  ASSERT_TRUE(space_->pin(anywhere, 1h).ok());
  ASSERT_TRUE(space_->pin(here, 1h, kNear).ok());
  for (int round = 0; round < 40; ++round) {
    scan(kSlots / 2, {}, WhenFull::kWait);
    ASSERT_TRUE(space_->settle(10s).ok());
  }
  EXPECT_EQ(known(anywhere), 4u);
  EXPECT_EQ(in_near(anywhere), 0u) << "what nobody uses goes down";
  EXPECT_EQ(in_near(here), 4u);
  use(anywhere);
}

TEST_P(Pins, AreForKnownBlocksForATimeAndWithinAShare) {
  Config config = config_of({tier_of("dram", "dram", kSlots)});
  config.tiers[0].pin_share = 0.1;
  open(config);
  const auto prompt = chain_of(1, 8);
  const std::span<const BlockKey> keys = prompt;
  EXPECT_EQ(space_->pin(keys, 1s).code(), Code::kNotFound);
  ASSERT_TRUE(store(prompt).ok());
  EXPECT_EQ(space_->pin(keys, 0s).code(), Code::kInvalid);
  EXPECT_EQ(space_->pin(keys, 1s, kFar).code(), Code::kInvalid) << "no such tier";
  const Status many = space_->pin(keys, 1s);
  EXPECT_EQ(many.code(), Code::kFull);
  EXPECT_NE(std::string(many.message()).find("pin_share"), std::string::npos) << many.message();
  EXPECT_EQ(space_->stats().pinned, 0u) << "all or none";
  EXPECT_TRUE(space_->pin(keys.first(4), 1s).ok());
  EXPECT_TRUE(space_->pin(keys.first(4), 5s, kNear).ok()) << "a block counts once";
  EXPECT_EQ(space_->pin(keys.subspan(4), 1s).code(), Code::kFull);
  clock_.pass(7s);
  EXPECT_TRUE(space_->pin(keys.subspan(4), 1s).ok()) << "what is over takes no room";
}

TEST_P(Pins, AllOfATierLeaveNoRoomAndSaySo) {
  for (const std::uint32_t threads : {0u, 1u}) {
    Config config = config_of({tier_of("dram", "dram", 8)}, threads);
    config.tiers[0].pin_share = 1;
    open(config);
    const auto prompt = chain_of(1, 8);
    ASSERT_TRUE(store(prompt).ok());
    ASSERT_TRUE(space_->pin(prompt, 1h).ok());
    for (const WhenFull when : {WhenFull::kForget, WhenFull::kWait}) {
      const Status full = store(chain_of(2, 1), {}, when);
      EXPECT_EQ(full.code(), Code::kFull) << full.message();
      EXPECT_NE(std::string(full.message()).find("pinned"), std::string::npos) << full.message();
    }
    ASSERT_TRUE(space_->unpin(prompt).ok());
    EXPECT_TRUE(store(chain_of(2, 1)).ok());
    EXPECT_TRUE(space_->settle(10s).ok());
  }
}

TEST_P(Pins, ThatFillATierGiveWayDownwards) {
  for (const std::uint32_t threads : {0u, 1u}) {
    Config config = two_tiers(8, kSlots, threads);
    config.tiers[1].pin_share = 1;
    open(config);
    const auto prompt = chain_of(1, 8);
    ASSERT_TRUE(store(prompt).ok());
    ASSERT_TRUE(space_->pin(prompt, 1h).ok());
    const Status waits = store(chain_of(2, 4), {}, WhenFull::kWait);
    EXPECT_TRUE(waits.ok()) << waits.message();
    EXPECT_EQ(known(prompt), 8u);
    EXPECT_TRUE(space_->settle(10s).ok());
  }
}

// --- retention ---

class Retained : public EveryPolicyTest {};

TEST_P(Retained, OutlivesWhatIsNotRetainedWhileItRuns) {
  open(config_of({tier_of("dram", "dram", kSlots)}));
  Hints hints;
  hints.retain_for = 60s;
  const auto kept = chain_of(1, 10);
  ASSERT_TRUE(store(kept, hints).ok());
  scan(10 * kSlots);
  EXPECT_EQ(in_near(kept), 10u);
  clock_.pass(62s);
  scan(10 * kSlots);
  EXPECT_EQ(known(kept), 0u);
}

TEST_P(Retained, GoesByPriorityAndIsNoPromise) {
  open(config_of({tier_of("dram", "dram", 24)}));
  Hints hints;
  hints.retain_for = 1h;
  for (const std::uint8_t priority : std::initializer_list<std::uint8_t>{30, 90, 60}) {
    hints.priority = priority;
    ASSERT_TRUE(store(chain_of(priority, 8), hints).ok());
  }
  const auto known_of = [&](std::uint64_t priority) { return known(chain_of(priority, 8)); };
  ASSERT_TRUE(store(chain_of(1, 8)).ok()) << "everything is retained: the lowest priority goes";
  EXPECT_EQ(known_of(30), 0u);
  ASSERT_TRUE(store(chain_of(2, 8)).ok());
  EXPECT_EQ(known(chain_of(1, 8)), 0u);
  EXPECT_EQ(known_of(60), 8u);
  hints.priority = 95;
  ASSERT_TRUE(store(chain_of(3, 16), hints).ok());
  EXPECT_EQ(known_of(60), 0u);
  EXPECT_EQ(known_of(90), 8u);
  EXPECT_EQ(known(chain_of(3, 16)), 16u);
}

TEST_P(Retained, IsAskedForARangeOfALease) {
  open(config_of({tier_of("dram", "dram", kSlots)}));
  const auto chain = chain_of(1, 12);
  const std::vector<RetainRange> ranges = {{0, 8, 50, 60s}, {6, 2, 50, 0s}};
  {
    auto slots = space_->allocate(12, kNear);
    ASSERT_TRUE(slots.ok());
    Lease lease = std::move(*slots);
    for (std::size_t i = 0; i < 12; ++i) write_block(lease, i, chain[i]);
    ASSERT_TRUE(space_->publish(lease, chain, 0, {}, ranges).ok());
    ASSERT_TRUE(lease.release().ok());
  }
  scan(10 * kSlots);
  EXPECT_GE(known(chain), 6u) << "of overlapping ranges the last one counts";
  EXPECT_LT(known(chain), 12u);
  Lease again = acquire_blocks(*space_, chain);
  ASSERT_GE(again.size(), 6u);
  const std::vector<RetainRange> longer = {{0, 3, 50, 600s}};
  ASSERT_TRUE(again.release({}, longer).ok());
  clock_.pass(70s);
  scan_twice(10 * kSlots);  // the chain was used twice as well
  EXPECT_GE(known(chain), 3u);
  EXPECT_LT(known(chain), 6u);
}

std::string name_of(const ::testing::TestParamInfo<const PolicyFactory*>& policy) {
  return std::string(policy.param->name);
}
const auto kPolicies = ::testing::ValuesIn(policy_factories().begin(), policy_factories().end());
INSTANTIATE_TEST_SUITE_P(Under, Tenants, kPolicies, name_of);
INSTANTIATE_TEST_SUITE_P(Under, Pins, kPolicies, name_of);
INSTANTIATE_TEST_SUITE_P(Under, Retained, kPolicies, name_of);

}  // namespace
}  // namespace kelvin::testing
