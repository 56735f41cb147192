// See lru2.h.
#include "policies/lru2.h"

#include <algorithm>
#include <array>
#include <limits>

#include "policies/ghosts.h"
#include "policies/indexed_heap.h"
#include "policies/newcomers.h"
#include "policies/ranked_policy.h"

namespace kelvin {
namespace {

constexpr std::array kKeys = {
    OptionSpec{.name = "history",
               .type = OptionType::kInteger,
               .fallback = "4",
               .reason = "blocks remembered after they are gone, for each slot of the tier; 32 bytes each",
               .min = 0,
               .max = 1024},
};

std::uint32_t history_of(const RankingContext& context) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max() / 2;
  const auto each = static_cast<std::uint64_t>(context.options.integer("history"));
  return static_cast<std::uint32_t>(std::min(kMost, each * context.slots));
}

class Lru2Ranking {
 public:
  static constexpr bool kLeafFirst = false;

  explicit Lru2Ranking(const RankingContext& context)
      : last_(context.blocks),
        heap_(context.blocks),
        gone_(history_of(context)),
        gone_last_(history_of(context)) {}

  void arrive(const View& /*view*/, const Event& event, const BlockState& state) noexcept {
    const std::uint32_t block = event.block.value;
    if (heap_.contains(block)) return;
    const std::uint32_t ghost = gone_.take(state.key);
    const std::uint64_t before = ghost == GhostLists::kNone ? 0 : gone_last_[ghost];
    last_[block] = before;
    ++now_;
    if (a_use_follows(event)) {
      heap_.set(block, rank(0, now_));  // until its lease ends
    } else {
      set_used(block);
    }
  }

  void use(const View& /*view*/, const Event& event) noexcept {
    if (!heap_.contains(event.block.value)) return;
    ++now_;
    set_used(event.block.value);
  }

  void leave(const View& view, BlockId block) noexcept {
    if (!heap_.contains(block.value)) return;
    heap_.remove(block.value);
    if (last_[block.value] != 0) remember(view.block(block).key, last_[block.value]);
  }

  void begin(const Budget& budget) noexcept {
    newcomers_.begin(budget);
    heap_.begin_walk();
  }
  std::uint32_t next() noexcept {
    const std::uint32_t coldest = heap_.least();
    const BlockKey* const newcomer = newcomers_.next();
    // The first of a request always finds room: what nobody admits is never seen twice.
    if (newcomer != nullptr && !newcomers_.granted().empty() && coldest != BlockId::kNone &&
        rank_of(*newcomer) < heap_.rank(coldest)) {
      newcomers_.refuse([this](const BlockKey& key) { remember(key, ++now_); });
      return BlockId::kNone;
    }
    return heap_.take_least();
  }
  void take(std::uint32_t /*block*/) noexcept { newcomers_.grant(); }
  void spare(std::uint32_t /*block*/) noexcept { heap_.rerank_taken(rank(now_, now_)); }

 private:
  static constexpr std::uint64_t kUsedTwice = std::uint64_t{1} << 63;

  // Those without a last but one use come first, in order of their last.
  static std::uint64_t rank(std::uint64_t last_but_one, std::uint64_t last) noexcept {
    return last_but_one == 0 ? last : kUsedTwice | last_but_one;
  }
  // What a block that is not here would have, used now.
  std::uint64_t rank_of(const BlockKey& key) const noexcept {
    const std::uint32_t ghost = gone_.find(key);
    return rank(ghost == GhostLists::kNone ? 0 : gone_last_[ghost], now_);
  }
  void set_used(std::uint32_t block) noexcept {
    heap_.set(block, rank(last_[block], now_));
    last_[block] = now_;
  }
  void remember(const BlockKey& key, std::uint64_t last) noexcept {
    const std::uint32_t ghost = gone_.push(key);
    if (ghost != GhostLists::kNone) gone_last_[ghost] = last;
  }

  std::uint64_t now_ = 0;            // counts uses
  std::vector<std::uint64_t> last_;  // by block: its last use; 0: none yet
  IndexedHeap heap_;                 // by the last but one
  GhostLists gone_;
  std::vector<std::uint64_t> gone_last_;  // by ghost: its last use
  Newcomers newcomers_;
};

}  // namespace

const PolicyFactory kLru2Policy = {"lru2", kKeys, make_ranked<Lru2Ranking>};

}  // namespace kelvin
