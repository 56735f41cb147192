// Policy "lru" beside a naive one on long random runs: the same victims, in the same order, and children
// before their parents.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

#include "policies/lru.h"
#include "policy_fixture.h"

namespace kelvin::testing {
namespace {

// The rules of policies/lru.h on time stamps: every use gets the next one, and the smallest goes first.
class NaiveLru {
 public:
  NaiveLru(const std::vector<BlockState>& blocks, std::size_t tiers) : blocks_(blocks), stamps_(tiers) {}

  void arrived(std::uint32_t block, std::size_t t, bool published) {
    if (stamps_[t].contains(block)) return;
    stamp(block, t);
    if (published) return;
    for (BlockId up = blocks_[block].parent; up && stamps_[t].contains(up.value) && !leased(up.value);
         up = blocks_[up.value].parent)
      stamp(up.value, t);
  }
  void released(const std::vector<std::uint32_t>& deepest_first) {
    for (const std::uint32_t block : deepest_first) used(block);
    for (BlockId up = blocks_[deepest_first.back()].parent; up && !leased(up.value);
         up = blocks_[up.value].parent)
      used(up.value);
  }
  void left(std::uint32_t block, std::size_t t) { stamps_[t].erase(block); }

  // What is leased is passed over, and counts as used if a victim was still looked for then.
  std::vector<Move> plan(const std::vector<std::uint32_t>& want,
                         const std::vector<std::uint32_t>& may_write) {
    std::vector<Move> moves;
    for (std::size_t t = stamps_.size(); t-- > 0;) {
      const bool last = t + 1 == stamps_.size();
      std::uint32_t wanted = want[t];
      std::uint32_t writes = last ? 0 : may_write[t + 1];
      for (const std::uint32_t block : oldest_first(t)) {
        if (wanted == 0) break;
        if ((blocks_[block].leased >> t & 1) != 0) {
          stamp(block, t);
          continue;
        }
        const bool drop = last || blocks_[block].tiers >> (t + 1) != 0;
        if (!drop && writes-- == 0) break;
        --wanted;
        const TierIndex from(static_cast<std::uint8_t>(t));
        moves.push_back({BlockId(block), from, drop ? kNoTier : TierIndex(static_cast<std::uint8_t>(t + 1))});
      }
    }
    return moves;
  }

 private:
  bool leased(std::uint32_t block) const { return blocks_[block].leased != 0; }
  void stamp(std::uint32_t block, std::size_t t) { stamps_[t][block] = ++now_; }
  void used(std::uint32_t block) {
    for (std::size_t t = 0; t < stamps_.size(); ++t) {
      if (stamps_[t].contains(block)) stamp(block, t);
    }
  }
  std::vector<std::uint32_t> oldest_first(std::size_t t) const {
    std::vector<std::uint32_t> blocks;
    for (const auto& [block, when] : stamps_[t]) blocks.push_back(block);
    std::sort(blocks.begin(), blocks.end(),
              [&](std::uint32_t a, std::uint32_t b) { return stamps_[t].at(a) < stamps_[t].at(b); });
    return blocks;
  }

  const std::vector<BlockState>& blocks_;
  std::vector<std::map<std::uint32_t, std::uint64_t>> stamps_;  // by tier: block, last use there
  std::uint64_t now_ = 0;
};

class LruReference : public PolicyFixture {
 protected:
  static constexpr std::uint32_t kChains = 12;
  static constexpr std::uint32_t kTrunk = 3;   // blocks that the chains of one tree share
  static constexpr std::uint32_t kLength = 8;  // with them

  void start(std::size_t tiers) {
    begin(kLruPolicy, tiers);
    naive_ = std::make_unique<NaiveLru>(view_.blocks_, tiers);
    tiers_ = tiers;
    for (std::uint32_t c = 0; c < kChains; ++c) {
      const Ids ids = chain(c);
      for (std::size_t i = 1; i < ids.size(); ++i) state(ids[i]).parent = BlockId(ids[i - 1]);
    }
  }

  // Three chains share a trunk.
  static Ids chain(std::uint32_t c) {
    Ids ids;
    for (std::uint32_t i = 0; i < kLength; ++i) ids.push_back((i < kTrunk ? c / 3 * 3 : c) * 100 + i);
    return ids;
  }

