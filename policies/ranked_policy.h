// RankedPolicy: a policy that keeps one ranking of blocks for each tier, and what all such policies share:
// what becomes of a victim, in which order tiers are freed, and how adopted slots are saved.
//
// Victims are leaves: where a ranking names a block that others in the tier build on, those go first, from
// the end of a branch up to it. (None of them is of more use than it is: who uses them uses it.) What becomes
// of a victim: plan.h. Copies below stay when a block is promoted.
//
// Thread contract: that of Policy.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "kelvin/plugin.h"
#include "policies/branches.h"
#include "policies/plan.h"
#include "policies/unsaved.h"

namespace kelvin {

struct RankingContext {
  const PolicyContext& policy;
  const Options& options;
  std::uint32_t blocks = 0;  // every BlockId is below this
  std::uint32_t slots = 0;   // of the tier
};

// Published blocks are leased, and so are those that are loaded into the first tier: the end of that lease
// will be told as a use. (Whether they are leased now does not say: events are told late.)
inline bool a_use_follows(const Event& arrival) noexcept {
  return arrival.kind == EventKind::kPublish || arrival.tier == TierIndex(0);
}

// In which order the blocks of one tier are to go. A Ranking is a class with
//
//   explicit Ranking(const RankingContext&);
//   static constexpr bool kLeafFirst;
//       True: it never names a block before those that build on it in this tier.
//
//   void arrive(const View&, const Event&, const BlockState&);
//       A copy appeared in its tier. Where a_use_follows(event), that use is its first; else its arrival is.
//       May be told of a copy twice.
//   void use(const View&, const Event&);
//       A lease on the block ended, in any tier, whether this one has a copy or not. The blocks of one lease
//       come deepest first.
//   void leave(const View&, BlockId);
//       The copy is gone. May be told of a copy that it knows nothing of.
//
//   void begin(const Budget&);
//       Victims are wanted: calls of the next three follow.
//   std::uint32_t next();
//       The coldest that was not named since begin(); BlockId::kNone: no more, or the next newcomer is
//       colder than that.
//   void take(std::uint32_t block);
//       This one goes, for the next newcomer: what next() named, or one that builds on it.
//   void spare(std::uint32_t block);
//       What next() named last, or what builds on it, is in use now. At most once for each name.
//
// and, if it likes,
//
//   void after_lease(const View&, BlockId parent);
//       All blocks of a lease were used; `parent` comes before the first of them.
//   void pass(std::uint32_t block);
//       What next() named last is not in use, but has to be kept for now (BlockState::kept).
//   bool worth(const View&, const BlockState&, TierIndex lower) const;
//       False: drop the block rather than write it to `lower`.
template <class Ranking>
class RankedPolicy : public Policy {
 public:
  RankedPolicy(const PolicyContext& context, const Options& options) : count_(context.tiers.size()) {
    for (std::size_t t = 0; t < count_; ++t) {
      const TierInfo& info = *context.tiers[t];
      if (info.adopted) {
        tiers_[t].unsaved.emplace(context.blocks);
        continue;
      }
      tiers_[t].ranking.emplace(RankingContext{context, options, context.blocks, info.slots});
      if constexpr (!Ranking::kLeafFirst) tiers_[t].branches.emplace(context.blocks);
    }
  }

  void observe(const View& view, std::span<const Event> events) noexcept override {
    for (std::size_t i = 0; i < events.size(); ++i) {
      const Event& event = events[i];
      switch (event.kind) {
        case EventKind::kRelease:
          use(view, event, i + 1 < events.size() ? events[i + 1].block : BlockId{});
          break;
        case EventKind::kPublish:
        case EventKind::kArrive: arrive(view, event); break;
        case EventKind::kLeave: leave(view, event.block, tiers_[event.tier.value]); break;
        case EventKind::kForget:
          for (Tier& tier : in_use()) leave(view, event.block, tier);
          break;
        case EventKind::kHit:     // counts when the lease ends
        case EventKind::kExpect:  // rankings look back only
          break;
      }
    }
  }

  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    Plan plan{view, budget, moves};
    // Farthest first: what is freed there is what nearer tiers demote into.
    for (std::size_t t = count_; t-- > 0;) {
      const TierIndex tier(static_cast<std::uint8_t>(t));
      if (tiers_[t].ranking && budget.want_free[t] != 0) free_slots(plan, tier);
      if (tiers_[t].unsaved && !budget.at_once) tiers_[t].unsaved->save(plan, tier);
    }
    return plan.count;
  }

 private:
  struct Tier {
    std::optional<Ranking> ranking;        // none: adopted
    std::optional<Branches> branches;      // where the ranking is not leaf-first
    std::optional<UnsavedBlocks> unsaved;  // adopted
  };

  static constexpr std::uint32_t kScanPerSlot = 4;  // at once: blocks looked at for each slot wanted
  static constexpr std::uint32_t kScanAtLeast = 64;

  std::span<Tier> in_use() noexcept { return std::span(tiers_).first(count_); }

