// Policy "heat" by itself, over a world of blocks that are only claimed to exist: requests come, blocks get
// copies, plans are carried out and checked.
//
// Thread contract: one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core_parts.h"
#include "policies/heat/policy.h"

namespace kelvin::testing {

class HeatWorld final : public View {
 public:
  using Path = std::vector<std::uint64_t>;  // names of blocks, from the root on; a name stands for its prefix

  HeatWorld(std::vector<std::uint32_t> slots, std::uint32_t blocks, const heat::Settings& base = {}) {
    heat::Settings settings = base;
    settings.blocks = blocks;
    settings.slots = slots;
    if (settings.ghosts == 0) settings.ghosts = 4096;
    if (settings.requests == 0) settings.requests = 1024;
    policy = std::make_unique<heat::HeatPolicy>(settings);
    for (std::size_t t = 0; t < slots.size(); ++t) {
      names_.push_back(std::make_unique<PlainTier>(std::to_string(t), slots[t]));
      tiers_.push_back({&names_.back()->info(), slots[t]});
    }
    states_.assign(blocks, BlockState{});
    for (std::uint32_t id = blocks; id-- > 0;) free_.push_back(id);
    want_.assign(slots.size(), 0);
    may_write_.assign(slots.size(), 1000);
  }

  std::span<const TierState> tiers() const noexcept override { return tiers_; }
  BlockState block(BlockId block) const noexcept override {
    return block.value < states_.size() ? states_[block.value] : BlockState{};
  }

  // One request: leases the known prefix, makes the rest in tier 0, and lets go. Returns the blocks hit.
  std::size_t request(const Path& path, const Hints& hints = {}) {
    std::vector<std::uint32_t> ids = find(path, hints);
    const std::size_t hit = ids.size();
    while (ids.size() < path.size()) {
      if (tiers_[0].free_slots == 0 && evict(1) == 0) break;
      if (ids_.contains(path[ids.size()])) break;  // elsewhere only: this world does not load
      grow(ids, path);
    }
    finish(ids, hit, hints);
    return hit;
  }

  // The same, but the new blocks ask to be let in. Returns the blocks hit; `admitted` counts the new ones.
  std::size_t ask(const Path& path, const Hints& hints = {}, std::size_t* admitted = nullptr) {
    std::vector<std::uint32_t> ids = find(path, hints);
    const std::size_t hit = ids.size();
    const std::size_t granted = admit(path, ids, hints);
    for (std::size_t i = 0; i < granted; ++i) grow(ids, path);
    finish(ids, hit, hints);
    if (admitted != nullptr) *admitted = granted;
    return hit;
  }

  // Asks for `wanted` free slots of a tier and carries out what is proposed; returns how many copies left.
  std::size_t evict(std::uint32_t wanted, std::uint8_t t = 0, bool at_once = true, bool may_forget = true) {
    const std::vector<Move> moves = plan(wanted, t, at_once, may_forget);
    for (const Move& move : moves) carry_out(move);
    return moves.size();
  }
  std::vector<Move> plan(std::uint32_t wanted, std::uint8_t t = 0, bool at_once = true,
                         bool may_forget = true, const Newcomers* newcomers = nullptr) {
    std::ranges::fill(want_, 0U);
    want_[t] = wanted;
    Budget budget;
    budget.now_ns = now_ns;
    budget.want_free = want_;
    budget.may_write = may_write_;
    budget.at_once = at_once;
    budget.may_forget = may_forget;
    budget.newcomers = newcomers;
    std::vector<Move> moves(128);
    moves.resize(policy->plan(*this, budget, moves));
    for (const Move& move : moves) log.push_back(move.block.value);
    return moves;
  }

  void carry_out(const Move& move) {
    BlockState& state = states_[move.block.value];
    const unsigned bit = 1U << move.from.value;
    ASSERT_NE(state.tiers & bit, 0U) << "no such copy";
    ASSERT_EQ(state.leased & bit, 0U) << "leased";
    if (!move.to && (state.tiers & ~bit) == 0) check_prefix(move);
    if (move.to) {
      if (tiers_[move.to.value].free_slots == 0) return;
      --tiers_[move.to.value].free_slots;
      state.tiers |= 1U << move.to.value;
      tell(EventKind::kArrive, {move.block.value}, move.to.value, {});
    }
    if (move.keep_source) return;
    tell(EventKind::kLeave, {move.block.value}, move.from.value, {});
    ++tiers_[move.from.value].free_slots;
    state.tiers &= ~bit;
    if (state.tiers == 0) forget_chain(move.block);
  }

