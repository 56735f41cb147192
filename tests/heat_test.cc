// Policy "heat": what goes first, what must stay, and what it learns.
#include "policies/heat.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "config/keys.h"
#include "heat_fixture.h"
#include "kelvin/plugin.h"
#include "policy_fixture.h"

namespace kelvin::testing {
namespace {

using Path = HeatWorld::Path;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

// Names of the first `length` blocks of the conversation `which`, which shares `shared` blocks with all.
Path conversation(std::uint64_t which, std::size_t length, std::size_t shared = 1) {
  Path path;
  for (std::size_t i = 0; i < length; ++i) path.push_back(i < shared ? i + 1 : which * 1000 + i + 1);
  return path;
}

TEST(HeatPolicy, VictimsOfOneChainGoDeepestFirst) {
  HeatWorld world({8}, 16);
  world.request(conversation(1, 6));
  const std::vector<Move> moves = world.plan(6);
  ASSERT_EQ(moves.size(), 6U);
  for (std::size_t i = 0; i < moves.size(); ++i) {
    EXPECT_EQ(moves[i].block.value, world.id_of(conversation(1, 6)[5 - i]));
    EXPECT_EQ(moves[i].to, kNoTier);
  }
}

TEST(HeatPolicy, NothingIsNamedTwiceInOnePlan) {
  HeatWorld world({64}, 128);
  for (std::uint64_t c = 1; c <= 9; ++c) world.request(conversation(c, 7));
  std::vector<Move> moves = world.plan(64);
  std::ranges::sort(moves, {}, &Move::block);
  const auto same = std::ranges::adjacent_find(moves, {}, &Move::block);
  EXPECT_EQ(same, moves.end());
}

TEST(HeatPolicy, LeasedCopiesAreNeverNamed) {
  HeatWorld world({32}, 64);
  world.request(conversation(1, 8));
  world.request(conversation(2, 8));
  std::vector<std::uint32_t> held;
  for (const std::uint64_t name : conversation(1, 8)) held.push_back(world.id_of(name));
  world.lease(held, true);
  EXPECT_EQ(world.plan(32).size(), 7U) << "the second's own blocks, without the root that both share";
}

TEST(HeatPolicy, AVictimIsFoundWhereAllButOneAreLeased) {
  HeatWorld world({300}, 400);
  std::vector<std::uint32_t> held;
  for (std::uint64_t c = 1; c <= 300; ++c) world.request({c});
  for (std::uint64_t c = 1; c <= 300; ++c) {
    if (c != 217) held.push_back(world.id_of(c));
  }
  world.lease(held, true);
  const std::vector<Move> moves = world.plan(5);
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].block.value, world.id_of(217));
}

TEST(HeatPolicy, AnUnleasedParentOfLeasedBlocksIsTheLastResort) {
  HeatWorld world({4}, 16);
  world.request(conversation(1, 3));
  std::vector<std::uint32_t> held = {world.id_of(conversation(1, 3)[1]), world.id_of(conversation(1, 3)[2])};
  world.lease(held, true);
  const std::vector<Move> moves = world.plan(1);
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].block.value, world.id_of(1));
}

TEST(HeatPolicy, ARetainedBlockGoesLastUntilItsTimeIsOver) {
  HeatWorld world({8}, 16);
  Hints keep;
  keep.retain_for = std::chrono::seconds(60);
  world.request({11, 12}, keep);
  world.now_ns += 30 * kSecondNs;
  world.request({21, 22});
  ASSERT_EQ(world.plan(2).at(1).block.value, world.id_of(21));
  world.now_ns += 31 * kSecondNs;
  EXPECT_EQ(world.plan(1).at(0).block.value, world.id_of(12)) << "older, and no longer retained";
}

TEST(HeatPolicy, PriorityZeroGoesFirstAndAHundredLast) {
  HeatWorld world({8}, 16);
  Hints low;
  low.priority = 0;
  Hints high;
  high.priority = 100;
  world.request({31}, high);
  world.request({11});
  world.now_ns += kSecondNs;
  world.request({21}, low);
  const std::vector<Move> moves = world.plan(3);
  ASSERT_EQ(moves.size(), 3U);
  EXPECT_EQ(moves[0].block.value, world.id_of(21));
  EXPECT_EQ(moves[1].block.value, world.id_of(11));
  EXPECT_EQ(moves[2].block.value, world.id_of(31));
}

TEST(HeatPolicy, HintsMayBeIgnored) {
  heat::Settings settings;
  settings.use_hints = false;
  HeatWorld world({8}, 16, settings);
  Hints keep;
  keep.retain_for = std::chrono::seconds(600);
  keep.priority = 100;
  world.request({11}, keep);
  world.now_ns += 30 * kSecondNs;
  world.request({21});
  EXPECT_EQ(world.plan(1).at(0).block.value, world.id_of(11));
}

