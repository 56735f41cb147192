// See plan_world.h.
#include "plan_world.h"

#include <algorithm>
#include <bit>

namespace kelvin::testing {
namespace {

constexpr std::array<std::uint32_t, 3> kMostSlots = {20, 40, 70};

}  // namespace

PlanWorld::PlanWorld(const PolicyFactory& factory, std::uint64_t seed) : random_(seed) {
  tiers_ = static_cast<std::uint8_t>(1 + below(3));
  std::array<std::uint32_t, 3> slots{};
  for (std::size_t t = 0; t < slots.size(); ++t) slots[t] = kMostSlots[t] - below(kMostSlots[t] * 3 / 4);
  most_leased_ = 4 + below(16);
  retained_in_ = 1 + below(6);
  std::vector<std::unique_ptr<Tier>> tiers;
  std::vector<std::unique_ptr<Topology::Edge>> edges;
  for (std::uint8_t t = 0; t < tiers_; ++t)
    tiers.push_back(std::make_unique<PlainTier>(std::to_string(t), slots[t]));
  for (std::uint8_t from = 0; from < tiers_; ++from) {
    for (std::uint8_t to = 0; to < tiers_; ++to) {
      if (from == to) continue;
      auto edge = std::make_unique<Topology::Edge>();
      edge->from = TierIndex(from);
      edge->to = TierIndex(to);
      edge->link = std::make_unique<PlainLink>(*tiers[from], *tiers[to], 1000, 0);
      edges.push_back(std::move(edge));
    }
  }
  topology_ = made(Topology::make(std::move(tiers), std::move(edges), nullptr));
  std::vector<const TierInfo*> infos;
  for (std::uint8_t t = 0; t < tiers_; ++t) infos.push_back(&topology_->tier(TierIndex(t)).info());
  residency_ = make_residency(400, infos, seed + 1);
  journal_ = made(Journal::make());
  const SpaceConfig space;
  std::string why;
  auto policy =
      made(factory.make({infos, 400, space}, made(Options::bind(factory.options, {}, "policy", &why)), &why));
  auto watched = std::make_unique<WatchedPolicy>(std::move(policy));
  policy_ = watched.get();
  Planner::Parts parts{*residency_, *journal_, sink_, clock_, clock_, *topology_, std::move(watched), {}, {}};
  const std::array<double, 2> shares = {0.1 * below(6), 0.1 * below(6)};
  ProtectionSetup setup;
  listed_ = !one_in(4);
  if (listed_) setup.shares = shares;
  for (std::uint8_t t = 0; t < tiers_; ++t) {
    parts.free_ahead[t] = below(3) * 2;
    if (t > 0 && one_in(2)) parts.write_budget[t] = 1.0 + below(20);
    setup.share_slots[t] = slots[t] - parts.free_ahead[t] - parts.free_ahead[t] / 4;
    setup.pin_limit[t] = below(slots[t] / 2);
    for (std::size_t n = 0; n < setup.shares.size(); ++n)
      share_[n][t] = static_cast<std::uint32_t>(shares[n] * setup.share_slots[t]);
  }
  planner_ = std::make_unique<Planner>(std::move(parts));
  EXPECT_TRUE(planner_->open(setup).ok());
}

void PlanWorld::step() {
  now_ns_ += one_in(20) ? 1'000'000'000u : 1'000'000u;
  switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3: publish(); break;
    case 4:
    case 5: acquire(); break;
    case 6:
    case 7: release(); break;
    case 8: promote(); break;
    case 9:
    case 10:
    case 11: complete_one(); break;
    case 12: pin(); break;
    case 13:
      if (one_in(2000)) go_offline();
      if (++turns_ % 64 == 0) come_back();
      break;
    default: plan(); break;
  }
}

Event PlanWorld::event_of(EventKind kind, BlockId block, TierIndex tier) {
  Event event;
  event.kind = kind;
  event.block = block;
  event.tier = tier;
  event.time_ns = now_ns_;
  return event;
}

// Space in `tier`, for the sake of `tenant`.
bool PlanWorld::make_room(TierIndex tier, std::uint32_t slots, std::size_t tenant) {
  const std::uint32_t free = residency_->slots(tier).free_count();
  if (free >= slots) return true;
  const Places before = staying();
  Counts asking{};
  asking[tenant][tier.value] = slots - free;
  planner_->make_room(tier, slots - free, !one_in(3), {}, {index_of(tenant), {}});
  check(before, asking, "make_room");
  return residency_->slots(tier).free_count() >= slots;
}

