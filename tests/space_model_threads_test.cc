// Random operations by several threads beside the mover's own, checked against a map.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kelvin/space.h"
#include "space_model.h"

namespace kelvin::testing {
namespace {

constexpr std::size_t kCallers = 3;
constexpr int kSteps = 600;
constexpr std::size_t kMostHeld = 2;

// What the callers share.
struct Shared {
  explicit Shared(const ModelCase& of)
      : run(of), space(open_space(config_of_case(of, 1), of.hangs ? faults.parts() : Parts())) {}

  const ModelCase run;
  Faults faults;  // outlives the space
  const Family family;
  Known known;  // what was ever published: drops of other threads come at any moment
  std::unique_ptr<Space> space;
  std::atomic<std::uint64_t> offered{0};
  std::atomic<std::uint64_t> leased{0};
  std::atomic<std::size_t> playing{kCallers};
};

// Until all have played: links hang and come round, tiers are brought back.
void make_trouble(Shared& shared) {
  Dice dice(shared.run.seed * 100 + kCallers);
  while (shared.playing != 0) {
    switch (dice.below(4)) {
      case 0: hang_some_link(shared.faults, shared.run, dice); break;
      case 1: shared.faults.clear(); break;
      case 2: {
        const TierIndex tier(static_cast<std::uint8_t>(1 + dice.below(shared.run.lower_slots.size())));
        const Code code = shared.space->bring_back(tier).code();
        EXPECT_TRUE(code == Code::kOk || code == Code::kMisuse || code == Code::kBusy) << code_name(code);
        break;
      }
      default: std::this_thread::sleep_for(500us); break;
    }
  }
}

// All devices come round, and give back what they had.
void recover(Shared& shared) {
  shared.faults.clear();
  std::uint64_t in_flight = 1;
  for (int i = 0; i < 10'000 && in_flight != 0; ++i) {
    std::this_thread::sleep_for(1ms);
    in_flight = 0;
    for (const LinkStats& link : shared.space->stats().links) in_flight += link.in_flight;
  }
  EXPECT_EQ(in_flight, 0u);
  ASSERT_TRUE(shared.space->settle(20s).ok());
  EXPECT_TRUE(only_strays_are_missing(*shared.space));
}

class Caller {
 public:
  Caller(Shared& shared, std::size_t number)
      : shared_(shared), family_(shared.family), dice_(shared.run.seed * 100 + number) {}

  void play() {
    SCOPED_TRACE(::testing::PrintToString(shared_.run));
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) one_step();
    while (!held_.empty()) release_one();
  }

 private:
  void one_step() {
    switch (dice_.below(10)) {
      case 0: look(dice_.below(Family::kChains)); break;
      case 1:
      case 2:
      case 3:
      case 4: acquire(); break;
      case 5:
      case 6: publish(); break;
      case 7: release_one(); break;
      case 8: drop(); break;
      default: shared_.space->expect(family_.chain(dice_.below(Family::kChains)), 1ms); break;
    }
  }

  std::size_t look(std::size_t c) {
    const Match match = shared_.space->match(family_.chain(c));
    // Looked at afterwards: what was published meanwhile may have been seen.
    EXPECT_LE(match.blocks, shared_.known.prefix(family_.chain(c)));
    for (const HeldBlocks& held : held_) {
      EXPECT_GE(match.blocks, must_be_known(held, c, shared_.run)) << "leased, hence known";
    }
    return match.blocks;
  }

  void acquire() {
    const std::size_t c = dice_.below(Family::kChains);
    const std::size_t tiers = shared_.run.corrupts() ? 1 : 1 + shared_.run.lower_slots.size();
    const TierIndex tier(static_cast<std::uint8_t>(dice_.one_in(4) ? dice_.below(tiers) : 0));
    auto ticket = shared_.space->acquire(family_.chain(c), tier);
    if (!ticket.ok()) {
      EXPECT_EQ(ticket.status().code(), Code::kBusy) << ticket.status().message();
      return;
    }
    if (dice_.one_in(8)) return;  // given up at once
    const Status status = ticket->wait(20s);
    ASSERT_TRUE(ticket->done()) << status.message();
    HeldBlocks held{ticket->take(), c, 0, true};
    EXPECT_TRUE(holds_right_bytes(held, family_));
    EXPECT_LE(held.lease.size(), shared_.known.prefix(family_.chain(c)));
    shared_.leased += held.lease.size();
    keep(std::move(held));
  }

