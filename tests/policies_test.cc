// Every registered policy on long random runs over three tiers: what it proposes is legal and within its
// budget, no block goes before those that build on it, everything can be evicted in the end, the same events
// give the same plans, and nothing is allocated on the way: operator new counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "counted_new.h"
#include "policy_fixture.h"
#include "registry.h"

namespace kelvin::testing {
namespace {

// Chains of blocks in trees; requests that lease them in the first tier and make what is missing there.
class AnyPolicy : public PolicyFixture, public ::testing::WithParamInterface<const PolicyFactory*> {
 protected:
  static constexpr std::size_t kTiers = 3;
  static constexpr std::uint32_t kSlots = 100;
  static constexpr std::uint32_t kChains = 30;
  static constexpr std::uint32_t kTrunk = 3;   // blocks that the three chains of one tree share
  static constexpr std::uint32_t kLength = 8;  // with them

  void start() {
    begin(*GetParam(), kTiers, 0, kSlots);
    std::swap(policy_, twin_);
    // A second policy of the same kind. Both see the same view.
    std::vector<const TierInfo*> infos;
    for (const TierState& tier : view_.tiers_) infos.push_back(tier.info);
    const SpaceConfig space;
    std::string why;
    const Options options = made(Options::bind(GetParam()->options, {}, "the policy", &why));
    policy_ = made(GetParam()->make({infos, kBlocks, space}, options, &why));
    for (std::uint32_t c = 0; c < kChains; ++c) {
      const Ids ids = chain(c);
      for (std::uint32_t i = 1; i < kLength; ++i) {
        state(ids[i]).parent = BlockId(ids[i - 1]);
        state(ids[i]).depth = i;
      }
    }
  }

  static Ids chain(std::uint32_t c) {
    Ids ids;
    for (std::uint32_t i = 0; i < kLength; ++i) ids.push_back((i < kTrunk ? c / 3 * 3 : c) * 100 + i);
    return ids;
  }

  void tell_both(EventKind kind, const Ids& blocks, std::size_t t) {
    std::vector<Event> events(blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      events[i].kind = kind;
      events[i].tier = TierIndex(static_cast<std::uint8_t>(t));
      events[i].block = BlockId(blocks[i]);
      events[i].time_ns = now_ns_ += 1000;
    }
    const std::uint64_t before = allocations();
    policy_->observe(view_, events);
    twin_->observe(view_, events);
    allocated_ += allocations() - before;
  }
  void put(std::uint32_t block, std::size_t t, EventKind kind) {
    state(block).tiers |= 1u << t;
    if (known_.insert(block).second && state(block).parent) ++state(state(block).parent.value).children;
    ++used_[t];
    tell_both(kind, {block}, t);
  }
  void take(std::uint32_t block, std::size_t t) {
    tell_both(EventKind::kLeave, {block}, t);
    state(block).tiers &= ~(1u << t);
    --used_[t];
    forget_from(BlockId(block));
  }
  // As the table does: a record stays while it has a copy or a child.
  void forget_from(BlockId block) {
    while (block && state(block.value).tiers == 0 && state(block.value).children == 0) {
      tell_both(EventKind::kForget, {block.value}, TierIndex::kNone);
      known_.erase(block.value);
      block = state(block.value).parent;
      if (block) --state(block.value).children;
    }
  }

  void open(std::uint32_t c) {
    if (open_.contains(c)) return;
    Ids& held = open_[c];
    std::vector<BlockKey> keys;
    for (const std::uint32_t block : chain(c)) keys.push_back(state(block).key);
    for (const std::uint32_t block : chain(c)) {
      if ((state(block).tiers & 1) == 0) {
        if (used_[0] == kSlots && make_room(keys, held.size()) == 0) break;
        state(block).leased |= 1;
        put(block, 0, state(block).tiers == 0 ? EventKind::kPublish : EventKind::kArrive);
      }
      state(block).leased |= 1;
      ++holders_[block];
      held.push_back(block);
    }
  }
  void close(std::uint32_t c) {
    if (!open_.contains(c)) return;
    Ids held = open_[c];
    std::reverse(held.begin(), held.end());
    tell_both(EventKind::kRelease, held, 0);
    for (const std::uint32_t block : held) {
      if (--holders_[block] == 0) state(block).leased = 0;
    }
    open_.erase(c);
  }

  // A caller wants a slot of the first tier at once, for one of `keys` from `granted` on.
  std::size_t make_room(const std::vector<BlockKey>& keys, std::size_t granted) {
    std::fill(want_.begin(), want_.end(), 0u);
    want_[0] = static_cast<std::uint32_t>(keys.size() - granted);
    std::fill(may_write_.begin(), may_write_.end(), 0u);
    Budget budget;
    budget.at_once = budget.may_forget = true;
    Newcomers newcomers;
    newcomers.keys = keys;
    newcomers.granted = granted;
    budget.newcomers = &newcomers;
    return plan_and_carry_out(budget);
  }
  void plan_ahead(std::mt19937& random) {
    for (std::size_t t = 0; t < kTiers; ++t) {
      want_[t] = random() % 2 == 0 ? static_cast<std::uint32_t>(random() % 20) : 0;
      may_write_[t] = std::min(static_cast<std::uint32_t>(random() % 20), kSlots - used_[t]);
    }
    plan_and_carry_out({});
  }