  void arrive(const View& view, const Event& event) noexcept {
    const BlockState state = view.block(event.block);
    Tier& tier = tiers_[event.tier.value];
    if (tier.branches) tier.branches->arrive(event.block.value, state.parent);
    if (tier.ranking) tier.ranking->arrive(view, event, state);
    if (tier.unsaved) tier.unsaved->arrive(event.block.value);
  }
  void use(const View& view, const Event& event, BlockId next) noexcept {
    for (Tier& tier : in_use()) {
      if (tier.ranking) tier.ranking->use(view, event);
      if (tier.branches) tier.branches->use(event.block.value);
    }
    if constexpr (requires(Ranking & ranking) { ranking.after_lease(view, next); }) {
      const BlockId parent = view.block(event.block).parent;
      if (!parent || parent == next) return;
      for (Tier& tier : in_use()) {
        if (tier.ranking) tier.ranking->after_lease(view, parent);
      }
    }
  }
  static void leave(const View& view, BlockId block, Tier& tier) noexcept {
    if (tier.branches) tier.branches->leave(block.value);
    if (tier.ranking) tier.ranking->leave(view, block);
    if (tier.unsaved) tier.unsaved->leave(block.value);
  }

  void free_slots(Plan& plan, TierIndex tier) noexcept {
    Tier& own = tiers_[tier.value];
    const std::size_t first = plan.count;
    Walk walk{plan, tier, plan.budget.want_free[tier.value]};
    go(walk);
    if (!own.branches) return;
    walk.breaks_up = true;
    if (plan.count == first && walk.held_up) go(walk);
    for (const Move& move : plan.moves.subspan(first, plan.count - first))
      own.branches->name(move.block.value, false);
  }

  struct Walk {
    Plan& plan;
    TierIndex tier;
    std::uint32_t wanted;
    bool held_up = false;    // something leased or kept builds on what might go
    bool breaks_up = false;  // that goes all the same: nothing else can
  };

  // Names victims until enough are found. `looks` bounds a walk in which hardly any can be had.
  void go(Walk& walk) noexcept {
    Ranking& ranking = *tiers_[walk.tier.value].ranking;
    const Budget& budget = walk.plan.budget;
    const bool only_clean = budget.at_once && !budget.may_forget;
    std::uint32_t looks = only_clean ? walk.wanted * kScanPerSlot + kScanAtLeast : BlockId::kNone;
    ranking.begin(budget);
    for (; walk.wanted != 0 && looks != 0 && !walk.plan.full(); --looks) {
      const std::uint32_t block = ranking.next();
      if (block == BlockId::kNone || !evict_branch(walk, block)) return;
    }
  }

  // Evicts `block` after what builds on it, as far as slots are wanted. False: nothing more for now.
  bool evict_branch(Walk& walk, std::uint32_t block) noexcept {
    Tier& own = tiers_[walk.tier.value];
    if (own.branches && own.branches->named(block)) return true;
    std::uint32_t victim = own.branches ? own.branches->end_of(block) : block;
    while (walk.wanted != 0 && !walk.plan.full()) {
      const BlockState state = walk.plan.view.block(BlockId(victim));
      if (!may_go(walk, state)) {
        const bool on_its_own = victim != block && walk.breaks_up;
        if (!on_its_own) tell_why_not(walk, block, state);
        walk.held_up = walk.held_up || victim != block;
        if (!on_its_own) return true;
        victim = block;
        continue;
      }
      const Verdict verdict = propose(walk.plan, walk.tier, BlockId(victim), state);
      if (verdict != Verdict::kProposed) return verdict != Verdict::kLowerBusy;
      --walk.wanted;
      own.ranking->take(victim);
      if (!own.branches) return true;
      own.branches->name(victim);
      if (victim == block || own.branches->is_built_on(state.parent.value)) return true;
      victim = state.parent.value;
    }
    return true;
  }

  static bool here(const Walk& walk, std::uint32_t tiers) noexcept {
    return (tiers >> walk.tier.value & 1) != 0;
  }
  static bool may_go(const Walk& walk, const BlockState& state) noexcept {
    return !here(walk, state.leased) && here(walk, state.tiers);
  }
  // `block` was named, and stays; `state` is its, or that of what builds on it. Told once for each name:
  // rankings count.
  void tell_why_not(const Walk& walk, std::uint32_t block, const BlockState& state) noexcept {
    Ranking& ranking = *tiers_[walk.tier.value].ranking;
    if (here(walk, state.kept)) {
      if constexpr (requires { ranking.pass(block); }) ranking.pass(block);
    } else if (here(walk, state.leased)) {
      ranking.spare(block);
    }
  }

  Verdict propose(Plan& plan, TierIndex tier, BlockId block, const BlockState& state) noexcept {
    const Ranking& ranking = *tiers_[tier.value].ranking;
    return evict(plan, tier, block, state, [&](TierIndex lower) {
      if constexpr (requires { ranking.worth(plan.view, state, lower); }) {
        return ranking.worth(plan.view, state, lower);
      } else {
        return true;
      }
    });
  }

  const std::size_t count_;
  std::array<Tier, kMaxTiers> tiers_;
};

// PolicyFactory::make for a ranked policy.
template <class Ranking>
Result<std::unique_ptr<Policy>> make_ranked(const PolicyContext& context, const Options& options,
                                            std::string* why) {
  try {
    return std::unique_ptr<Policy>(std::make_unique<RankedPolicy<Ranking>>(context, options));
  } catch (const std::bad_alloc&) {
    *why = "no memory for the policy's records of " + std::to_string(context.blocks) +
           " blocks: lower the tiers' capacity or space.max_blocks";
    return Status(Code::kFull, "making a policy");
  }
}

}  // namespace kelvin
