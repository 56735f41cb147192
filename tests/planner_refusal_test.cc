// Planner: proposals that are illegal, and a policy that proposes nonsense all the time.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "planner_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

class PlannerRefuses : public PlannerFixture {
 protected:
  void is_refused(const Move& move) {
    const std::uint64_t before = planner_->refused();
    policy_->script = {{move}};
    EXPECT_EQ(planner_->plan({}), 0u);
    EXPECT_EQ(planner_->refused(), before + 1);
    EXPECT_TRUE(sink_.accepted.empty());
  }
};

TEST_F(PlannerRefuses, ToDropWhatIsPinned) {
  const BlockId block = put(1, kFirst);
  const Slot held = pin(1, kFirst);
  is_refused(drop_of(block, kFirst));
  EXPECT_EQ(residency_->slots(kFirst).word(held).state(), SlotState::kResident);
  residency_->slots(kFirst).unpin(held);
  policy_->script = {{drop_of(block, kFirst)}};
  EXPECT_EQ(planner_->plan({}), 1u);
}

TEST_F(PlannerRefuses, ToDropACopyThatIsNotThere) {
  const BlockId block = put(1, kFirst);
  is_refused(drop_of(block, kSecond));
  EXPECT_TRUE(known(1));
}

TEST_F(PlannerRefuses, ToDropACopyThatIsStillBeingMade) {
  const BlockId block = put(1, kSecond);
  const Slot filling = residency_->slots(kFirst).take_filling(block, 0);
  ASSERT_TRUE(residency_->table().attach(block, kFirst, filling));
  is_refused(drop_of(block, kFirst));
  EXPECT_EQ(residency_->slots(kFirst).word(filling).state(), SlotState::kFilling);
}

TEST_F(PlannerRefuses, ToDropACopyTwice) {
  const BlockId block = put(1, kFirst);
  put(2, kFirst);
  policy_->script = {{drop_of(block, kFirst), drop_of(block, kFirst)}};
  EXPECT_EQ(planner_->plan({}), 1u);
  EXPECT_EQ(planner_->refused(), 1u);
  EXPECT_EQ(used(kFirst), 1u);
}

TEST_F(PlannerRefuses, BlocksAndTiersThatDoNotExist) {
  const BlockId block = put(1, kFirst);
  is_refused(drop_of(BlockId{}, kFirst));
  is_refused(drop_of(BlockId(kBlocks), kFirst));
  is_refused(drop_of(BlockId(block.value + 1), kFirst));
  is_refused(drop_of(block, TierIndex(3)));
  is_refused(drop_of(block, kNoTier));
  is_refused({block, kFirst, TierIndex(3)});
  is_refused({block, kNoTier, kSecond});
  is_refused({BlockId{}, kFirst, kSecond});
  is_refused({BlockId(block.value + 1), kFirst, kSecond});
  EXPECT_TRUE(known(1));
}

TEST_F(PlannerRefuses, MovesThatLeadNowhereOrFromWhereTheBlockIsNot) {
  const BlockId block = put(1, kFirst);
  is_refused({block, kFirst, kFirst});
  is_refused({block, kSecond, kThird});
}

TEST_F(PlannerRefuses, AnUrgencyThatDoesNotExist) {
  const BlockId block = put(1, kFirst);
  is_refused({block, kFirst, kSecond, false, static_cast<Urgency>(3)});
  is_refused({block, kFirst, kSecond, false, static_cast<Urgency>(255)});
}

TEST_F(PlannerRefuses, MovesToAndFromATierThatIsOffline) {
  const BlockId near = put(1, kFirst);
  put(2, kThird);
  const Slot held = pin(2, kThird);  // else it would be dropped at once
  planner_->take_offline(kThird);
  is_refused({near, kFirst, kThird});
  is_refused({residency_->table().find(key_of(2)), kThird, kSecond});
  EXPECT_EQ(policy_->asked.back().may_write[2], 0u);
  EXPECT_EQ(policy_->asked.back().want_free[2], 0u);
  residency_->slots(kThird).unpin(held);
}

// The middle tier's memory is the engine's.
class PlannerOfAdopted : public PlannerFixture {
 protected:
  PlannerOfAdopted()
      : PlannerFixture(
            Graph({"a", "b", "c"}, kSlots).adopt(1).both_ways(0, 1, 1).both_ways(1, 2, 1).both_ways(0, 2, 1),
            {10, 10, 10}) {}
};

TEST_F(PlannerOfAdopted, NothingIsMovedIntoTheEnginesSlotsNorFreedThere) {
  const BlockId block = put(1, kFirst);
  for (std::uint32_t s = 0; s < kSlots; ++s) ASSERT_TRUE(residency_->slots(kSecond).claim_held(Slot(s)));
  policy_->script = {{{block, kFirst, kSecond}}};
  EXPECT_EQ(planner_->plan({}), 0u);
  EXPECT_EQ(planner_->refused(), 1u);
  EXPECT_TRUE(sink_.accepted.empty());
  EXPECT_EQ(policy_->asked.at(0).want_free[1], 0u);
}

// Any value a byte may have, legal ones more often.
class Nonsense {
 public:
  explicit Nonsense(std::uint32_t seed) : random_(seed) {}