TEST(HeatPolicy, WhatASchedulerAnnouncedStaysUntilThen) {
  HeatWorld world({8}, 16);
  world.request({11});
  world.now_ns += 100 * kSecondNs;
  world.request({21});
  Event event;
  event.kind = EventKind::kExpect;
  event.block = BlockId(world.id_of(11));
  event.time_ns = world.now_ns + 20 * kSecondNs;
  world.policy->observe(world, {&event, 1});
  EXPECT_EQ(world.plan(1).at(0).block.value, world.id_of(21));
  world.now_ns += 60 * kSecondNs;
  EXPECT_EQ(world.plan(1).at(0).block.value, world.id_of(11)) << "nobody came";
}

TEST(HeatPolicy, PromptsThatEndInABlockNobodyMatchesLoseItFirst) {
  HeatWorld world({4000}, 8000);
  // Every turn ends in a partial block that the next turn replaces.
  for (std::uint64_t turn = 0; turn < 40; ++turn) {
    for (std::uint64_t c = 1; c <= 20; ++c) {
      Path path = conversation(c, 2 + turn);
      path.push_back(900'000 + turn * 100 + c);
      world.request(path);
      world.now_ns += kSecondNs;
    }
  }
  std::size_t tails = 0;
  const std::vector<Move> moves = world.plan(20);
  for (const Move& move : moves) tails += world.block(move.block).children == 0 ? 1U : 0U;
  EXPECT_EQ(tails, moves.size());
  EXPECT_TRUE(world.has(conversation(20, 41)[40], 0));
}

TEST(HeatPolicy, CopiesWithOneBelowAreDroppedAndOthersDemoted) {
  HeatWorld world({4, 8}, 32);
  world.request({11, 12});
  for (const Move& move : world.plan(2, 0, false, false)) {
    EXPECT_EQ(move.to, TierIndex(1));
    world.carry_out({move.block, move.from, move.to, true, move.urgency});
  }
  for (const Move& move : world.plan(2, 0, false, false)) EXPECT_EQ(move.to, kNoTier);
  EXPECT_EQ(world.plan(2, 0, true, false).size(), 2U) << "clean copies go at once";
}

TEST(HeatPolicy, WhatANearerCopyBuildsOnStaysWhereItIs) {
  HeatWorld world({2, 8}, 16);
  const Path path = conversation(1, 2);
  world.request(path);
  const BlockId root(world.id_of(path[0]));
  const BlockId leaf(world.id_of(path[1]));
  for (const BlockId block : {root, leaf}) world.carry_out({block, TierIndex(0), TierIndex(1), true});
  world.carry_out({root, TierIndex(0), kNoTier});
  // The leaf is in both tiers now, its parent in the second alone.
  const std::vector<Move> moves = world.plan(2, 1);
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].block, leaf);
}

TEST(HeatPolicy, LastCopiesStayWhileOnlyWaitingIsAllowed) {
  HeatWorld world({4, 8}, 32);
  world.request({11, 12});
  EXPECT_TRUE(world.plan(2, 0, true, false).empty());
  EXPECT_EQ(world.plan(2, 0, true, true).size(), 2U);
}

TEST(HeatPolicy, NoMoreIsWrittenThanTheBudgetSays) {
  HeatWorld world({8, 8}, 32);
  world.request({11, 12, 13, 14});
  world.may_write_[1] = 3;
  EXPECT_EQ(world.plan(4, 0, false, false).size(), 3U);
}

TEST(HeatPolicy, AdoptedSlotsAreSavedAtOnceAndOnlyUntilTheyAre) {
  heat::Settings settings;
  settings.adopted = {true, false};
  HeatWorld world({4, 8}, 32, settings);
  world.request({11, 12});
  const std::vector<Move> moves = world.plan(0, 0, false, false);
  ASSERT_EQ(moves.size(), 2U);
  for (const Move& move : moves) {
    EXPECT_TRUE(move.keep_source);
    EXPECT_EQ(move.to, TierIndex(1));
    world.carry_out(move);
  }
  EXPECT_TRUE(world.plan(0, 0, false, false).empty());
}

class HeatRandom : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(HeatRandom, PrefixesStayWholeWhateverComes) {
  std::mt19937_64 random(GetParam());
  HeatWorld world({60, 90}, 400);
  std::vector<std::size_t> length(40, 1);
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t c = random() % length.size();
    length[c] = random() % 9 == 0 ? 1 + random() % 20 : length[c] + random() % 3;
    if (length[c] > 30) length[c] = 1;
    world.request(conversation(c + 1, length[c], 1 + c % 3));
    world.now_ns += random() % (5 * kSecondNs);
    const auto tier = static_cast<std::uint8_t>(random() % 2);
    if (random() % 3 == 0) world.evict(static_cast<std::uint32_t>(random() % 12), tier, false, false);
    if (random() % 9 == 0) world.evict(static_cast<std::uint32_t>(random() % 60), tier);
    if (HasFailure()) FAIL() << "at step " << step;
  }
  while (world.evict(60, 0) + world.evict(90, 1) != 0) {
  }
  EXPECT_EQ(world.tiers_[0].free_slots, 60U);
  EXPECT_EQ(world.tiers_[1].free_slots, 90U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, HeatRandom, ::testing::Range<std::uint64_t>(1, 7));

