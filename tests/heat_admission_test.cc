// Whether policy "heat" lets new blocks in, and what it brings near ahead of its need.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "heat_fixture.h"

namespace kelvin::testing {
namespace {

using Path = HeatWorld::Path;

constexpr std::uint64_t kSecondNs = 1'000'000'000;

// A prompt that comes back every second, and between its uses prompts that nobody asks for again.
class ScannedWorld {
 public:
  explicit ScannedWorld(std::uint32_t slots) : world({slots}, 2 * slots) {}

  void teach(int rounds) {
    for (int i = 0; i < rounds; ++i) round();
  }
  // Hits of the hot prompt.
  std::size_t round() {
    world.now_ns += kSecondNs;
    const std::size_t hit = world.ask(hot);
    world.now_ns += kSecondNs / 4;
    scan(4);
    return hit;
  }
  // How many blocks of a new prompt were let in.
  std::size_t scan(std::uint64_t blocks) {
    Path path;
    for (std::uint64_t i = 0; i < blocks; ++i) path.push_back(next_++);
    std::size_t admitted = 0;
    world.ask(path, {}, &admitted);
    return admitted;
  }

  HeatWorld world;
  Path hot = {1, 2, 3, 4};

 private:
  std::uint64_t next_ = 1000;
};

TEST(HeatAdmission, AScanDoesNotPushOutWhatComesBack) {
  ScannedWorld scanned(8);
  scanned.teach(300);
  EXPECT_LT(scanned.scan(8), 8U) << "there is room beside the hot prompt for four";
  for (const std::uint64_t name : scanned.hot) EXPECT_TRUE(scanned.world.has(name, 0)) << name;
  EXPECT_EQ(scanned.round(), 4U);
}

TEST(HeatAdmission, WhereThereIsRoomEverybodyIsLetIn) {
  ScannedWorld scanned(16);
  scanned.teach(1);
  EXPECT_EQ(scanned.scan(4), 4U);
}

TEST(HeatAdmission, ABlockOfHighPriorityIsLetIn) {
  ScannedWorld scanned(8);
  scanned.teach(300);
  Hints hints;
  hints.priority = 100;
  std::size_t admitted = 0;
  scanned.world.ask({500, 501}, hints, &admitted);
  EXPECT_EQ(admitted, 2U);
}

TEST(HeatAdmission, WhatWasRefusedIsRememberedAndLetInWhenItComesBack) {
  ScannedWorld scanned(8);
  scanned.teach(300);
  // A second prompt that comes as often as the first: nothing but memory of the refused can tell.
  const Path other = {501, 502, 503, 504};
  std::size_t hits = 0;
  for (int i = 0; i < 60; ++i) {
    scanned.round();
    hits += scanned.world.ask(other);
  }
  EXPECT_GT(hits, 60U) << "more than one block in four";
}

TEST(HeatAdmission, TheSameRequestsAreLetInEachTime) {
  ScannedWorld one(8);
  ScannedWorld other(8);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(one.round(), other.round());
  EXPECT_EQ(one.world.log, other.world.log);
}

// --- promotion ---

class TwoTierWorld : public ::testing::Test {
 protected:
  TwoTierWorld() : world({4, 16}, 40) {}

  // Leaves `path` in the far tier only.
  void send_down(const Path& path) {
    world.request(path);
    for (std::size_t i = path.size(); i-- > 0;) world.carry_out({id(path[i]), near, far});
  }
  BlockId id(std::uint64_t name) const { return BlockId(world.id_of(name)); }
  void announce(const Path& path, std::uint64_t at_ns) {
    const std::uint64_t now_ns = world.now_ns;
    std::vector<std::uint32_t> ids;
    for (const std::uint64_t name : path) ids.push_back(world.id_of(name));
    world.now_ns = at_ns;
    world.tell(EventKind::kExpect, ids, 1, {});
    world.now_ns = now_ns;
  }
  std::vector<Move> quiet_plan() { return world.plan(0, 0, false, false); }