// A chain, from its first unknown block on, as far as there is room.
void PlanWorld::publish() {
  const std::size_t chain = chain_at_random();
  std::size_t known = 0;
  while (known < kLength && find(chain + known)) ++known;
  if (known == kLength) return;
  const auto wanted = static_cast<std::uint32_t>(1 + below(static_cast<std::uint32_t>(kLength - known)));
  const TierIndex tier = residency_->online(tier_at_random()) && one_in(5) ? tier_at_random() : kFirst;
  if (!residency_->online(tier) || !make_room(tier, wanted, owner(chain))) return;
  // Making room may have taken what the chain builds on.
  BlockId parent = known == 0 ? BlockId{} : find(chain + known - 1);
  if (known != 0 && !parent) return;
  const std::uint32_t seconds = one_in(retained_in_) ? 1 + below(30) : 0;
  const auto priority = static_cast<std::uint8_t>(seconds != 0 ? 10 * below(11) : 50);
  for (std::size_t k = chain + known; k < chain + known + wanted; ++k) {
    const BlockId block =
        put_block(*residency_, key_of(k), parent, static_cast<std::uint32_t>(k - chain), tier);
    if (!block) break;
    Event event = event_of(EventKind::kPublish, block, tier);
    event.tenant = index_of(owner(k)) & kMaxTenants;
    event.priority = priority;
    event.retain_s = seconds & Event::kMostRetainS;
    planner_->record({&event, 1});
    wishes_[k] = {};
    if (seconds != 0) {
      wishes_[k].retain_until_s = now_s() + 1 + seconds;
      wishes_[k].priority = priority;
    }
    parent = block;
  }
}

void PlanWorld::acquire() {
  const std::size_t chain = chain_at_random();
  if (leased_.size() > most_leased_) return;
  const std::size_t length = 1 + below(kLength);
  for (std::size_t k = chain + length; k-- > chain;) {
    const BlockId block = find(k);
    const TierIndex tier = block ? residency_->nearest(block) : kNoTier;
    const Slot slot = tier ? residency_->pin(block, key_of(k), tier) : Slot{};
    if (!slot) continue;
    leased_.push_back({k, tier, slot});
    const Event event = event_of(EventKind::kHit, block, tier);
    planner_->record({&event, 1});
  }
}

void PlanWorld::release() {
  while (!leased_.empty() && !one_in(6)) {
    const Leased lease = leased_.back();
    leased_.pop_back();
    Event event = event_of(EventKind::kRelease, find(lease.key), lease.tier);
    if (one_in(8)) {
      event.priority = static_cast<std::uint8_t>(below(101));
      event.retain_s = (1 + below(20)) & Event::kMostRetainS;
      Wish& wish = wishes_[lease.key];
      const bool runs = wish.retain_until_s > now_s();
      wish.priority = runs ? std::max(wish.priority, event.priority) : event.priority;
      wish.retain_until_s = std::max(wish.retain_until_s, now_s() + 1 + event.retain_s);
    }
    planner_->record({&event, 1});
    residency_->slots(lease.tier).unpin(lease.slot);
  }
}

// A copy comes nearer, as a load would bring it.
void PlanWorld::promote() {
  const std::size_t k = chain_at_random() + below(kLength);
  const BlockId block = find(k);
  if (!block || residency_->readable(block) == 0 || (residency_->readable(block) & 1) != 0) return;
  const TierIndex from = residency_->nearest(block);
  const Slot source = residency_->pin(block, key_of(k), from);
  if (!source) return;
  if (make_room(kFirst, 1, owner(k)) && add_copy(*residency_, block, kFirst)) {
    const Event event = event_of(EventKind::kArrive, block, kFirst);
    planner_->record({&event, 1});
  }
  residency_->slots(from).unpin(source);
}

void PlanWorld::complete_one() {
  if (sink_.waiting.empty()) return;
  const std::size_t at = below(static_cast<std::uint32_t>(sink_.waiting.size()));
  const PlannedMove planned = sink_.waiting[at].planned;
  const Places before = staying();
  sink_.waiting.erase(sink_.waiting.begin() + static_cast<std::ptrdiff_t>(at));
  const Move& move = planned.move;
  const Slot source = one_in(10) ? Slot{} : residency_->pin(move.block, planned.key, move.from);
  if (source) {
    const bool arrived = residency_->online(move.to) && add_copy(*residency_, move.block, move.to);
    if (arrived) {
      const Event event = event_of(EventKind::kArrive, move.block, move.to);
      planner_->record({&event, 1});
    }
    residency_->slots(move.from).unpin(source);
    if (std::popcount(residency_->readable(move.block)) > 1 && !move.keep_source)
      planner_->drop({&move.block, 1}, move.from, DropReason::kDemoted);
  }
  if (!move.keep_source) planner_->moves_ended({&move.block, 1}, move.from);
  check(before, {}, "a move is over", false);
}

