// See lru.h.
#include "policies/lru.h"

#include <bit>
#include <new>
#include <vector>

namespace kelvin {
namespace {

constexpr std::uint32_t kNone = BlockId::kNone;
constexpr std::uint32_t kScanPerSlot = 4;  // at once: blocks looked at for each slot wanted
constexpr std::uint32_t kScanAtLeast = 64;
constexpr std::uint32_t kLooksAside = 64;  // at blocks that stand aside, each plan
constexpr int kStepsUp = 256;  // on arrival: copies overtake each other by no more than links are deep

// Blocks in order of use; 8 bytes a block. Those that plans may not take for now stand aside, in
// the same order and all of them older than the others, so that plans need not pass them by each time.
class RecencyList {
 public:
  explicit RecencyList(std::uint32_t blocks) : links_(blocks) {}

  bool contains(std::uint32_t block) const noexcept { return links_[block].listed(); }
  std::uint32_t oldest() const noexcept { return used_.oldest; }
  std::uint32_t newest() const noexcept { return used_.newest; }
  std::uint32_t newer_than(std::uint32_t block) const noexcept { return links_[block].newer; }

  void remove(std::uint32_t block) noexcept {
    Links& own = links_[block];
    if (!own.listed()) return;
    if (hand_ == block) hand_ = own.newer;
    // Only at an end does it matter in which order it stands, and there it can be seen.
    if (own.newer != kNone) {
      links_[own.newer].older = own.older;
    } else {
      (used_.newest == block ? used_ : aside_).newest = own.older;
    }
    if (own.older != kNone) {
      links_[own.older].newer = own.newer;
    } else {
      (used_.oldest == block ? used_ : aside_).oldest = own.newer;
    }
    own = Links{};
  }
  void touch(std::uint32_t block) noexcept {
    if (used_.newest == block) return;
    remove(block);
    append(used_, block);
  }
  // Precondition: it is the oldest of those that do not stand aside.
  void set_aside(std::uint32_t block) noexcept {
    remove(block);
    append(aside_, block);
  }

  std::uint32_t oldest_aside() const noexcept { return aside_.oldest; }
  // The hand goes round those that stand aside, from the oldest to the newest. kNone: none does.
  std::uint32_t hand() noexcept { return hand_ = hand_ == kNone ? aside_.oldest : hand_; }
  void turn_hand() noexcept { hand_ = hand_ == kNone ? kNone : links_[hand_].newer; }

 private:
  struct Ends {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
  };
  void append(Ends& ends, std::uint32_t block) noexcept {
    links_[block] = {ends.newest, kNone};
    (ends.newest == kNone ? ends.oldest : links_[ends.newest].newer) = block;
    ends.newest = block;
  }
  struct Links {
    std::uint32_t older = kUnlisted;
    std::uint32_t newer = kUnlisted;
    static constexpr std::uint32_t kUnlisted = kNone - 1;
    bool listed() const noexcept { return older != kUnlisted; }
  };
  std::vector<Links> links_;
  Ends used_;
  Ends aside_;
  std::uint32_t hand_ = kNone;
};

class Lru final : public Policy {
 public:
  explicit Lru(const PolicyContext& context) : lists_(context.tiers.size(), RecencyList(context.blocks)) {}

  void observe(const View& view, std::span<const Event> events) noexcept override;
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override;

 private:
  struct Plan {
    const View& view;
    const Budget& budget;
    std::span<Move> moves;
    std::size_t count = 0;
    std::uint32_t written[kMaxTiers] = {};
    bool full() const noexcept { return count == moves.size(); }
  };

  enum class Verdict : std::uint8_t { kProposed, kNotNow, kLowerBusy };

  void touch(std::uint32_t block) noexcept;
  void touch_ancestors(const View& view, BlockId parent) noexcept;
  void arrive(const View& view, const Event& event) noexcept;
  void free_slots(Plan& plan, TierIndex tier) noexcept;
  bool free_aside(Plan& plan, TierIndex tier, std::uint32_t& wanted, bool all) noexcept;
  Verdict try_aside(Plan& plan, TierIndex tier, std::uint32_t block) noexcept;
  Verdict evict(Plan& plan, TierIndex tier, std::uint32_t block, const BlockState& state) noexcept;
  void save_adopted(Plan& plan, TierIndex tier) noexcept;
  static TierIndex below(const Plan& plan, TierIndex tier) noexcept;

