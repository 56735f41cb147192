// The graph of tiers and links, and the route from each tier to each other.
//
// Thread contract: constant after `make`, but for the meters (link_meter.h); any thread may read.
// Invariants:
//   1. Links end before the tiers they join (destruction order of the members).
//   2. next_hop(a, b) leads to b in finitely many steps, or is null.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/link.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"
#include "metrics/link_meter.h"

namespace kelvin {

class Topology {
 public:
  struct Edge {
    TierIndex from;
    TierIndex to;
    std::unique_ptr<Link> link;
    // What the config says of the link; 0: what the link says of itself.
    std::uint64_t stated_latency_ns = 0;
    std::uint64_t stated_bytes_per_second = 0;
    bool takes_source = false;  // what comes over it leaves no copy behind (placement = "exclusive")
    LinkMeter meter;
    std::uint64_t cost_ns = 0;  // one block, as the link estimated at start-up: routes are chosen by it
  };

  // Two tiers between which blocks have to go, and no way.
  struct Gap {
    TierIndex from;
    TierIndex to;
  };

  // Every tier has to reach tier 0, and each tier the next. The first pair that does not; none: all is well.
  static std::optional<Gap> find_gap(std::span<const std::unique_ptr<Tier>> tiers,
                                     std::span<const std::unique_ptr<Edge>> edges);

  // Precondition: the edges join these tiers. kInvalid, and `why`: there is a gap.
  static Result<std::unique_ptr<Topology>> make(std::vector<std::unique_ptr<Tier>> tiers,
                                                std::vector<std::unique_ptr<Edge>> edges, std::string* why);

  std::size_t tiers() const noexcept { return tiers_.size(); }
  const Tier& tier(TierIndex t) const noexcept { return *tiers_[t.value]; }
  std::span<const std::unique_ptr<Edge>> edges() const noexcept { return edges_; }

  // The edge to take first on the cheapest route; null: no route, or from == to.
  Edge* next_hop(TierIndex from, TierIndex to) const noexcept { return next_[from.value][to.value]; }

  // One block along the route, as measured so far; 0 where from == to or where there is no route.
  std::uint64_t move_ns(TierIndex from, TierIndex to) const noexcept;
  // `blocks` in a row: latency once, then bandwidth of the slowest link.
  std::uint64_t move_ns(TierIndex from, TierIndex to, std::uint64_t blocks) const noexcept;

 private:
  Topology() = default;
  using Costs = std::array<std::array<std::uint64_t, kMaxTiers>, kMaxTiers>;
  void route();
  void route_through(Costs& cost, bool devices);

  std::vector<std::unique_ptr<Tier>> tiers_;
  std::vector<std::unique_ptr<Edge>> edges_;
  std::array<std::array<Edge*, kMaxTiers>, kMaxTiers> next_{};
};

}  // namespace kelvin