// Sessions that come back, and passers-by.
void play(HeatWorld& world, int steps) {
  std::mt19937_64 random(5);
  std::vector<std::size_t> length(30, 2);
  for (int step = 0; step < steps; ++step) {
    const std::uint64_t c = random() % 60;
    Hints hints;
    hints.output_tokens = static_cast<std::uint32_t>(random() % 500);
    hints.finish = c < 10 ? FinishReason::kToolUse : FinishReason::kStop;
    world.request(c < 30 ? conversation(c + 1, ++length[c] % 25 + 2) : Path{10'000 + random() % 100'000},
                  hints);
    world.now_ns += random() % (3 * kSecondNs);
  }
}

TEST(HeatPolicy, TheSameEventsGiveTheSamePlans) {
  HeatWorld one({100}, 150);
  HeatWorld other({100}, 150);
  play(one, 3000);
  play(other, 3000);
  EXPECT_GT(one.log.size(), 1000U);
  EXPECT_EQ(one.log, other.log);
}

// A mover's thread looks whenever it likes, in the middle of a request too.
TEST(HeatPolicy, PlansThatWantNothingChangeNothing) {
  HeatWorld calm({100}, 150);
  HeatWorld restless({100}, 150);
  restless.restless = true;
  play(calm, 3000);
  play(restless, 3000);
  EXPECT_GT(calm.log.size(), 1000U);
  EXPECT_EQ(calm.log, restless.log);
}

TEST(HeatPolicy, WhatWasLearnedCanBeSavedAndLoaded) {
  HeatWorld taught({100}, 150);
  play(taught, 3000);
  std::vector<std::byte> bytes;
  taught.policy->save(bytes);
  HeatWorld fresh({100}, 150);
  ASSERT_TRUE(fresh.policy->load(bytes).ok());
  std::vector<std::byte> again;
  fresh.policy->save(again);
  EXPECT_EQ(again, bytes);
}

TEST(HeatPolicy, DamagedTablesAreRefusedAndChangeNothing) {
  HeatWorld taught({100}, 150);
  play(taught, 500);
  std::vector<std::byte> bytes;
  taught.policy->save(bytes);
  HeatWorld fresh({100}, 150);
  std::vector<std::byte> before;
  fresh.policy->save(before);
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{5}, std::size_t{9}, bytes.size() / 2, bytes.size() - 1}) {
    std::vector<std::byte> bad = bytes;
    bad[at] ^= std::byte{0x10};
    EXPECT_FALSE(fresh.policy->load(bad).ok()) << "byte " << at;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{16}, bytes.size() - 4}) {
    EXPECT_FALSE(fresh.policy->load(std::span(bytes).first(size)).ok()) << size << " bytes";
  }
  std::vector<std::byte> after;
  fresh.policy->save(after);
  EXPECT_EQ(after, before);
}

TEST(HeatPolicy, MemoryIsBoundedByBlocksAndGhosts) {
  heat::Settings settings;
  settings.blocks = 1'100'000;
  settings.slots = {1'000'000};
  settings.ghosts = 1 << 20;
  settings.requests = 1 << 16;
  const heat::HeatPolicy policy(settings);
  EXPECT_LE(policy.block_bytes(), 48ULL * settings.blocks);
  EXPECT_LE(policy.ghost_bytes(), 16ULL * settings.ghosts);
  EXPECT_LE(policy.request_bytes(), 192ULL * settings.requests);
}

TEST(HeatPolicy, ItsFactoryReadsItsKeysAndNamesWhatIsWrong) {
  std::string why;
  const SpaceConfig space;
  const PlainTier tier("only", 100);
  const std::vector<const TierInfo*> tiers = {&tier.info()};
  const auto options =
      Options::bind(kHeatPolicy.options, {{"objective", "seconds"}, {"ghosts", "4"}}, "policy", &why);
  ASSERT_TRUE(options.ok()) << why;
  EXPECT_TRUE(kHeatPolicy.make({tiers, 110, space}, *options, &why).ok()) << why;
  EXPECT_FALSE(Options::bind(kHeatPolicy.options, {{"objective", "luck"}}, "policy", &why).ok());
  EXPECT_NE(why.find("hits"), std::string::npos) << why;
}

class HeatInPlans : public PolicyFixture {};

TEST_F(HeatInPlans, ACopyThatStaysFartherAwayDoesNotHideTheNearerOne) {
  begin(kHeatPolicy, 2);
  publish({1}, 0);
  release({1}, 0);
  arrive({1}, 1);
  lease({1}, 1);
  want_ = {1, 1};
  const std::vector<Move> moves = plan();
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].from, tier(0));
}

}  // namespace
}  // namespace kelvin::testing