  std::vector<RecencyList> lists_;  // by tier
};

// Touches the block in every tier that holds it, so that recency is one and the same everywhere.
void Lru::touch(std::uint32_t block) noexcept {
  for (RecencyList& list : lists_) {
    if (list.contains(block)) list.touch(block);
  }
}

// The blocks before the shallowest of a lease: normally the lease on them ends next. If nobody holds them any
// more it ended before: their turn again, up to the root, so that they stay more recent than their children.
void Lru::touch_ancestors(const View& view, BlockId parent) noexcept {
  while (parent) {
    const BlockState state = view.block(parent);
    if (state.leased != 0) return;
    touch(parent.value);
    parent = state.parent;
  }
}

// A copy is new in its tier, and so goes behind all others there; but for the blocks it builds on, where they
// arrived before it: copies overtake each other on the way. Those in use have their turn when their lease
// ends.
void Lru::arrive(const View& view, const Event& event) noexcept {
  RecencyList& list = lists_[event.tier.value];
  if (list.contains(event.block.value)) return;
  list.touch(event.block.value);
  BlockId parent = view.block(event.block).parent;
  for (int steps = 0; parent && list.contains(parent.value) && steps < kStepsUp; ++steps) {
    const BlockState state = view.block(parent);
    if (state.leased != 0) return;
    list.touch(parent.value);
    parent = state.parent;
  }
}

void Lru::observe(const View& view, std::span<const Event> events) noexcept {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Event& event = events[i];
    switch (event.kind) {
      case EventKind::kRelease: {
        lists_[event.tier.value].touch(event.block.value);
        touch(event.block.value);
        const BlockId parent = view.block(event.block).parent;
        const bool parent_is_next = i + 1 < events.size() && events[i + 1].block == parent;
        if (!parent_is_next) touch_ancestors(view, parent);
        break;
      }
      case EventKind::kPublish:  // its lease's end puts it in order
        if (!lists_[event.tier.value].contains(event.block.value))
          lists_[event.tier.value].touch(event.block.value);
        break;
      case EventKind::kArrive: arrive(view, event); break;
      case EventKind::kLeave: lists_[event.tier.value].remove(event.block.value); break;
      case EventKind::kForget:
        for (RecencyList& list : lists_) list.remove(event.block.value);
        break;
      case EventKind::kHit:     // counts when the lease ends
      case EventKind::kExpect:  // LRU looks back only
        break;
    }
  }
}

std::size_t Lru::plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept {
  Plan plan{view, budget, moves};
  // Farthest first: what is freed there is what nearer tiers demote into.
  for (std::size_t t = lists_.size(); t-- > 0;) {
    const TierIndex tier(static_cast<std::uint8_t>(t));
    if (budget.want_free[t] != 0) free_slots(plan, tier);
    if (view.tiers()[t].info->adopted && !budget.at_once) save_adopted(plan, tier);
  }
  return plan.count;
}

void Lru::free_slots(Plan& plan, TierIndex tier) noexcept {
  RecencyList& list = lists_[tier.value];
  std::uint32_t wanted = plan.budget.want_free[tier.value];
  const std::size_t before = plan.count;
  if (list.oldest_aside() != kNone && !free_aside(plan, tier, wanted, false)) return;
  const bool only_clean = plan.budget.at_once && !plan.budget.may_forget;
  std::uint32_t looks = only_clean ? wanted * kScanPerSlot + kScanAtLeast : kNone;
  const std::uint32_t last = list.newest();  // what is touched on the way comes behind it
  for (std::uint32_t block = list.oldest(); block != kNone && wanted != 0 && looks != 0 && !plan.full();
       --looks) {
    const std::uint32_t next = block == last ? kNone : list.newer_than(block);
    const BlockState state = plan.view.block(BlockId(block));
    const std::uint32_t bit = 1u << tier.value;
    if ((state.kept & bit) != 0 && list.oldest() == block) {
      list.set_aside(block);
    } else if ((state.kept & bit) != 0) {
      // Behind what this plan proposes: the next one finds it in front.
    } else if ((state.leased & bit) != 0) {
      list.touch(block);  // in use now: nothing is more recent
    } else if ((state.tiers & bit) != 0) {
      const Verdict verdict = evict(plan, tier, block, state);
      if (verdict == Verdict::kLowerBusy) return;
      if (verdict == Verdict::kProposed) --wanted;
    }
    block = next;
  }
  if (wanted != 0 && plan.count == before && !only_clean && list.oldest_aside() != kNone)
    free_aside(plan, tier, wanted, true);
}

// What stood aside and may go again is older than all else. Looks at the oldest until some in a row may not
// go, then at some where the hand is, which finds others in time. `all`: looks at each, for nothing else will
// do. False: the lower tier takes no more for now.
bool Lru::free_aside(Plan& plan, TierIndex tier, std::uint32_t& wanted, bool all) noexcept {
  RecencyList& list = lists_[tier.value];
  const std::size_t before = plan.count;
  std::uint32_t looks = all ? kNone : kLooksAside;
  for (std::uint32_t block = list.oldest_aside(); block != kNone && wanted != 0 && looks != 0 && !plan.full();
       block = list.newer_than(block)) {
    switch (try_aside(plan, tier, block)) {
      case Verdict::kLowerBusy: return false;
      case Verdict::kProposed:
        --wanted;
        if (!all) looks = kLooksAside;
        break;
      case Verdict::kNotNow: --looks; break;
    }
  }
  if (all || plan.count != before) return true;
  const std::uint32_t first = list.hand();
  for (looks = kLooksAside; wanted != 0 && looks != 0 && !plan.full(); --looks) {
    const Verdict verdict = try_aside(plan, tier, list.hand());
    if (verdict == Verdict::kLowerBusy) return false;
    if (verdict == Verdict::kProposed) --wanted;
    list.turn_hand();
    if (list.hand() == first) break;
  }
  return true;
}

Lru::Verdict Lru::try_aside(Plan& plan, TierIndex tier, std::uint32_t block) noexcept {
  const BlockState state = plan.view.block(BlockId(block));
  const bool free = (state.leased >> tier.value & 1) == 0 && (state.tiers >> tier.value & 1) != 0;
  return free ? evict(plan, tier, block, state) : Verdict::kNotNow;
}

Lru::Verdict Lru::evict(Plan& plan, TierIndex tier, std::uint32_t block, const BlockState& state) noexcept {
  const std::uint32_t copies_below = state.tiers >> tier.value >> 1;
  const TierIndex lower = below(plan, tier);
  const bool no_way = !lower || (plan.budget.spent >> lower.value & 1) != 0;
  const bool drop = copies_below != 0 || no_way || (plan.budget.at_once && plan.budget.may_forget);
  if (!drop) {
    if (plan.budget.at_once) return Verdict::kNotNow;
    if (plan.written[lower.value] >= plan.budget.may_write[lower.value]) return Verdict::kLowerBusy;
    ++plan.written[lower.value];
  }
  plan.moves[plan.count++] = {BlockId(block), tier, drop ? kNoTier : lower, false, Urgency::kWriteBehind};
  return Verdict::kProposed;
}

// The list of an adopted tier holds what has no copy below yet, and forgets what has.
void Lru::save_adopted(Plan& plan, TierIndex tier) noexcept {
  const TierIndex lower = below(plan, tier);
  if (!lower) return;
  RecencyList& list = lists_[tier.value];
  for (std::uint32_t block = list.oldest(); block != kNone && !plan.full();) {
    if (plan.written[lower.value] >= plan.budget.may_write[lower.value]) return;
    const std::uint32_t next = list.newer_than(block);
    const BlockState state = plan.view.block(BlockId(block));
    if (state.tiers >> tier.value >> 1 != 0) {
      list.remove(block);
    } else if ((state.tiers >> tier.value & 1) != 0) {
      ++plan.written[lower.value];
      plan.moves[plan.count++] = {BlockId(block), tier, lower, true, Urgency::kWriteBehind};
    }
    block = next;
  }
}

// The next tier down that is in use and that Kelvin may fill.
TierIndex Lru::below(const Plan& plan, TierIndex tier) noexcept {
  const std::span<const TierState> tiers = plan.view.tiers();
  for (std::size_t t = tier.value + 1u; t < tiers.size(); ++t) {
    if (tiers[t].online && !tiers[t].info->adopted) return TierIndex(static_cast<std::uint8_t>(t));
  }
  return kNoTier;
}

Result<std::unique_ptr<Policy>> make_lru(const PolicyContext& context, const Options& /*options*/,
                                         std::string* why) {
  try {
    return std::unique_ptr<Policy>(std::make_unique<Lru>(context));
  } catch (const std::bad_alloc&) {
    *why = "policy lru: no memory for " + std::to_string(context.blocks) + " blocks";
    return Status(Code::kFull, "making a policy");
  }
}

}  // namespace

const PolicyFactory kLruPolicy = {"lru", {}, make_lru};

}  // namespace kelvin