  bool has(std::uint64_t name, std::uint8_t t) const {
    const auto it = ids_.find(name);
    return it != ids_.end() && (states_[it->second].tiers >> t & 1) != 0;
  }
  std::uint32_t id_of(std::uint64_t name) const { return ids_.at(name); }
  void lease(const std::vector<std::uint32_t>& ids, bool on) {
    for (const std::uint32_t id : ids) states_[id].leased = on ? states_[id].tiers : 0;
  }
  void tell(EventKind kind, const std::vector<std::uint32_t>& ids, std::uint8_t t, const Hints& hints) {
    std::vector<Event> events(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      events[i].kind = kind;
      events[i].tier = TierIndex(t);
      events[i].block = BlockId(ids[i]);
      events[i].time_ns = now_ns;
      events[i].finish = hints.finish;
      events[i].priority = hints.priority;
      events[i].output_tokens = hints.output_tokens;
      events[i].retain_s = static_cast<std::uint32_t>(hints.retain_for.count()) & Event::kMostRetainS;
    }
    if (!restless) return policy->observe(*this, events);
    for (const Event& event : events) {
      policy->observe(*this, {&event, 1});
      EXPECT_TRUE(plan(0, 0, false, false).empty());
    }
  }

  std::unique_ptr<heat::HeatPolicy> policy;
  std::uint64_t now_ns = 1'000'000'000;
  std::vector<std::uint32_t> log;  // every block proposed
  bool restless = false;           // events come one by one, and after each a plan that wants nothing
  std::vector<TierState> tiers_;
  std::vector<std::uint32_t> may_write_;

 private:
  static BlockKey key_of(std::uint64_t name) {
    return {name * 0x9E3779B97F4A7C15, name * 0xD6E8FEB86659FD93};
  }
  // The known prefix, leased.
  std::vector<std::uint32_t> find(const Path& path, const Hints& hints) {
    std::vector<std::uint32_t> ids;
    while (ids.size() < path.size() && has(path[ids.size()], 0)) ids.push_back(ids_.at(path[ids.size()]));
    lease(ids, true);
    tell(EventKind::kHit, {ids.rbegin(), ids.rend()}, 0, hints);
    return ids;
  }
  // The next block of the path is made, and leased.
  void grow(std::vector<std::uint32_t>& ids, const Path& path) {
    ids.push_back(make(path[ids.size()], ids.empty() ? BlockId{} : BlockId(ids.back()), ids.size()));
    lease({ids.back()}, true);
  }
  // Publishes those from `hit` on, and lets go of all.
  void finish(const std::vector<std::uint32_t>& ids, std::size_t hit, const Hints& hints) {
    tell(EventKind::kPublish, {ids.begin() + static_cast<std::ptrdiff_t>(hit), ids.end()}, 0, hints);
    tell(EventKind::kRelease, {ids.rbegin(), ids.rend()}, 0, hints);
    lease(ids, false);
  }
  // How many blocks after the known ones have a slot or are granted one.
  std::size_t admit(const Path& path, const std::vector<std::uint32_t>& known, const Hints& hints) {
    std::vector<BlockKey> keys;
    for (std::size_t i = known.size(); i < path.size(); ++i) keys.push_back(key_of(path[i]));
    Newcomers newcomers;
    newcomers.keys = keys;
    newcomers.granted = std::min<std::size_t>(tiers_[0].free_slots, keys.size());
    newcomers.depth = static_cast<std::uint32_t>(known.size());
    if (!known.empty()) newcomers.parent = BlockId(known.back());
    newcomers.hints = hints;
    const auto missing = static_cast<std::uint32_t>(keys.size() - newcomers.granted);
    if (missing == 0) return keys.size();
    const std::vector<Move> moves = plan(missing, 0, true, true, &newcomers);
    for (const Move& move : moves) carry_out(move);
    return newcomers.granted + moves.size();
  }
  std::uint32_t make(std::uint64_t name, BlockId parent, std::size_t depth) {
    EXPECT_FALSE(free_.empty());
    const std::uint32_t id = free_.back();
    free_.pop_back();
    states_[id] = {key_of(name), parent, static_cast<std::uint32_t>(depth), 0, 1, 0};
    if (parent) ++states_[parent.value].children;
    ids_[name] = id;
    name_of_[id] = name;
    --tiers_[0].free_slots;
    return id;
  }
  // No child that a request could still reach through this block may stay behind.
  void check_prefix(const Move& move) {
    for (const auto& [name, id] : ids_) {
      const BlockState& child = states_[id];
      const unsigned here_or_nearer = (2U << move.from.value) - 1;
      EXPECT_FALSE(child.parent == move.block && (child.tiers & here_or_nearer) != 0)
          << "a child stays behind";
    }
  }
  // As the table does: a record lives while it has a copy or a child.
  void forget_chain(BlockId block) {
    while (block && states_[block.value].tiers == 0 && states_[block.value].children == 0) {
      tell(EventKind::kForget, {block.value}, kNoTier.value, {});
      const BlockId parent = states_[block.value].parent;
      ids_.erase(name_of_.at(block.value));
      states_[block.value] = BlockState{};
      free_.push_back(block.value);
      if (parent) --states_[parent.value].children;
      block = parent;
    }
  }

  std::vector<std::unique_ptr<PlainTier>> names_;
  std::vector<BlockState> states_;
  std::map<std::uint64_t, std::uint32_t> ids_;
  std::map<std::uint32_t, std::uint64_t> name_of_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> want_;
};

}  // namespace kelvin::testing
