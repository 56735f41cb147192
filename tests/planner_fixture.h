// A planner over three tiers by itself: a policy that says what it is told to say, and a sink that only takes
// notes.
//
// Thread contract: as its planner; what the policy and the sink noted is read when nobody plans.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core_parts.h"
#include "journal/journal.h"
#include "planner/planner.h"

namespace kelvin::testing {

// What a policy was asked.
struct Asked {
  std::uint64_t now_ns;
  std::vector<std::uint32_t> want_free, may_write;
  bool at_once, may_forget;
};

class ScriptedPolicy final : public Policy {
 public:
  using Rule = std::function<std::size_t(const View&, const Budget&, std::span<Move>)>;

  void observe(const View& /*view*/, std::span<const Event> events) noexcept override {
    seen.insert(seen.end(), events.begin(), events.end());
  }
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    asked.push_back({budget.now_ns,
                     {budget.want_free.begin(), budget.want_free.end()},
                     {budget.may_write.begin(), budget.may_write.end()},
                     budget.at_once,
                     budget.may_forget});
    if (rule) return rule(view, budget, moves);
    if (script.empty()) return 0;
    const std::vector<Move> next = std::move(script.front());
    script.pop_front();
    const std::size_t count = std::min(next.size(), moves.size());
    std::copy_n(next.begin(), count, moves.begin());
    return count;
  }

  std::deque<std::vector<Move>> script;  // one answer a question
  Rule rule;                             // instead of the script
  std::vector<Event> seen;
  std::vector<Asked> asked;
};

class NotingSink final : public MoveSink {
 public:
  bool accept(const PlannedMove& planned) noexcept override {
    if (full) return false;
    accepted.push_back(planned);
    return true;
  }
  std::uint32_t room(TierIndex tier) const noexcept override { return rooms[tier.value]; }
  std::uint32_t leaving(TierIndex tier) const noexcept override { return leavings[tier.value]; }

  std::array<std::uint32_t, 3> rooms = {11, 12, 13};
  std::array<std::uint32_t, 3> leavings{};
  bool full = false;
  std::vector<PlannedMove> accepted;
};

class PlannerFixture : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kSlots = 100;
  static constexpr std::uint32_t kBlocks = 320;

  PlannerFixture()
      : PlannerFixture(Graph({"a", "b", "c"}, kSlots).both_ways(0, 1, 10).both_ways(1, 2, 100), {}) {}
  PlannerFixture(Graph& graph, const std::array<std::uint32_t, kMaxTiers>& free_ahead) {
    topology_ = made(graph.make());
    std::vector<const TierInfo*> infos;
    for (const TierIndex tier : {kFirst, kSecond, kThird}) infos.push_back(&topology_->tier(tier).info());
    residency_ = make_residency(kBlocks, infos);
    journal_ = made(Journal::make());
    begin(free_ahead);
  }

  void begin(const std::array<std::uint32_t, kMaxTiers>& free_ahead) {
    auto policy = std::make_unique<ScriptedPolicy>();
    policy_ = policy.get();
    planner_ = std::make_unique<Planner>(Planner::Parts{*residency_, *journal_, sink_, clock_, clock_,
                                                        *topology_, std::move(policy), free_ahead});
    EXPECT_TRUE(planner_->open({}).ok());
  }

  std::vector<EventKind> kinds_seen() {
    std::vector<EventKind> kinds;
    for (const Event& event : policy_->seen) kinds.push_back(event.kind);
    return kinds;
  }
  static BlockKey key_of(std::uint64_t n) { return {n * 0x9E3779B97F4A7C15, ~n}; }
  BlockId put(std::uint64_t n, TierIndex tier, BlockId parent = BlockId{}) {
    const BlockId block = put_block(*residency_, key_of(n), parent, parent ? 1 : 0, tier);
    EXPECT_TRUE(block);
    return block;
  }
  void copy(BlockId block, TierIndex tier) { EXPECT_TRUE(add_copy(*residency_, block, tier)); }
  Slot pin(std::uint64_t n, TierIndex tier) {
    return residency_->pin(residency_->table().find(key_of(n)), key_of(n), tier);
  }
  bool known(std::uint64_t n) { return static_cast<bool>(residency_->table().find(key_of(n))); }
  std::uint32_t used(TierIndex tier) { return kSlots - residency_->slots(tier).free_count(); }

  std::uint64_t now_ns_ = 1000;
  Clock clock_ = [this] { return now_ns_; };
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Journal> journal_;
  NotingSink sink_;
  ScriptedPolicy* policy_ = nullptr;
  std::unique_ptr<Planner> planner_;
};

inline Move drop_of(BlockId block, TierIndex tier) { return {block, tier, kNoTier}; }

}  // namespace kelvin::testing