  void put(std::uint32_t block, std::size_t t, bool published) {
    if (published) publish({block}, static_cast<std::uint8_t>(t));
    if (!published) arrive({block}, static_cast<std::uint8_t>(t));
    naive_->arrived(block, t, published);
  }
  void take(std::uint32_t block, std::size_t t) {
    leave({block}, static_cast<std::uint8_t>(t));
    naive_->left(block, t);
    if (state(block).tiers == 0) tell(EventKind::kForget, {block}, TierIndex::kNone);
  }

  // A prompt: what is known of a chain is leased in tier 0, the rest is made there.
  void open(std::uint32_t c) {
    if (open_[c]) return;
    for (const std::uint32_t block : chain(c)) {
      if (++holders_[block] == 1) lease({block}, 0);
      if ((state(block).tiers & 1) == 0) put(block, 0, state(block).tiers == 0);
    }
    open_[c] = true;
  }
  // The lease on what was known and the one on what was made end one after the other, in any order.
  void close(std::uint32_t c, std::mt19937& random) {
    if (!open_[c]) return;
    const Ids ids = chain(c);
    const auto split = static_cast<std::ptrdiff_t>(random() % (kLength + 1));
    Ids known(ids.begin(), ids.begin() + split);
    Ids fresh(ids.begin() + split, ids.end());
    if (random() % 2 == 0) std::swap(known, fresh);
    end_lease(fresh);
    end_lease(known);
    open_[c] = false;
  }
  void end_lease(Ids deepest_first) {
    if (deepest_first.empty()) return;
    std::reverse(deepest_first.begin(), deepest_first.end());
    release(deepest_first, 0);
    naive_->released(deepest_first);
    for (const std::uint32_t block : deepest_first) {
      if (--holders_[block] == 0) unlease({block});
    }
  }

  // A leaf of its tier: nothing that builds on it is there, but for what is leased or leaves with it.
  bool is_leaf(const Move& move, const std::vector<Move>& moves) {
    for (std::uint32_t block = 0; block < kChains * 100; ++block) {
      if (state(block).parent != move.block || (state(block).tiers >> move.from.value & 1) == 0) continue;
      const bool leaves = std::any_of(moves.begin(), moves.end(), [&](const Move& other) {
        return other.block == BlockId(block) && other.from == move.from;
      });
      if (!leaves && state(block).leased == 0) return false;
    }
    return true;
  }

  void make_room(std::mt19937& random) {
    for (std::size_t t = 0; t < tiers_; ++t) {
      want_[t] = random() % 3 == 0 ? static_cast<std::uint32_t>(random() % 6) : 0;
      may_write_[t] = static_cast<std::uint32_t>(random() % 5);
    }
    std::vector<Move> moves = plan();
    const std::vector<Move> expected = naive_->plan(want_, may_write_);
    ASSERT_EQ(moves.size(), expected.size());
    for (std::size_t i = 0; i < moves.size(); ++i) {
      ASSERT_EQ(moves[i].block, expected[i].block) << i;
      ASSERT_EQ(moves[i].from, expected[i].from) << i;
      ASSERT_EQ(moves[i].to, expected[i].to) << i;
      ASSERT_TRUE(is_leaf(moves[i], moves))
          << moves[i].block.value << " of tier " << int{moves[i].from.value};
    }
    proposed_ += moves.size();
    std::shuffle(moves.begin(), moves.end(), random);  // copies overtake each other
    for (const Move& move : moves) {
      if (move.to) put(move.block.value, move.to.value, false);
      take(move.block.value, move.from.value);
    }
  }

  void run(std::size_t tiers, std::uint32_t seed) {
    start(tiers);
    std::mt19937 random(seed);
    for (int step = 0; step < 3000 && !HasFatalFailure(); ++step) {
      const auto c = static_cast<std::uint32_t>(random() % kChains);
      if (random() % 3 == 0) open(c);
      if (random() % 3 == 0) close(c, random);
      if (random() % 2 == 0) make_room(random);
    }
    EXPECT_GT(proposed_, 1000u);
  }

  std::unique_ptr<NaiveLru> naive_;
  std::size_t tiers_ = 0;
  std::array<bool, kChains> open_{};
  std::map<std::uint32_t, int> holders_;
  std::uint64_t proposed_ = 0;
};

TEST_F(LruReference, AgreesOverOneTier) { run(1, 1); }
TEST_F(LruReference, AgreesOverTwoTiers) { run(2, 2); }
TEST_F(LruReference, AgreesOverThreeTiers) { run(3, 3); }

}  // namespace
}  // namespace kelvin::testing