void PlanWorld::pin() {
  const std::size_t chain = chain_at_random();
  const TierIndex tier = one_in(2) ? tier_at_random() : kNoTier;
  const std::uint32_t seconds = 1 + below(40);
  std::vector<BlockId> blocks;
  std::vector<std::size_t> keys;
  const std::size_t end = chain + 1 + below(kLength);
  for (std::size_t k = chain; k < end; ++k) {
    if (const BlockId block = find(k)) {
      blocks.push_back(block);
      keys.push_back(k);
    }
  }
  const bool ends = one_in(4);
  if (ends) planner_->unpin(blocks);
  if (!ends && !planner_->pin(blocks, tier, seconds).ok()) return;
  for (const std::size_t k : keys) {
    Wish& wish = wishes_[k];
    wish.pin_until_s =
        ends ? 0 : std::max(wish.pin_until_s > now_s() ? wish.pin_until_s : 0, now_s() + 1 + seconds);
    wish.pin_tier = tier;
  }
}

void PlanWorld::plan() {
  const Places before = staying();
  Counts asking{};
  std::array<std::uint32_t, kMaxTiers> starved{};
  std::array<BlockId, kMaxTiers> starved_for{};
  if (one_in(2)) {
    const TierIndex tier = tier_at_random();
    const std::size_t k = chain_at_random();
    starved[tier.value] = 1 + below(4);
    starved_for[tier.value] = find(k);
    if (starved_for[tier.value]) asking[owner(k)][tier.value] = starved[tier.value];
  }
  planner_->plan(starved, starved_for);
  check(before, asking, "plan");
}

// Its copies go, and pins with them; of those without a tier, which may now be too many, no one can tell
// here.
void PlanWorld::go_offline() {
  if (tiers_ == 1) return;
  const TierIndex tier(static_cast<std::uint8_t>(1 + below(tiers_ - 1u)));
  planner_->take_offline(tier);
  doubt_pins();
}

// The last tier is another one then, and may allow fewer pins.
void PlanWorld::come_back() {
  for (std::uint8_t t = 1; t < tiers_; ++t) {
    if (residency_->online(TierIndex(t))) continue;
    planner_->sweep();
    prune();
    if (planner_->bring_back(TierIndex(t)).ok()) doubt_pins();
  }
}

void PlanWorld::doubt_pins() {
  for (Wish& wish : wishes_) {
    wish.perhaps_until_s = std::max(wish.perhaps_until_s, wish.pin_until_s);
    wish.pin_until_s = 0;
  }
}

// What is forgotten has no wishes, and what has left cannot leave again.
void PlanWorld::prune() {
  for (std::size_t k = 0; k < kKeys; ++k) {
    if (!find(k)) wishes_[k] = {};
  }
  for (SlowSink::Waiting& waiting : sink_.waiting) {
    const Move& move = waiting.planned.move;
    const bool there = (residency_->readable(move.block) >> move.from.value & 1) != 0;
    if (!there || residency_->table().record(move.block).key() != waiting.planned.key) waiting.stale = true;
  }
}

// --- what must hold ---

// Bit t: a copy in tier t that no move under way takes away.
PlanWorld::Places PlanWorld::staying() const {
  Places places{};
  for (std::size_t k = 0; k < kKeys; ++k) {
    const BlockId block = find(k);
    if (!block) continue;
    places[k] = static_cast<std::uint8_t>(residency_->readable(block));
    for (const SlowSink::Waiting& waiting : sink_.waiting) {
      const Move& move = waiting.planned.move;
      if (move.block == block && !move.keep_source && !waiting.stale)
        places[k] = static_cast<std::uint8_t>(places[k] & ~(1u << move.from.value));
    }
  }
  return places;
}

PlanWorld::Counts PlanWorld::count(const Places& places) {
  Counts counts{};
  for (std::size_t k = 0; k < kKeys; ++k) {
    for (std::size_t t = 0; t < 3; ++t) counts[owner(k)][t] += unsigned{places[k]} >> t & 1u;
  }
  return counts;
}

