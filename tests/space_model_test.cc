// Random operations, one thread, virtual time: checked against a map, and the same each time they are run.
#include "space_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "kelvin/space.h"

namespace kelvin::testing {
namespace {

constexpr int kSteps = 1500;
constexpr std::size_t kMostHeld = 4;

class ModelRun {
 public:
  explicit ModelRun(const ModelCase& run) : run_(run), dice_(run.seed) {
    Parts parts;
    if (run.hangs) parts = faults_.parts();
    // Each look at the clock takes a microsecond: time passes, and in the same way every time.
    parts.clock = [this] { return now_ += 1000; };
    space_ = open_space(config_of_case(run, 0), std::move(parts));
  }

  // What was seen, step by step, and the final stats.
  std::string play() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      one_step();
    }
    finish();
    return seen_.str();
  }

 private:
  void one_step() {
    switch (dice_.below(10)) {
      case 0: look(dice_.below(Family::kChains)); break;
      case 1:
      case 2:
      case 3: acquire(); break;
      case 4:
      case 5: publish(); break;
      case 6:
      case 7: release_one(); break;
      case 8: drop(); break;
      default: idle(); break;
    }
  }

  std::size_t look(std::size_t c) {
    const auto chain = family_.chain(c);
    const Match match = space_->match(chain);
    std::size_t sum = 0;
    for (const std::uint32_t n : match.in_tier) sum += n;
    EXPECT_EQ(sum, match.blocks);
    const std::size_t known = known_.prefix(chain);
    EXPECT_LE(match.blocks, known) << "chain " << c;
    if (run_.exact) {
      EXPECT_EQ(match.blocks, known) << "chain " << c;
    }
    for (const HeldBlocks& held : held_) {
      EXPECT_GE(match.blocks, must_be_known(held, c, run_)) << "chain " << c << ": leased, hence known";
    }
    seen_ << 'm' << match.blocks;
    return match.blocks;
  }

  void acquire() {
    const std::size_t c = dice_.below(Family::kChains);
    const std::size_t found = look(c);
    // What a link writes below is seen to be corrupt when it is read: there is no telling before.
    const std::size_t tiers = run_.corrupts() ? 1 : 1 + run_.lower_slots.size();
    const TierIndex tier(static_cast<std::uint8_t>(dice_.one_in(4) ? dice_.below(tiers) : 0));
    auto ticket = space_->acquire(family_.chain(c), tier);
    ASSERT_TRUE(ticket.ok()) << ticket.status().message();
    found_ += found;
    if (dice_.one_in(8)) {  // given up at once
      seen_ << "a-";
      return;
    }
    const Status status = ticket->wait(20s);
    ASSERT_TRUE(ticket->done()) << status.message();
    HeldBlocks held{ticket->take(), c, 0, true};
    if (status.ok()) {
      EXPECT_EQ(held.lease.size(), found) << "all that is known, or a reason";
    } else {
      EXPECT_LT(held.lease.size(), found) << status.message();
      const bool fails = run_.faults != "none" || run_.hangs || status.code() == Code::kFull;
      EXPECT_TRUE(fails) << status.message();
    }
    EXPECT_TRUE(holds_right_bytes(held, family_));
    seen_ << 'a' << held.lease.size() << code_name(status.code());
    keep(std::move(held));
  }

  void publish() {
    const std::size_t c = dice_.below(Family::kChains);
    const auto chain = family_.chain(c);
    const std::size_t first = dice_.one_in(4) ? 0 : look(c);
    if (first == chain.size()) return;
    const std::size_t n = 1 + dice_.below(chain.size() - first);
    AllocateOptions options;
    if (dice_.one_in(2)) {
      options.when_full = WhenFull::kWait;
      options.timeout = 20s;
    }
    auto slots = space_->allocate(static_cast<std::uint32_t>(n), kNear, options);
    seen_ << 'p' << code_name(slots.status().code());
    if (!slots.ok()) {
      EXPECT_TRUE(may_refuse(slots.status().code())) << slots.status().message();
      EXPECT_FALSE(run_.exact && held_.empty()) << slots.status().message();
      return;
    }
    HeldBlocks held{std::move(slots).value(), c, first};
    if (dice_.one_in(10)) return;  // nothing came of it
    for (std::size_t i = 0; i < n; ++i) write_block(held.lease, i, chain[first + i]);
    known_.add(chain.subspan(first, n));
    const Status status = space_->publish(held.lease, chain.first(first + n), first);
    EXPECT_TRUE(status.ok()) << status.message();
    offered_ += n;
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
    if (run_.exact) {
      if (!held_.empty()) return;
      ASSERT_TRUE(space_->settle(20s).ok());
    }
    const auto chain = family_.chain(dice_.below(Family::kChains));
    const auto keys = chain.subspan(dice_.below(chain.size()), 1);
    const bool all = run_.exact || dice_.one_in(2);
    const Status status = space_->drop(keys, all ? kNoTier : kNear);
    EXPECT_TRUE(status.ok() || status.code() == Code::kBusy) << status.message();
    if (run_.exact) {
      EXPECT_TRUE(status.ok()) << status.message();
    }
    if (all && status.ok()) known_.drop(keys);
    seen_ << 'd' << code_name(status.code());
  }

