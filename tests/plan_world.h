// A planner over a policy of the registry, its tiers, tables and links all made up, in which anything may
// happen at random; and a watch on every proposal of the policy and on what the planner makes of it.
//
// Thread contract: one thread.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core_parts.h"
#include "journal/journal.h"
#include "planner/planner.h"
#include "registry.h"

namespace kelvin::testing {

// Holds a policy to what a plan may contain.
class WatchedPolicy final : public Policy {
 public:
  explicit WatchedPolicy(std::unique_ptr<Policy> policy) : policy_(std::move(policy)) {}

  void observe(const View& view, std::span<const Event> events) noexcept override {
    policy_->observe(view, events);
  }
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    const std::size_t count = policy_->plan(view, budget, moves);
    EXPECT_LE(count, moves.size());
    std::set<std::pair<std::uint32_t, std::uint8_t>> named;
    std::array<std::uint32_t, kMaxTiers> written{};
    for (const Move& move : moves.first(std::min(count, moves.size()))) {
      check(view, budget, move, written);
      EXPECT_TRUE(named.insert({move.block.value, move.from.value}).second) << "a copy is named twice";
    }
    proposed += count;
    return count;
  }

  std::uint64_t proposed = 0;

 private:
  static void check(const View& view, const Budget& budget, const Move& move,
                    std::array<std::uint32_t, kMaxTiers>& written) {
    ASSERT_LT(move.from.value, view.tiers().size());
    const BlockState state = view.block(move.block);
    const std::uint32_t bit = 1u << move.from.value;
    EXPECT_NE(state.tiers & bit, 0u) << "no copy there";
    EXPECT_TRUE(move.keep_source || (state.leased & bit) == 0) << "leased, moving, pinned or protected";
    EXPECT_TRUE(view.tiers()[move.from.value].online);
    if (!move.to) return;
    ASSERT_LT(move.to.value, view.tiers().size());
    EXPECT_NE(move.to, move.from);
    EXPECT_TRUE(view.tiers()[move.to.value].online);
    EXPECT_FALSE(view.tiers()[move.to.value].info->adopted);
    EXPECT_LE(++written[move.to.value], budget.may_write[move.to.value]) << "more than may be written";
    const bool demotes = move.to.value > move.from.value;
    EXPECT_FALSE(demotes && (budget.spent >> move.to.value & 1) != 0) << "no budget is left";
  }

  std::unique_ptr<Policy> policy_;
};

// Moves handed over and not done yet.
class SlowSink final : public MoveSink {
 public:
  bool accept(const PlannedMove& planned) noexcept override {
    if (room(planned.move.to) == 0) return false;
    waiting.push_back({planned});
    return true;
  }
  std::uint32_t room(TierIndex tier) const noexcept override {
    const auto into =
        std::ranges::count_if(waiting, [&](const Waiting& w) { return w.planned.move.to == tier; });
    return kRoom - std::min(kRoom, static_cast<std::uint32_t>(into));
  }
  std::uint32_t leaving(TierIndex tier) const noexcept override {
    return static_cast<std::uint32_t>(std::ranges::count_if(waiting, [&](const Waiting& w) {
      return w.planned.move.from == tier && !w.planned.move.keep_source;
    }));
  }

  struct Waiting {
    PlannedMove planned;
    bool stale = false;  // its source has left: what may be there by now is another copy
  };
  static constexpr std::uint32_t kRoom = 6;
  std::vector<Waiting> waiting;
};

class PlanWorld {
 public:
  static constexpr std::size_t kTenants = 3;  // the last one is not listed
  static constexpr std::size_t kChains = 10;  // of each
  static constexpr std::size_t kLength = 9;
  static constexpr std::size_t kKeys = kTenants * kChains * kLength;

  PlanWorld(const PolicyFactory& factory, std::uint64_t seed);

  // Something happens, and all rules still hold.
  void step();

  std::uint64_t proposed() const { return policy_->proposed; }
  std::uint64_t dropped = 0, handed = 0, yielded = 0;

 private:
  struct Wish {
    std::uint64_t pin_until_s = 0, perhaps_until_s = 0, retain_until_s = 0;
    TierIndex pin_tier;
    std::uint8_t priority = 0;
  };
  struct Leased {
    std::size_t key;
    TierIndex tier;
    Slot slot;
  };
  // Where a block is and stays, before and after a plan.
  using Places = std::array<std::uint8_t, kKeys>;
  using Counts = std::array<std::array<std::uint32_t, kMaxTiers>, kTenants>;

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  static BlockKey key_of(std::size_t k) { return {k * 0x9E3779B97F4A7C15 + 1, k + 1}; }
  static std::size_t owner(std::size_t k) { return k / (kChains * kLength); }
  static TenantIndex index_of(std::size_t tenant) {
    return tenant + 1 == kTenants ? kUnlisted : static_cast<TenantIndex>(tenant + 1);
  }
  std::uint64_t now_s() const { return now_ns_ / 1'000'000'000; }
  BlockId find(std::size_t k) const { return residency_->table().find(key_of(k)); }
  std::size_t chain_at_random() { return below(kTenants * kChains) * kLength; }
  TierIndex tier_at_random() { return TierIndex(static_cast<std::uint8_t>(below(tiers_))); }

  void publish();
  void acquire();
  void release();
  void promote();
  void complete_one();
  void pin();
  void plan();
  void go_offline();
  void come_back();
  void doubt_pins();
  Event event_of(EventKind kind, BlockId block, TierIndex tier);
  bool make_room(TierIndex tier, std::uint32_t slots, std::size_t tenant);
  void prune();

  Places staying() const;
  static Counts count(const Places& places);
  void check(const Places& before, const Counts& asking, const char* what, bool in_order = true);
  void check_figures();
  void check_shares(const Counts& before, const Counts& after, const Counts& asking) const;
  void check_order(const Places& before, const Places& after, const Counts& counts) const;
  bool could_go(std::size_t k, std::uint8_t tier, const Counts& counts) const;

  std::mt19937_64 random_;
  std::uint32_t turns_ = 0;  // at going offline and coming back
  std::uint64_t now_ns_ = 1'000'000'000'000;
  Clock clock_ = [this] { return now_ns_; };
  std::uint8_t tiers_ = 1;
  bool listed_ = false;  // there are tenants
  // Worlds differ: in some nearly everything is leased or retained, in others hardly anything.
  std::uint32_t most_leased_ = 0, retained_in_ = 1;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Journal> journal_;
  SlowSink sink_;
  WatchedPolicy* policy_ = nullptr;
  std::unique_ptr<Planner> planner_;
  std::array<std::array<std::uint32_t, kMaxTiers>, kTenants> share_{};
  std::array<Wish, kKeys> wishes_{};
  std::vector<Leased> leased_;
};

}  // namespace kelvin::testing