void PlanWorld::check(const Places& before, const Counts& asking, const char* what, bool in_order) {
  SCOPED_TRACE(what);
  const Places after = staying();
  const Counts counts = count(after);
  for (const Leased& lease : leased_) {
    const SlotWord word = residency_->slots(lease.tier).word(lease.slot);
    EXPECT_EQ(word.state(), SlotState::kResident) << "a leased copy is gone";
    EXPECT_EQ(word.block(), find(lease.key));
  }
  for (std::size_t k = 0; k < kKeys; ++k) {
    const Wish& wish = wishes_[k];
    if (wish.pin_until_s <= now_s() || before[k] == 0) continue;
    const BlockId block = find(k);
    EXPECT_TRUE(block && residency_->readable(block) != 0) << "a pinned block is forgotten";
    if (wish.pin_tier && (before[k] >> wish.pin_tier.value & 1) != 0) {
      EXPECT_NE(after[k] >> wish.pin_tier.value & 1, 0) << "a copy that is pinned there leaves its tier";
    }
  }
  check_figures();
  check_shares(count(before), counts, asking);
  if (in_order) check_order(before, after, counts);
  for (std::size_t k = 0; k < kKeys; ++k) {
    dropped += static_cast<std::uint64_t>(std::popcount(static_cast<unsigned>(before[k] & ~after[k])));
  }
  handed += sink_.waiting.size();
  prune();
}

// What the planner counts is what is there.
void PlanWorld::check_figures() {
  if (!listed_) return;
  std::array<TenantStats, kTenants> figures;
  planner_->count_tenants(figures);
  Places places{};
  for (std::size_t k = 0; k < kKeys; ++k) {
    if (const BlockId block = find(k)) places[k] = static_cast<std::uint8_t>(residency_->readable(block));
  }
  const Counts counts = count(places);
  for (std::size_t n = 0; n < kTenants; ++n) {
    for (std::uint8_t t = 0; t < tiers_; ++t) {
      if (!residency_->online(TierIndex(t))) continue;
      EXPECT_EQ(figures[index_of(n)].blocks[t], counts[n][t]) << "tenant " << n << ", tier " << int{t};
    }
  }
}

void PlanWorld::check_shares(const Counts& before, const Counts& after, const Counts& asking) const {
  for (std::size_t n = 0; n + 1 < kTenants; ++n) {
    for (std::uint8_t t = 0; t < tiers_; ++t) {
      if (asking[n][t] != 0 || !residency_->online(TierIndex(t))) continue;
      EXPECT_GE(after[n][t], std::min(before[n][t], share_[n][t]))
          << "tenant " << n << " had " << before[n][t] << " of " << share_[n][t] << " in tier " << int{t};
    }
  }
}

bool PlanWorld::could_go(std::size_t k, std::uint8_t tier, const Counts& counts) const {
  const Slot slot = residency_->table().record(find(k)).copy(TierIndex(tier));
  if (!slot || residency_->slots(TierIndex(tier)).word(slot).pins() != 0) return false;
  if (std::max(wishes_[k].pin_until_s, wishes_[k].perhaps_until_s) > now_s()) return false;
  return owner(k) + 1 == kTenants || counts[owner(k)][tier] > share_[owner(k)][tier];
}

// Nothing retained has left a tier in which something could have gone before it.
void PlanWorld::check_order(const Places& before, const Places& after, const Counts& counts) const {
  for (std::uint8_t t = 0; t < tiers_; ++t) {
    if (!residency_->online(TierIndex(t))) continue;
    int highest = -1;
    for (std::size_t k = 0; k < kKeys; ++k) {
      const bool left = ((before[k] & ~after[k]) >> t & 1) != 0;
      if (left && wishes_[k].retain_until_s > now_s()) highest = std::max<int>(highest, wishes_[k].priority);
    }
    for (std::size_t k = 0; highest >= 0 && k < kKeys; ++k) {
      if ((after[k] >> t & 1) == 0 || !could_go(k, t, counts)) continue;
      const bool runs = wishes_[k].retain_until_s > now_s();
      EXPECT_TRUE(runs && wishes_[k].priority >= highest)
          << "tier " << int{t} << ": retained at " << highest << " went, what stays is "
          << (runs ? std::to_string(wishes_[k].priority) : "not retained");
    }
  }
}

}  // namespace kelvin::testing