  Move operator()(std::uint32_t blocks) {
    Move move;
    move.block = BlockId(random_() % 8 == 0 ? number() : number() % blocks);
    if (random_() % 16 == 0) move.block = BlockId{};
    move.from = tier();
    move.to = random_() % 3 == 0 ? kNoTier : tier();
    move.keep_source = random_() % 2 == 0;
    move.urgency = static_cast<Urgency>(random_() % 8 == 0 ? random_() % 256 : random_() % 3);
    return move;
  }
  std::size_t fill(std::span<Move> moves, std::uint32_t blocks) {
    for (Move& move : moves) move = (*this)(blocks);
    return random_() % 4 == 0 ? moves.size() + random_() : random_() % (moves.size() + 1);
  }
  std::uint32_t number() { return static_cast<std::uint32_t>(random_()); }

 private:
  TierIndex tier() {
    return TierIndex(static_cast<std::uint8_t>(random_() % 8 == 0 ? random_() % 256 : random_() % 3));
  }
  std::mt19937 random_;
};

TEST_F(PlannerRefuses, NonsenseAndKeepsWhatItPromises) {
  Nonsense nonsense(1);
  policy_->rule = [&](const View& view, const Budget&, std::span<Move> moves) {
    view.block(BlockId{});
    view.block(BlockId(nonsense.number()));
    return nonsense.fill(moves, kBlocks);
  };
  for (int round = 0; round < 60; ++round) {
    for (std::uint64_t n = 0; n < 60; ++n) {
      if (!known(n)) put(n, TierIndex(static_cast<std::uint8_t>(n % 3)));
    }
    std::vector<Slot> held;
    for (std::uint64_t n = 0; n < 15; ++n)
      held.push_back(pin(n, TierIndex(static_cast<std::uint8_t>(n % 3))));
    EXPECT_LE(planner_->make_room(kSecond, 3, true), 3u);
    planner_->plan({});
    for (std::uint64_t n = 0; n < 15; ++n) {
      const TierIndex tier(static_cast<std::uint8_t>(n % 3));
      ASSERT_TRUE(held[n]);
      EXPECT_EQ(residency_->slots(tier).word(held[n]).state(), SlotState::kResident);
      residency_->slots(tier).unpin(held[n]);
    }
    for (const TierIndex tier : {kFirst, kSecond, kThird}) {
      int resident = 0;
      for (std::uint32_t s = 0; s < kSlots; ++s)
        resident += residency_->slots(tier).word(Slot(s)).state() == SlotState::kResident ? 1 : 0;
      EXPECT_EQ(resident, static_cast<int>(used(tier)));
    }
  }
  EXPECT_GT(planner_->refused(), 0u);
  EXPECT_FALSE(sink_.accepted.empty());
  for (const PlannedMove& planned : sink_.accepted) {
    EXPECT_LT(planned.move.to.value, 3);
    EXPECT_NE(planned.move.to, planned.move.from);
    EXPECT_LE(planned.move.urgency, Urgency::kWriteBehind);
  }
}

class NonsensePolicy final : public Policy {
 public:
  NonsensePolicy(const bool& quiet, std::uint32_t blocks) : quiet_(quiet), blocks_(blocks) {}
  void observe(const View& /*view*/, std::span<const Event> /*events*/) noexcept override {}
  std::size_t plan(const View& view, const Budget& /*budget*/, std::span<Move> moves) noexcept override {
    view.block(BlockId(nonsense_.number()));
    return quiet_ ? 0 : nonsense_.fill(moves, blocks_);
  }

 private:
  const bool& quiet_;
  const std::uint32_t blocks_;
  Nonsense nonsense_{2};
};

// A whole space under such a policy may forget all it likes; it never lies, loses a slot or ends.
TEST(NonsensePolicy, CostsHitsButNeitherBytesNorSlots) {
  bool quiet = false;
  Parts parts;
  parts.policy = std::make_unique<NonsensePolicy>(quiet, 60);
  Config config =
      config_of({tier_of("dram", "dram", 16), tier_of("far", "fake", 16), tier_of("farthest", "fake", 16)});
  config.tiers[0].free_ahead = 0.2;
  auto space = open_space(config, std::move(parts));
  ASSERT_NE(space, nullptr);
  std::mt19937 random(3);
  std::vector<std::pair<Lease, std::vector<BlockKey>>> held;
  std::uint64_t found = 0;
  for (int step = 0; step < 1500; ++step) {
    const auto chain = chain_of(random() % 6, 1 + random() % 5);
    Lease lease = acquire_blocks(*space, chain, TierIndex(static_cast<std::uint8_t>(random() % 3)));
    found += lease.size();
    ASSERT_TRUE(blocks_are(lease, chain)) << "step " << step;
    if (lease.size() == 0) lease = publish_blocks(*space, chain);
    if (lease) held.emplace_back(std::move(lease), chain);
    ASSERT_TRUE(space->poll().ok());
    for (const auto& [kept, keys] : held) ASSERT_TRUE(blocks_are(kept, keys)) << "step " << step;
    if (held.size() > 2) held.erase(held.begin());
  }
  EXPECT_GT(found, 100u);
  held.clear();
  quiet = true;
  EXPECT_TRUE(space->settle(10s).ok());
  EXPECT_TRUE(nothing_leaked(*space));
}

}  // namespace
}  // namespace kelvin::testing
