// Policies are arithmetic: what one decided in a living space, with several threads and moves under way,
// another of its kind decides again from a record of what it was told and shown.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core_parts.h"
#include "registry.h"
#include "space_fixture.h"

namespace kelvin::testing {
namespace {

// One call of observe or plan, and what the view answered during it.
struct Call {
  std::vector<Event> events;  // observe
  bool plans = false;
  Budget budget;
  std::vector<std::uint32_t> want_free, may_write;
  Newcomers newcomers;
  std::vector<BlockKey> keys;
  std::size_t room = 0;
  std::vector<Move> moves;
  std::vector<TierState> tiers;
  std::vector<std::pair<BlockId, BlockState>> answers;
};

class RecordingView final : public View {
 public:
  RecordingView(const View& view, Call& call) : view_(view), call_(call) {
    call.tiers.assign(view.tiers().begin(), view.tiers().end());
  }
  std::span<const TierState> tiers() const noexcept override { return call_.tiers; }
  BlockState block(BlockId block) const noexcept override {
    const BlockState state = view_.block(block);
    call_.answers.emplace_back(block, state);
    return state;
  }

 private:
  const View& view_;
  Call& call_;
};

class RecordedView final : public View {
 public:
  explicit RecordedView(const Call& call) : call_(call) {}
  std::span<const TierState> tiers() const noexcept override { return call_.tiers; }
  BlockState block(BlockId block) const noexcept override {
    if (next_ == call_.answers.size() || call_.answers[next_].first != block) {
      EXPECT_TRUE(false) << "asks about another block than before";
      return BlockState{};
    }
    return call_.answers[next_++].second;
  }
  bool all_asked() const { return next_ == call_.answers.size(); }

 private:
  const Call& call_;
  mutable std::size_t next_ = 0;
};

class RecordingPolicy final : public Policy {
 public:
  RecordingPolicy(std::unique_ptr<Policy> policy, std::vector<Call>* calls)
      : policy_(std::move(policy)), calls_(calls) {}

  void observe(const View& view, std::span<const Event> events) noexcept override {
    Call& call = calls_->emplace_back();
    call.events.assign(events.begin(), events.end());
    policy_->observe(RecordingView(view, call), events);
  }
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    Call& call = calls_->emplace_back();
    call.plans = true;
    call.budget = budget;
    call.want_free.assign(budget.want_free.begin(), budget.want_free.end());
    call.may_write.assign(budget.may_write.begin(), budget.may_write.end());
    if (budget.newcomers != nullptr) {
      call.newcomers = *budget.newcomers;
      call.keys.assign(budget.newcomers->keys.begin(), budget.newcomers->keys.end());
    }
    call.room = moves.size();
    const std::size_t count = policy_->plan(RecordingView(view, call), budget, moves);
    call.moves.assign(moves.begin(), moves.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

 private:
  const std::unique_ptr<Policy> policy_;
  std::vector<Call>* const calls_;
};

bool operator==(const Move& a, const Move& b) {
  return a.block == b.block && a.from == b.from && a.to == b.to && a.keep_source == b.keep_source &&
         a.urgency == b.urgency;
}

class PolicyPurity : public ::testing::TestWithParam<std::string> {
 protected:
  static constexpr std::uint32_t kNearSlots = 24;
  static constexpr std::uint32_t kFarSlots = 60;
  static constexpr std::uint32_t kTopBlock = 200;

  std::unique_ptr<Policy> make() {
    const PolicyFactory* factory = find_policy_factory(GetParam());
    std::string why;
    auto options = Options::bind(factory->options, {}, "policy", &why);
    EXPECT_TRUE(options.ok()) << why;
    const PolicyContext context{infos_, kTopBlock, space_config_};
    auto policy = factory->make(context, *options, &why);
    EXPECT_TRUE(policy.ok()) << why;
    return policy.ok() ? std::move(*policy) : nullptr;
  }

  void use(Space& space, unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 400; ++i) {
      Hints hints;
      hints.session = 1 + random() % 5;
      hints.output_tokens = static_cast<std::uint32_t>(random() % 300);
      hints.finish = random() % 2 == 0 ? FinishReason::kToolUse : FinishReason::kStop;
      const auto chain = chain_of(1 + random() % 20, 1 + random() % 5);
      if (random() % 8 == 0) space.expect(chain, 1ms);
      Lease prefix = acquire_blocks(space, chain);
      AllocateOptions options;
      options.chain = chain;
      options.hints = hints;
      if (random() % 2 == 0) options.when_full = WhenFull::kWait;
      options.timeout = 5ms;
      const std::size_t had = prefix.size();
      if (had == chain.size()) continue;
      auto fresh = space.allocate(static_cast<std::uint32_t>(chain.size() - had), kNear, options);
      if (!fresh.ok()) continue;
      for (std::size_t b = 0; b < fresh->size(); ++b) write_block(*fresh, b, chain[had + b]);
      static_cast<void>(space.publish(*fresh, std::span(chain).first(had + fresh->size()), had, hints));
      static_cast<void>(fresh->release(hints));
      static_cast<void>(prefix.release(hints));
    }
  }

  void check(std::vector<Call>& calls) {
    const std::unique_ptr<Policy> again = make();
    std::size_t moves_seen = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      Call& call = calls[i];
      // The space is gone, and its tiers with it: these are like them.
      for (std::size_t t = 0; t < call.tiers.size(); ++t) call.tiers[t].info = infos_[t];
      const RecordedView view(call);
      if (call.plans) {
        Budget budget = call.budget;
        Newcomers newcomers = call.newcomers;
        newcomers.keys = call.keys;
        budget.want_free = call.want_free;
        budget.may_write = call.may_write;
        if (budget.newcomers != nullptr) budget.newcomers = &newcomers;
        std::vector<Move> moves(call.room);
        moves.resize(again->plan(view, budget, moves));
        ASSERT_EQ(moves.size(), call.moves.size()) << "call " << i;
        for (std::size_t m = 0; m < moves.size(); ++m) ASSERT_TRUE(moves[m] == call.moves[m]) << "call " << i;
        moves_seen += moves.size();
      } else {
        again->observe(view, call.events);
      }
      ASSERT_TRUE(view.all_asked()) << "call " << i;
    }
    EXPECT_GT(moves_seen, 100U);
  }

  PlainTier near_{"dram", kNearSlots};
  PlainTier far_{"far", kFarSlots};
  const std::vector<const TierInfo*> infos_ = {&near_.info(), &far_.info()};
  const SpaceConfig space_config_{};
};

TEST_P(PolicyPurity, TheSameEventsAndViewsGiveTheSamePlans) {
  std::vector<Call> calls;
  calls.reserve(1 << 20);
  Parts parts;
  parts.policy = std::make_unique<RecordingPolicy>(make(), &calls);
  Config config = two_tiers(kNearSlots, kFarSlots, 1);
  config.tiers[0].free_ahead = 0.1;
  {
    const auto space = open_space(config, std::move(parts));
    ASSERT_LE(space->stats().block_capacity, kTopBlock);
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 3; ++seed) threads.emplace_back([&, seed] { use(*space, seed); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(space->settle(10s).ok());
  }
  check(calls);
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  for (const PolicyFactory* factory : policy_factories()) names.emplace_back(factory->name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Policies, PolicyPurity, ::testing::ValuesIn(policy_names()),
                         [](const auto& policy) { return policy.param; });

}  // namespace
}  // namespace kelvin::testing