  std::size_t plan_and_carry_out(Budget budget) {
    budget.now_ns = now_ns_;
    budget.want_free = want_;
    budget.may_write = may_write_;
    const std::uint64_t before = allocations();
    std::array<Move, 64> room, room_of_twin;
    const std::size_t count = policy_->plan(view_, budget, room);
    const std::size_t count_of_twin = twin_->plan(view_, budget, room_of_twin);
    allocated_ += allocations() - before;
    const std::vector<Move> moves(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(count));
    EXPECT_EQ(count, count_of_twin);
    for (std::size_t i = 0; i < count && i < count_of_twin; ++i)
      EXPECT_EQ(moves[i].block, room_of_twin[i].block);
    check(moves, budget);
    for (const Move& move : moves) {
      if (move.to) put(move.block.value, move.to.value, EventKind::kArrive);
      take(move.block.value, move.from.value);
    }
    proposed_ += count;
    return count;
  }

  void check(const std::vector<Move>& moves, const Budget& budget) {
    std::set<std::pair<std::uint32_t, std::uint8_t>> leaving;
    std::array<std::uint32_t, kTiers> freed{}, written{};
    for (const Move& move : moves) {
      const BlockState& block = state(move.block.value);
      ASSERT_TRUE(block.tiers >> move.from.value & 1) << "no copy";
      ASSERT_FALSE(block.leased >> move.from.value & 1) << "leased";
      ASSERT_TRUE(leaving.emplace(move.block.value, move.from.value).second) << "twice";
      ASSERT_LE(++freed[move.from.value], want_[move.from.value]);
      if (move.to) {
        ASSERT_FALSE(budget.at_once);
        ASSERT_FALSE(block.tiers >> move.to.value & 1) << "it is there already";
        ASSERT_LE(++written[move.to.value], may_write_[move.to.value]);
      }
    }
    for (std::uint32_t block = 0; block < kChains * 100; ++block) {
      const BlockState& child = state(block);
      if (!child.parent) continue;
      for (std::uint8_t t = 0; t < kTiers; ++t) {
        if ((child.tiers >> t & 1) == 0 || leaving.contains({block, t})) continue;
        if (!leaving.contains({child.parent.value, t})) continue;
        ASSERT_TRUE(may_go_first(child.parent.value))
            << child.parent.value << " leaves tier " << int{t} << ", " << block << " stays";
      }
    }
  }
  // "lru" minds the order only of what is in use nowhere.
  bool may_go_first(std::uint32_t block) { return GetParam()->name == "lru" && state(block).leased != 0; }

  // Asks until nothing comes any more; returns how many copies are left in the tier.
  std::uint32_t empty(std::size_t t) {
    std::fill(may_write_.begin(), may_write_.end(), 0u);
    Budget budget;
    budget.at_once = budget.may_forget = true;
    do {
      std::fill(want_.begin(), want_.end(), 0u);
      want_[t] = used_[t];
    } while (used_[t] != 0 && plan_and_carry_out(budget) != 0 && !HasFatalFailure());
    return used_[t];
  }

  std::unique_ptr<Policy> twin_;
  std::array<std::uint32_t, kTiers> used_{};
  std::set<std::uint32_t> known_;
  std::map<std::uint32_t, Ids> open_;
  std::map<std::uint32_t, int> holders_;
  std::uint64_t now_ns_ = 1'000'000'000;
  std::uint64_t proposed_ = 0;
  std::uint64_t allocated_ = 0;
};

TEST_P(AnyPolicy, KeepsItsContractOnRandomRuns) {
  for (const std::uint32_t seed : {1u, 2u}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    used_ = {};
    known_.clear();
    open_.clear();
    holders_.clear();
    start();
    std::mt19937 random(seed);
    for (int step = 0; step < 4000 && !HasFailure(); ++step) {
      const auto c = static_cast<std::uint32_t>(random() % kChains);
      if (random() % 2 == 0) open(c);
      if (open_.size() > 6 || random() % 2 == 0) close(open_.empty() ? c : open_.begin()->first);
      if (random() % 3 == 0) plan_ahead(random);
    }
    EXPECT_GT(proposed_, 1000u);
    while (!open_.empty()) close(open_.begin()->first);
    for (std::size_t t = 0; t < kTiers && !HasFailure(); ++t) EXPECT_EQ(empty(t), 0u) << "tier " << t;
  }
  EXPECT_EQ(allocated_, 0u);
}

TEST_P(AnyPolicy, ProposesNothingUnaskedAndNothingThatIsLeased) {
  start();
  for (std::uint32_t c = 0; c < 5; ++c) open(c);
  std::fill(want_.begin(), want_.end(), 0u);
  EXPECT_EQ(plan_and_carry_out({}), 0u);
  want_[0] = kSlots;
  EXPECT_EQ(plan_and_carry_out({}), 0u);
}

INSTANTIATE_TEST_SUITE_P(Registered, AnyPolicy,
                         ::testing::ValuesIn(policy_factories().begin(), policy_factories().end()),
                         [](const auto& of) { return std::string(of.param->name); });

}  // namespace
}  // namespace kelvin::testing
