// Parts of the core by themselves, for tests: tiers and links that only say what they are, and blocks put
// into a table and its slots by hand.
//
// Thread contract: free functions on what they are given.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kelvin/link.h"
#include "kelvin/tier.h"
#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin::testing {

inline constexpr TierIndex kFirst{0};
inline constexpr TierIndex kSecond{1};
inline constexpr TierIndex kThird{2};

// A tier without memory.
class PlainTier final : public Tier {
 public:
  explicit PlainTier(std::string name, std::uint32_t slots = 1, bool adopted = false,
                     AddressSpace space = AddressSpace::kHost) {
    info_.space = space;
    info_.name = std::move(name);
    info_.slots = slots;
    info_.slot_bytes = info_.segment_bytes = 1000;
    info_.adopted = adopted;
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot /*slot*/, std::uint32_t /*segment*/) const noexcept override { return {}; }

 private:
  TierInfo info_;
};

// A link that takes nothing.
class PlainLink final : public Link {
 public:
  PlainLink(const Tier& from, const Tier& to, std::uint64_t latency_ns, std::uint64_t bytes_per_second) {
    info_.name = from.info().name + ">" + to.info().name;
    info_.from = &from;
    info_.to = &to;
    info_.latency_ns = latency_ns;
    info_.bytes_per_second = bytes_per_second;
  }
  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> /*copies*/) noexcept override { return 0; }
  std::size_t poll(std::span<Completion> /*done*/) noexcept override { return 0; }
  void cancel_all() noexcept override {}

 private:
  LinkInfo info_;
};

// A topology in the making: named tiers, then links between them.
class Graph {
 public:
  explicit Graph(std::initializer_list<const char*> names, std::uint32_t slots = 1) : slots_(slots) {
    for (const char* name : names) tiers_.push_back(std::make_unique<PlainTier>(name, slots));
  }

  Graph& adopt(std::size_t tier) {
    tiers_[tier] = std::make_unique<PlainTier>(tiers_[tier]->info().name, slots_, true);
    return *this;
  }
  Graph& device(std::size_t tier) {
    tiers_[tier] =
        std::make_unique<PlainTier>(tiers_[tier]->info().name, slots_, false, AddressSpace::kDevice);
    return *this;
  }
  Graph& one_way(std::uint8_t from, std::uint8_t to, std::uint64_t latency_ns,
                 std::uint64_t bytes_per_second = 0) {
    auto edge = std::make_unique<Topology::Edge>();
    edge->from = TierIndex(from);
    edge->to = TierIndex(to);
    edge->link = std::make_unique<PlainLink>(*tiers_[from], *tiers_[to], latency_ns, bytes_per_second);
    edges_.push_back(std::move(edge));
    return *this;
  }
  Graph& both_ways(std::uint8_t a, std::uint8_t b, std::uint64_t latency_ns,
                   std::uint64_t bytes_per_second = 0) {
    return one_way(a, b, latency_ns, bytes_per_second).one_way(b, a, latency_ns, bytes_per_second);
  }
  Result<std::unique_ptr<Topology>> make(std::string* why = nullptr) {
    return Topology::make(std::move(tiers_), std::move(edges_), why);
  }

 private:
  const std::uint32_t slots_;
  std::vector<std::unique_ptr<Tier>> tiers_;
  std::vector<std::unique_ptr<Topology::Edge>> edges_;
};

template <class T>
T made(Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(result).value();
}

inline std::unique_ptr<Residency> make_residency(std::uint32_t blocks, std::span<const TierInfo* const> tiers,
                                                 std::uint64_t seed = 1) {
  std::vector<std::unique_ptr<SlotMap>> slots;
  for (const TierInfo* tier : tiers) slots.push_back(made(SlotMap::make(tier->slots, tier->adopted)));
  return std::make_unique<Residency>(made(Table::make(blocks, seed)), std::move(slots));
}

// A new block in a slot of `tier`, without pins; no id if there is no slot or no record.
inline BlockId put_block(Residency& residency, const BlockKey& key, BlockId parent, std::uint32_t depth,
                         TierIndex tier) {
  Slot slot;
  if (residency.slots(tier).take_held({&slot, 1}) == 0) return BlockId{};
  const auto offer = residency.table().offer(key, parent, depth, tier, slot);
  if (!offer.ok() || offer->known) return BlockId{};
  residency.slots(tier).publish(slot, offer->block);
  residency.slots(tier).unpin(slot);
  return offer->block;
}

// A further copy of a block.
inline bool add_copy(Residency& residency, BlockId block, TierIndex tier) {
  const Slot slot = residency.slots(tier).take_filling(block, 0);
  if (!slot || !residency.table().attach(block, tier, slot)) return false;
  residency.slots(tier).filled(slot, block, 0);
  return true;
}

}  // namespace kelvin::testing