  const TierIndex near{0};
  const TierIndex far{1};
  HeatWorld world;
};

TEST_F(TwoTierWorld, WhatASchedulerAnnouncesComesNearFromTheRootOn) {
  send_down({1, 2, 3});
  announce({1, 2, 3}, world.now_ns + kSecondNs);
  const std::vector<Move> moves = quiet_plan();
  ASSERT_EQ(moves.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(moves[i].block, id(i + 1));
    EXPECT_EQ(moves[i].from, far);
    EXPECT_EQ(moves[i].to, near);
    EXPECT_TRUE(moves[i].keep_source);
    EXPECT_EQ(moves[i].urgency, Urgency::kPrefetch);
  }
  EXPECT_TRUE(quiet_plan().empty()) << "once is enough";
}

TEST_F(TwoTierWorld, AnAnnouncementForLaterIsDueLater) {
  send_down({1, 2});
  announce({1, 2}, world.now_ns + 60 * kSecondNs);
  EXPECT_TRUE(quiet_plan().empty());
  const std::uint64_t due_ns = world.policy->due_ns();
  EXPECT_GT(due_ns, world.now_ns);
  EXPECT_LT(due_ns, world.now_ns + 60 * kSecondNs);
  world.now_ns = due_ns;
  EXPECT_EQ(quiet_plan().size(), 2U);
  EXPECT_EQ(world.policy->due_ns(), Policy::kNever);
}

TEST_F(TwoTierWorld, WhatIsNearAlreadyIsNotBroughtAgain) {
  world.request({1, 2});
  announce({1, 2}, world.now_ns + kSecondNs);
  EXPECT_TRUE(quiet_plan().empty());
}

TEST_F(TwoTierWorld, NoMoreIsBroughtThanMayBe) {
  send_down({1, 2, 3});
  announce({1, 2, 3}, world.now_ns + kSecondNs);
  world.may_write_[0] = 2;
  EXPECT_EQ(quiet_plan().size(), 2U);
  EXPECT_EQ(quiet_plan().size(), 1U);
}

TEST_F(TwoTierWorld, WhoeverCannotWaitGetsNoPromotions) {
  send_down({1, 2});
  announce({1, 2}, world.now_ns + kSecondNs);
  EXPECT_TRUE(world.plan(0, 0, true, true).empty());
}

TEST_F(TwoTierWorld, AnIdThatNamesAnotherBlockByNowIsLeftAlone) {
  send_down({1});
  announce({1}, world.now_ns + kSecondNs);
  world.carry_out({id(1), far, kNoTier});
  send_down({2});
  ASSERT_FALSE(world.has(1, 1));
  EXPECT_TRUE(quiet_plan().empty());
}

// Sessions come back after ten seconds, again and again; in between all that is near leaves.
TEST(HeatPromotion, ASessionThatComesBackInTimeIsBroughtNearBefore) {
  HeatWorld world({8, 4096}, 5000);
  std::uint64_t promoted = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    world.now_ns += kSecondNs / 2;
    const std::uint64_t session = i % 20;
    const std::uint64_t turn = i / 20;
    Path path;
    for (std::uint64_t n = 0; n <= turn % 20; ++n)
      path.push_back(1 + session + 1000 * (turn / 20) + 20'000 * n);
    // What is far is loaded first.
    for (const std::uint64_t name : path) {
      if (!world.has(name, 1) || world.has(name, 0)) continue;
      if (world.tiers_[0].free_slots == 0) world.evict(1, 0, false);
      if (world.tiers_[0].free_slots != 0)
        world.carry_out({BlockId(world.id_of(name)), TierIndex(1), TierIndex(0), true});
    }
    world.request(path);
    for (const Move& move : world.plan(0, 0, false, false)) {
      if (move.urgency == Urgency::kPrefetch) ++promoted;
    }
    world.evict(4, 0, false);
  }
  EXPECT_GT(promoted, 100U);
}

}  // namespace
}  // namespace kelvin::testing
