// ToyPolicy: a hand goes round the blocks; what it meets in a tier that wants room goes one tier down, or
// away.
//
// Thread contract: that of Policy.
// Invariant: blocks_[b] has bit t exactly if an event said that block b has a copy in tier t.
#include <algorithm>
#include <optional>
#include <vector>

#include "tests/toy/toy.h"

namespace kelvin {
namespace {

class ToyPolicy final : public Policy {
 public:
  explicit ToyPolicy(const PolicyContext& context) : blocks_(context.blocks), hands_(context.tiers.size()) {}

  void observe(const View& /*view*/, std::span<const Event> events) noexcept override {
    for (const Event& event : events) {
      const bool came = event.kind == EventKind::kPublish || event.kind == EventKind::kArrive;
      if (came) blocks_[event.block.value] |= bit(event.tier);
      if (event.kind == EventKind::kLeave) blocks_[event.block.value] &= ~bit(event.tier);
      if (event.kind == EventKind::kForget) blocks_[event.block.value] = 0;
    }
  }

  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    std::size_t count = 0;
    for (std::uint8_t tier = 0; tier < hands_.size(); ++tier) {
      count += make_room(view, budget, TierIndex(tier), moves.subspan(count));
    }
    return count;
  }

 private:
  // Turns the tier's hand until enough is found, or it has gone round.
  std::size_t make_room(const View& view, const Budget& budget, TierIndex tier,
                        std::span<Move> moves) noexcept {
    const std::size_t wanted = std::min<std::size_t>(budget.want_free[tier.value], moves.size());
    std::uint32_t& hand = hands_[tier.value];
    std::uint32_t writes = 0;
    std::size_t count = 0;
    for (std::size_t step = 0; step < blocks_.size() && count < wanted; ++step) {
      const BlockId block(hand);
      hand = (hand + 1) % static_cast<std::uint32_t>(blocks_.size());
      if ((blocks_[block.value] & bit(tier)) == 0) continue;
      const auto move = send_away(view, budget, block, tier, writes);
      if (!move) continue;
      if (move->to) ++writes;
      moves[count++] = *move;
    }
    return count;
  }

  // The move that frees this block's slot in `tier`, if there is one.
  std::optional<Move> send_away(const View& view, const Budget& budget, BlockId id, TierIndex tier,
                                std::uint32_t writes) const noexcept {
    const BlockState block = view.block(id);
    if ((block.tiers & bit(tier)) == 0 || (block.leased & bit(tier)) != 0) return std::nullopt;
    const TierIndex lower(static_cast<std::uint8_t>(tier.value + 1));
    const bool has_lower = lower.value < hands_.size() && view.tiers()[lower.value].online;
    const bool elsewhere = (block.tiers & ~bit(tier)) != 0;
    const bool forgettable = block.children == 0 && (!has_lower || budget.may_forget);
    if (elsewhere || forgettable) return Move{.block = id, .from = tier, .to = kNoTier};
    if (!has_lower || budget.at_once || writes == budget.may_write[lower.value]) return std::nullopt;
    return Move{.block = id, .from = tier, .to = lower};
  }

  static constexpr std::uint32_t bit(TierIndex tier) noexcept { return 1U << tier.value; }

  std::vector<std::uint32_t> blocks_;  // by BlockId: the tiers it is in, one bit each
  std::vector<std::uint32_t> hands_;   // by tier: where its hand stands
};

Result<std::unique_ptr<Policy>> make(const PolicyContext& context, const Options& /*options*/,
                                     std::string* /*why*/) {
  return std::unique_ptr<Policy>(std::make_unique<ToyPolicy>(context));
}

}  // namespace

constinit const PolicyFactory kToyPolicy = {.name = "toy", .options = {}, .make = &make};

}  // namespace kelvin