  void publish() {
    const std::size_t c = dice_.below(Family::kChains);
    const auto chain = family_.chain(c);
    const std::size_t first = dice_.one_in(4) ? 0 : look(c);
    if (first == chain.size()) return;
    const std::size_t n = 1 + dice_.below(std::min<std::size_t>(4, chain.size() - first));
    AllocateOptions options;
    if (dice_.one_in(2)) {
      options.when_full = WhenFull::kWait;
      options.timeout = 2ms;
    }
    auto slots = shared_.space->allocate(static_cast<std::uint32_t>(n), kNear, options);
    if (!slots.ok()) {
      EXPECT_TRUE(may_refuse(slots.status().code())) << slots.status().message();
      return;
    }
    HeldBlocks held{std::move(slots).value(), c, first};
    for (std::size_t i = 0; i < n; ++i) write_block(held.lease, i, chain[first + i]);
    shared_.known.add(chain.subspan(first, n));
    const Status status = shared_.space->publish(held.lease, chain.first(first + n), first);
    EXPECT_TRUE(status.ok()) << status.message();
    shared_.offered += n;
    EXPECT_TRUE(holds_right_bytes(held, family_));
    keep(std::move(held));
  }

  void keep(HeldBlocks held) {
    if (held.lease.size() == 0 || dice_.one_in(3)) return;
    if (held_.size() == kMostHeld) release_one();
    held_.push_back(std::move(held));
  }

  void release_one() {
    if (held_.empty()) return;
    const auto at = held_.begin() + static_cast<std::ptrdiff_t>(dice_.below(held_.size()));
    EXPECT_TRUE(holds_right_bytes(*at, family_));
    EXPECT_TRUE(at->lease.release().ok());
    held_.erase(at);
  }

  void drop() {
    const auto chain = family_.chain(dice_.below(Family::kChains));
    const auto keys = chain.subspan(dice_.below(chain.size()), 1);
    const Status status = shared_.space->drop(keys, dice_.one_in(2) ? kNoTier : kNear);
    EXPECT_TRUE(status.ok() || status.code() == Code::kBusy) << status.message();
  }

  Shared& shared_;
  const Family& family_;
  Dice dice_;
  std::vector<HeldBlocks> held_;
};

class SpaceModelThreads : public ::testing::TestWithParam<ModelCase> {};

TEST_P(SpaceModelThreads, NeverHandOutWrongBytesNorLoseASlot) {
  SCOPED_TRACE(::testing::PrintToString(GetParam()));
  Shared shared(GetParam());
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < kCallers; ++n) {
    threads.emplace_back([&shared, n] {
      Caller(shared, n).play();
      --shared.playing;
    });
  }
  if (shared.run.hangs) make_trouble(shared);
  for (std::thread& thread : threads) thread.join();
  if (shared.run.hangs) recover(shared);
  ASSERT_TRUE(shared.space->settle(20s).ok());
  EXPECT_TRUE(nothing_leaked(*shared.space));
  const Stats stats = shared.space->stats();
  std::uint64_t hits = 0;
  for (const TierStats& tier : stats.tiers) {
    hits += tier.hits;
    EXPECT_TRUE(tier.online || GetParam().goes()) << tier.name;
  }
  EXPECT_GE(hits, shared.leased.load());
  EXPECT_EQ(stats.published + stats.duplicates, shared.offered.load());
  for (std::size_t c = 0; c < Family::kChains; ++c) {
    const auto chain = shared.family.chain(c);
    EXPECT_TRUE(blocks_are(acquire_blocks(*shared.space, chain), chain));
  }
  ASSERT_TRUE(shared.space->settle(20s).ok());
  EXPECT_TRUE(nothing_leaked(*shared.space));
}

std::vector<ModelCase> cases() {
  std::vector<ModelCase> cases;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cases.push_back({seed, 16, {32}, "none", false});
    cases.push_back({seed, 8, {16, 64}, "none", false});
    cases.push_back({seed, 16, {32}, "error/7 late/3 full/31", false});
    cases.push_back({seed, 12, {16, 64}, "short/9 corrupt/11 late/4", false});
    cases.push_back({seed, 12, {16, 64}, "gone@120 error/13", false});
    cases.push_back({seed, 16, {32}, "none", false, true});
    cases.push_back({seed, 12, {16, 64}, "error/13", false, true});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Seeds, SpaceModelThreads, ::testing::ValuesIn(cases()));

}  // namespace
}  // namespace kelvin::testing
