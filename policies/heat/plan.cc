// What a heat policy proposes: see policy.h.
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "policies/heat/policy.h"

namespace kelvin::heat {
namespace {

constexpr float kKept = 1e20F;              // above every heat: last victims
constexpr float kPriorityOctave = 8;        // priorities that double heat
constexpr float kRecent = 0.02F;            // weight of the newest victim in a tier's bar
constexpr std::size_t kMostPassed = 512;    // blocks set aside in one plan
constexpr std::uint32_t kAhead = 16;        // leaves whose memory is being loaded at once
constexpr std::size_t kLooks = 512;         // at once: copies looked at when no leaf will do
constexpr std::size_t kLooksDeeper = 4096;  // and after one was found that others build on
constexpr float kQuadraticTokens = 40'000;  // prompt at which attention costs as much as all the rest

}  // namespace

namespace {

std::size_t nearest_of(const Settings& settings) noexcept {
  return static_cast<std::size_t>(std::ranges::find(settings.adopted, false) - settings.adopted.begin());
}

}  // namespace

HeatPolicy::HeatPolicy(const Settings& settings)
    : sample_(settings.sample),
      use_hints_(settings.use_hints),
      by_seconds_(settings.by_seconds),
      write_worth_(settings.write_worth),
      block_tokens_(settings.block_tokens),
      prefetch_(settings.prefetch && nearest_of(settings) + 1 < settings.slots.size()),
      nearest_(nearest_of(settings)),
      blocks_(settings.blocks),
      requests_(settings.requests, settings.rates),
      ghosts_(settings.ghosts),
      promotions_(settings.slots.size() > 1 ? kMostPromotions : 0) {
  tiers_.reserve(settings.slots.size());
  for (std::size_t t = 0; t < settings.slots.size(); ++t) {
    Tier& tier = tiers_.emplace_back(settings.slots[t], settings.blocks);
    if (t < settings.adopted.size() && settings.adopted[t]) tier.unsaved.resize(settings.slots[t]);
  }
  passed_.reserve(kMostPassed);
  if (settings.slots.size() > 1) chain_.reserve(kMostAtOnce);
}

std::uint64_t HeatPolicy::request_bytes() const noexcept {
  return std::uint64_t{requests_.capacity()} * sizeof(Request);
}

std::uint64_t HeatPolicy::block_bytes() const noexcept {
  std::uint64_t bytes = blocks_.size() * sizeof(Block);
  for (const Tier& tier : tiers_) bytes += tier.copies.bytes() + tier.unsaved.size() * sizeof(std::uint32_t);
  return bytes;
}

// One that wants nothing, as a mover's thread asks for at any time, in the middle of a request too, changes
// nothing: what was learned must not depend on it.
std::size_t HeatPolicy::plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept {
  begin_admission(budget.newcomers, budget.now_ns);
  Plan plan{view, budget, moves};
  // Farthest first: what is freed there is what nearer tiers demote into.
  for (std::size_t t = tiers_.size(); t-- > 0;) {
    const TierIndex tier(static_cast<std::uint8_t>(t));
    if (budget.want_free[t] != 0) free_slots(plan, tier);
    if (!tiers_[t].unsaved.empty() && !budget.at_once) save_adopted(plan, tier);
  }
  if (!budget.at_once) promote(plan);
  for (const std::uint32_t block : passed_) blocks_[block].passed = false;
  for (const Move& move : plan.moves.first(plan.count)) {
    Block& block = blocks_[move.block.value];
    block.passed = false;
    if (block.parent != kNone) blocks_[block.parent].bare = false;
  }
  passed_.clear();
  return plan.count;
}

float HeatPolicy::rank(std::uint32_t id, std::uint64_t now_ns) noexcept {
  const Block& block = blocks_[id];
  Request* request = requests_.find(block.request);
  float heat = 0;
  std::uint32_t depth = 0;
  if (request != nullptr && !block.orphan) {
    heat = requests_.heat(*request, static_cast<Part>(block.part), now_ns);
    depth = request->depth;
  }
  return weigh(heat, depth, {block.priority, block.keep_until_s}, now_ns);
}

float HeatPolicy::weigh(float heat, std::uint32_t depth, const Retention& retention,
                        std::uint64_t now_ns) const noexcept {
  if (by_seconds_)
    heat *= 1 + static_cast<float>(depth) * static_cast<float>(block_tokens_) / kQuadraticTokens;
  if (retention.priority != kPlain) {
    const float over = static_cast<float>(retention.priority) - static_cast<float>(kPlain);
    heat *= retention.priority == 0 ? 0 : std::exp2(over / kPriorityOctave);
    if (retention.priority == 100) heat += 1;  // a use a second: above what any block without a hint has
  }
  if (retention.until_s != 0 && retention.until_s > now_ns / 1'000'000'000) {
    heat += kKept * (1 + static_cast<float>(retention.priority));
  }
  return heat;
}

std::uint32_t HeatPolicy::random(std::uint32_t below) noexcept {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<std::uint32_t>((random_ >> 32) * below >> 32);
}

// Keeps a leaf in the pool, if the pool has room or holds a hotter one.
void HeatPolicy::offer(Tier& tier, std::uint32_t id, std::uint64_t now_ns) noexcept {
  if (blocks_[id].passed || !tier.will_do(blocks_[id].tiers)) return;
  const float heat = rank(id, now_ns);
  const bool full = tier.pooled == tier.pool.size();
  if (full && tier.pool.front().rank <= heat) return;
  const auto pool = std::span(tier.pool).first(tier.pooled);
  const auto same = [id](const Candidate& candidate) { return candidate.block == id; };
  if (std::ranges::any_of(pool, same)) return;
  if (full) {
    std::ranges::copy(pool.subspan(1), pool.begin());
    --tier.pooled;
  }
  tier.keep({id, heat});
}

// Brings the ranks in the pool up to date, and looks at some leaves: at many for the first victim in a plan,
// which fills the pool for those that follow.
void HeatPolicy::fill_pool(Tier& tier, std::uint64_t now_ns, bool first) noexcept {
  const auto before = tier.pool;
  const std::size_t pooled = std::exchange(tier.pooled, 0);
  for (const Candidate& candidate : std::span(before).first(pooled)) {
    const Block& block = blocks_[candidate.block];
    const bool free =
        tier.copies.leaf(candidate.block) || (block.bare && tier.copies.contains(candidate.block));
    if (!free || block.passed || !tier.will_do(block.tiers)) continue;
    tier.keep({candidate.block, first ? rank(candidate.block, now_ns) : candidate.rank});
  }
  const std::uint32_t leaves = tier.copies.leaves();
  const std::uint32_t looks = first || tier.pooled == 0 ? sample_ : sample_ / 4;
  const std::span<const std::uint32_t> all = tier.copies.all();
  if (leaves <= looks) {
    for (const std::uint32_t id : all.first(leaves)) offer(tier, id, now_ns);
    return;
  }
  // In steps, each of which starts loading what the next one needs.
  std::array<std::uint32_t, kAhead> ids;
  for (std::uint32_t looked = 0; looked < looks; looked += kAhead) {
    const auto some = std::span(ids).first(std::min<std::size_t>(kAhead, looks - looked));
    for (std::uint32_t& id : some) {
      id = all[random(leaves)];
      __builtin_prefetch(&blocks_[id]);
    }
    for (const std::uint32_t id : some) requests_.prefetch(blocks_[id].request);
    for (const std::uint32_t id : some) offer(tier, id, now_ns);
  }
}

void HeatPolicy::pass(std::uint32_t id) noexcept {
  if (blocks_[id].passed || passed_.size() == kMostPassed) return;
  blocks_[id].passed = true;
  passed_.push_back(id);
}

// The coldest of some leaves that nobody holds.
HeatPolicy::Candidate HeatPolicy::pick(Plan& plan, TierIndex t) noexcept {
  Tier& tier = tiers_[t.value];
  fill_pool(tier, plan.budget.now_ns, plan.count == 0);
  const std::size_t most = plan.view.tiers()[t.value].leaving != 0 ? kMostPassed / 8 : kMostPassed;
  while (tier.pooled != 0) {
    const Candidate candidate = tier.pool[--tier.pooled];
    const BlockState state = plan.view.block(BlockId(candidate.block));
    if ((state.leased >> t.value & 1) == 0 && (state.tiers >> t.value & 1) != 0) return candidate;
    pass(candidate.block);
    if (tier.pooled == 0 && passed_.size() < most) fill_pool(tier, plan.budget.now_ns, true);
  }
  return pick_any(plan, t);
}

// When the leaves looked at are all in use: any copy at all, leaves first, then the deepest of some that
// stand before nothing but leased ones. What stands behind leaves that this plan names already is left to the
// next plan, which finds it in front.
HeatPolicy::Candidate HeatPolicy::pick_any(Plan& plan, TierIndex t) noexcept {
  const bool only_clean = plan.budget.at_once && !plan.budget.may_forget;
  const bool moving = plan.view.tiers()[t.value].leaving != 0;  // then asking again soon will do
  const Copies& copies = tiers_[t.value].copies;
  std::size_t looks = only_clean || moving ? kLooks : copies.all().size();
  std::uint32_t deepest = kNone;
  std::uint32_t depth = 0;
  for (const std::uint32_t id : plan.count == 0 ? copies.all() : copies.all().first(copies.leaves())) {
    if (looks-- == 0) break;
    if (blocks_[id].passed || !tiers_[t.value].will_do(blocks_[id].tiers)) continue;
    const BlockState state = plan.view.block(BlockId(id));
    if ((state.leased >> t.value & 1) != 0 || (state.tiers >> t.value & 1) == 0) continue;
    if (copies.leaf(id)) return {id, rank(id, plan.budget.now_ns)};
    if (deepest == kNone) looks = std::min(looks, kLooksDeeper);
    if (deepest != kNone && state.depth <= depth) continue;
    deepest = id;
    depth = state.depth;
  }
  return deepest == kNone ? Candidate{} : Candidate{deepest, rank(deepest, plan.budget.now_ns)};
}

// The parent of a victim that was its only child, if it is no hotter; else it becomes a candidate. A child
// that stays in a nearer tier still needs it.
HeatPolicy::Candidate HeatPolicy::next_up(Plan& plan, TierIndex t, const Candidate& child) noexcept {
  if ((blocks_[child.block].tiers & ((1U << t.value) - 1)) != 0) return {};
  const std::uint32_t id = blocks_[child.block].parent;
  const Copies& copies = tiers_[t.value].copies;
  if (id == kNone || !copies.contains(id) || copies.children(id) != 1 || blocks_[id].passed) return {};
  const Candidate parent{id, rank(id, plan.budget.now_ns)};
  if (parent.rank > child.rank) {
    blocks_[id].bare = true;
    offer(tiers_[t.value], id, plan.budget.now_ns);
    return {};
  }
  const BlockState state = plan.view.block(BlockId(id));
  if ((state.leased >> t.value & 1) != 0 || (state.tiers >> t.value & 1) == 0) return {};
  return parent;
}

void HeatPolicy::free_slots(Plan& plan, TierIndex t) noexcept {
  learn_returns();
  // What stays in a farther tier may leave this one all the same.
  for (const std::uint32_t block : passed_) blocks_[block].passed = false;
  passed_.clear();
  std::uint32_t wanted = plan.budget.want_free[t.value];
  // Nothing but what has a copy below may go while a caller waits and nothing may be forgotten.
  const bool only_clean = plan.budget.at_once && !plan.budget.may_forget && plan.below(t);
  tiers_[t.value].needed = only_clean ? static_cast<std::uint8_t>(0xFEU << t.value) : std::uint8_t{0};
  Candidate victim;
  while (wanted != 0 && !plan.full()) {
    if (victim.block == kNone) victim = pick(plan, t);
    if (victim.block == kNone || !admit(victim, plan.budget.now_ns)) return;
    const Verdict verdict = evict(plan, t, victim);
    if (verdict == Verdict::kLowerBusy) return;
    if (verdict == Verdict::kNotNow) {
      if (passed_.size() == kMostPassed) return;
      pass(victim.block);
      victim = {};
      continue;
    }
    --wanted;
    victim = next_up(plan, t, victim);
  }
}

// While a caller waits nothing is written: then a victim is not weighed either.
Verdict HeatPolicy::evict(Plan& plan, TierIndex t, const Candidate& victim) noexcept {
  const BlockId id(victim.block);
  const BlockState state = plan.view.block(id);
  ghosts_.prefetch(state.key);  // its last copy leaves soon
  const Verdict verdict = kelvin::evict(plan, t, id, state, [&](TierIndex lower) {
    return plan.budget.at_once || worth_writing(plan, lower, victim);
  });
  if (verdict != Verdict::kProposed) return verdict;
  Tier& tier = tiers_[t.value];
  if (victim.rank < kKept) tier.bar += (tier.bar == 0 ? 1 : kRecent) * (victim.rank - tier.bar);
  blocks_[victim.block].passed = true;
  return verdict;
}

// A full tier would have to evict something for it: not worth a write if that is hotter. What farther copies
// build on is always worth it.
bool HeatPolicy::worth_writing(const Plan& plan, TierIndex to, const Candidate& victim) const noexcept {
  const TierState& state = plan.view.tiers()[to.value];
  if (state.free_slots > state.info->slots / 16 || tiers_.back().copies.children(victim.block) != 0)
    return true;
  return victim.rank >= write_worth_ * tiers_[to.value].bar;
}

// Copies down what has no copy below yet, the oldest first.
void HeatPolicy::save_adopted(Plan& plan, TierIndex t) noexcept {
  const TierIndex lower = plan.below(t);
  if (!lower) return;
  Tier& tier = tiers_[t.value];
  for (std::size_t looks = tier.unsaved_count; looks != 0 && !plan.full(); --looks) {
    if (!plan.may_write(lower)) return;
    const std::uint32_t id = tier.unsaved[tier.first_unsaved];
    tier.first_unsaved = (tier.first_unsaved + 1) % tier.unsaved.size();
    --tier.unsaved_count;
    blocks_[id].unsaved = false;
    const BlockState state = plan.view.block(BlockId(id));
    if (!tier.copies.contains(id) || state.tiers >> t.value >> 1 != 0) continue;
    queue_unsaved(tier, id);  // until it has been seen below: the mover may refuse
    if ((state.tiers >> t.value & 1) == 0 || blocks_[id].passed) continue;
    plan.demote(BlockId(id), t, lower, true);
  }
}

void HeatPolicy::queue_unsaved(Tier& tier, std::uint32_t id) noexcept {
  if (blocks_[id].unsaved || tier.unsaved_count == tier.unsaved.size()) return;
  blocks_[id].unsaved = true;
  tier.unsaved[(tier.first_unsaved + tier.unsaved_count++) % tier.unsaved.size()] = id;
}

}  // namespace kelvin::heat
