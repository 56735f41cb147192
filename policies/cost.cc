// See cost.h.
#include "policies/cost.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "policies/indexed_heap.h"
#include "policies/ranked_policy.h"

namespace kelvin {
namespace {

constexpr std::array kKeys = {
    OptionSpec{.name = "attention_tokens",
               .type = OptionType::kInteger,
               .fallback = "32768",
               .reason = "the context at which attention costs as much as all else; 32768 fits an 8B model",
               .min = 1024,
               .max = 1e9},
};

class CostRanking {
 public:
  static constexpr bool kLeafFirst = false;

  explicit CostRanking(const RankingContext& context)
      : block_ns_(context.policy.space.block_tokens * 1e9 / context.policy.space.prefill_tokens_per_second),
        deeper_(static_cast<double>(context.policy.space.block_tokens) /
                static_cast<double>(context.options.integer("attention_tokens"))),
        uses_(context.blocks),
        heap_(context.blocks) {}

  void arrive(const View& /*view*/, const Event& event, const BlockState& state) noexcept {
    const std::uint32_t block = event.block.value;
    if (heap_.contains(block)) return;
    uses_[block] = 0;
    if (a_use_follows(event)) {
      heap_.set(block, rank_of(age_ + recompute_ns(state.depth)));
    } else {
      set_used(block, state);
    }
  }

  void use(const View& view, const Event& event) noexcept {
    if (heap_.contains(event.block.value)) set_used(event.block.value, view.block(event.block));
  }

  void leave(const View& /*view*/, BlockId block) noexcept {
    if (!heap_.contains(block.value)) return;
    age_ = std::max(age_, worth_of(heap_.rank(block.value)));
    heap_.remove(block.value);
  }

  bool worth(const View& view, const BlockState& state, TierIndex lower) const noexcept {
    return static_cast<double>(view.tiers()[lower.value].load_ns) < recompute_ns(state.depth);
  }

  void begin(const Budget& /*budget*/) noexcept { heap_.begin_walk(); }
  std::uint32_t next() noexcept { return heap_.take_least(); }
  void take(std::uint32_t /*block*/) noexcept {}
  void spare(std::uint32_t /*block*/) noexcept { heap_.rerank_taken(rank_of(most_)); }

 private:
  static constexpr std::uint32_t kMostUses = 1u << 20;

  // Of positive numbers the bits are in the order of the values.
  static std::uint64_t rank_of(double worth) noexcept { return std::bit_cast<std::uint64_t>(worth); }
  static double worth_of(std::uint64_t rank) noexcept { return std::bit_cast<double>(rank); }

  double recompute_ns(std::uint32_t depth) const noexcept { return block_ns_ * (1 + depth * deeper_); }

  // The blocks of a prefix come deepest first: each is worth more than the one after it.
  void set_used(std::uint32_t block, const BlockState& state) noexcept {
    uses_[block] = std::min(uses_[block] + 1, kMostUses);
    double worth = age_ + uses_[block] * recompute_ns(state.depth);
    if (BlockId(block) == expected_) worth = std::max(worth, std::nextafter(above_, kInfinite));
    heap_.set(block, rank_of(worth));
    most_ = std::max(most_, worth);
    above_ = worth;
    expected_ = state.parent;
  }

  static constexpr double kInfinite = std::numeric_limits<double>::infinity();

  const double block_ns_;            // one block at the beginning of a prompt
  const double deeper_;              // each block before it makes it longer by this share
  double age_ = 0;                   // worth of the last block that went
  double most_ = 0;                  // worth of the worthiest ever
  double above_ = 0;                 // worth of the block used last, on which
  BlockId expected_;                 // this one comes before
  std::vector<std::uint32_t> uses_;  // by block, since it came
  IndexedHeap heap_;                 // by worth
};

}  // namespace

const PolicyFactory kCostPolicy = {"cost", kKeys, make_ranked<CostRanking>};

}  // namespace kelvin
