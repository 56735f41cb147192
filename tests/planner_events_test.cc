// Planner: what the policy hears, and in which order.
#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "planner_fixture.h"

namespace kelvin::testing {
namespace {

class PlannerEvents : public PlannerFixture {
 protected:
  void record(EventKind kind, BlockId block) {
    const Event event{.kind = kind, .tier = kFirst, .block = block};
    planner_->record({&event, 1});
  }
};

TEST_F(PlannerEvents, ThePolicyHearsWhatHappenedBeforeItIsAsked) {
  const BlockId block = put(1, kFirst);
  record(EventKind::kPublish, block);
  EXPECT_TRUE(planner_->has_news());
  EXPECT_TRUE(policy_->seen.empty());
  std::size_t heard = 0;
  policy_->rule = [&](const View&, const Budget&, std::span<Move>) {
    heard = policy_->seen.size();
    return std::size_t{0};
  };
  planner_->plan({});
  EXPECT_EQ(heard, 1u);
  EXPECT_FALSE(planner_->has_news());
}

TEST_F(PlannerEvents, NoEventOfACopyFollowsItsLeave) {
  const BlockId block = put(1, kFirst);
  policy_->rule = [&](const View&, const Budget&, std::span<Move> moves) {
    record(EventKind::kHit, block);  // somebody says so between plan and drop
    moves[0] = drop_of(block, kFirst);
    return std::size_t{1};
  };
  EXPECT_EQ(planner_->make_room(kFirst, 1, true), 1u);
  EXPECT_EQ(kinds_seen(), (std::vector{EventKind::kHit, EventKind::kLeave, EventKind::kForget}));
}

TEST_F(PlannerEvents, ARecordThatEndedWithoutADropIsToldAfterItsEvents) {
  const BlockId block = put(1, kFirst);
  record(EventKind::kExpect, block);
  planner_->forgotten(block);
  EXPECT_EQ(kinds_seen(), (std::vector{EventKind::kExpect, EventKind::kForget}));
}

TEST_F(PlannerEvents, NoEventIsLostWhereTheRingsAreFull) {
  constexpr std::uint64_t kEvents = 20'000;
  constexpr std::uint64_t kThreads = 3;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      std::array<Event, 50> batch;
      for (std::uint64_t n = 0; n < kEvents; n += batch.size()) {
        for (std::size_t i = 0; i < batch.size(); ++i) batch[i].session = t, batch[i].time_ns = n + i;
        planner_->record(batch);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  planner_->plan({});
  std::array<std::uint64_t, kThreads> next{};
  int misplaced = 0;
  for (const Event& event : policy_->seen) misplaced += event.time_ns != next[event.session]++ ? 1 : 0;
  EXPECT_EQ(misplaced, 0);
  for (const std::uint64_t count : next) EXPECT_EQ(count, kEvents);
}

}  // namespace
}  // namespace kelvin::testing