  void idle() {
    if (run_.hangs) trouble();
    if (dice_.one_in(8)) {
      EXPECT_TRUE(space_->settle(20s).ok());
      EXPECT_TRUE(only_strays_are_missing(*space_));
    }
    space_->expect(family_.chain(dice_.below(Family::kChains)), 1ms);
    for (std::size_t n = dice_.below(4); n > 0; --n) {
      const auto did = space_->poll();
      ASSERT_TRUE(did.ok());
      seen_ << 'i' << *did;
    }
    now_ += 1000 * dice_.below(200);
  }

  void trouble() {
    switch (dice_.below(6)) {
      case 0:
      case 1: hang_some_link(faults_, run_, dice_); break;
      case 2: faults_.clear(); break;
      case 3: {
        const TierIndex tier(static_cast<std::uint8_t>(1 + dice_.below(run_.lower_slots.size())));
        seen_ << 'b' << code_name(space_->bring_back(tier).code());
        break;
      }
      default: now_ += 1000 * dice_.below(1000); break;
    }
  }

  // All that hangs comes round, and every tier can be had again.
  void recover() {
    faults_.clear();
    std::uint64_t in_flight = 1;
    for (int i = 0; i < 10'000 && in_flight != 0; ++i) {
      ASSERT_TRUE(space_->poll().ok());
      in_flight = 0;
      for (const LinkStats& link : space_->stats().links) in_flight += link.in_flight;
    }
    EXPECT_EQ(in_flight, 0u);
    ASSERT_TRUE(space_->settle(20s).ok());
    for (std::uint8_t t = 1; t < space_->tier_count(); ++t) {
      const Code code = space_->bring_back(TierIndex(t)).code();
      EXPECT_TRUE(code == Code::kOk || code == Code::kMisuse) << code_name(code);
    }
    std::uint64_t went_offline = 0;
    for (const TierStats& tier : space_->stats().tiers) {
      EXPECT_TRUE(tier.online);
      EXPECT_EQ(tier.went_offline, tier.came_back) << tier.name;
      went_offline += tier.went_offline;
    }
    EXPECT_GT(went_offline, 0u) << "nothing ever hung";
  }

  void finish() {
    while (!held_.empty()) release_one();
    if (run_.hangs) recover();
    ASSERT_TRUE(space_->settle(20s).ok());
    EXPECT_TRUE(nothing_leaked(*space_));
    const Stats stats = space_->stats();
    std::uint64_t hits = 0;
    for (const TierStats& tier : stats.tiers) {
      hits += tier.hits;
      EXPECT_EQ(tier.online || run_.goes(), true) << tier.name;
      seen_ << '\n'
            << tier.name << ' ' << tier.free << ' ' << tier.resident << ' ' << tier.quarantined << ' '
            << tier.hits << ' ' << tier.dropped_clean << ' ' << tier.dropped_last << ' '
            << tier.dropped_corrupt;
    }
    EXPECT_EQ(hits, found_) << "each block found by an acquire is one hit";
    EXPECT_EQ(stats.published + stats.duplicates, offered_);
    for (const LinkStats& link : stats.links) {
      seen_ << '\n'
            << link.name << ' ' << link.copies << ' ' << link.bytes << ' ' << link.failures << ' '
            << link.retries << ' ' << link.corrupt << ' ' << link.latency_ns << ' ' << link.bytes_per_second;
    }
    seen_ << '\n'
          << stats.blocks << ' ' << stats.published << ' ' << stats.duplicates << ' ' << stats.load_failures
          << ' ' << stats.moves_refused << ' ' << now_;
    for (std::size_t c = 0; c < Family::kChains; ++c) look(c);
  }

  const ModelCase run_;
  const Family family_;
  Dice dice_;
  std::uint64_t now_ = 1'000'000'000;
  Known known_;
  Faults faults_;
  std::unique_ptr<Space> space_;
  std::vector<HeldBlocks> held_;
  std::uint64_t found_ = 0;
  std::uint64_t offered_ = 0;
  std::ostringstream seen_;
};

class SpaceModel : public ::testing::TestWithParam<ModelCase> {};

TEST_P(SpaceModel, AgreesWithAMapAndIsTheSameEveryTime) {
  SCOPED_TRACE(::testing::PrintToString(GetParam()));
  const std::string first = ModelRun(GetParam()).play();
  if (HasFailure()) return;
  const std::string second = ModelRun(GetParam()).play();
  EXPECT_EQ(first.substr(first.find('\n')), second.substr(second.find('\n'))) << "the stats differ";
  EXPECT_TRUE(first == second) << "what was seen differs";
  ModelCase other = GetParam();
  other.seed += 1000;
  EXPECT_NE(first, ModelRun(other).play()) << "the seed makes no difference";
}

std::vector<ModelCase> cases() {
  std::vector<ModelCase> cases;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    cases.push_back({seed, 16, {32}, "none", false});
    cases.push_back({seed, 12, {16, 64}, "none", false});
    cases.push_back({seed, 2 * Family::kBlocks, {8}, "none", true});
    cases.push_back({seed, 16, {32}, "error/7 late/3 full/31", false});
    cases.push_back({seed, 12, {16, 64}, "short/9 corrupt/11 late/4", false});
    cases.push_back({seed, 12, {16, 64}, "gone@120 error/13", false});
  }
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    cases.push_back({seed, 16, {32}, "none", false, true});
    cases.push_back({seed, 12, {16, 64}, "error/13", false, true});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Seeds, SpaceModel, ::testing::ValuesIn(cases()));

}  // namespace
}  // namespace kelvin::testing
