// See topology.h.
#include "topology/topology.h"

#include <algorithm>
#include <limits>

namespace kelvin {
namespace {

constexpr std::uint64_t kUnreached = std::numeric_limits<std::uint64_t>::max();

std::uint64_t transfer_ns(std::uint64_t bytes, std::uint64_t bytes_per_second) noexcept {
  return bytes_per_second == 0 ? 0
                               : static_cast<std::uint64_t>(static_cast<double>(bytes) * 1e9 /
                                                            static_cast<double>(bytes_per_second));
}

std::string no_route(const TierInfo& from, const TierInfo& to) {
  return "no route from tier '" + from.name + "' to tier '" + to.name +
         "': no link joins them; put a [[tier]] of kind \"dram\" between them";
}

}  // namespace

Result<std::unique_ptr<Topology>> Topology::make(std::vector<std::unique_ptr<Tier>> tiers,
                                                 std::vector<std::unique_ptr<Edge>> edges, std::string* why) {
  std::unique_ptr<Topology> topology(new Topology);
  topology->tiers_ = std::move(tiers);
  topology->edges_ = std::move(edges);
  for (auto& edge : topology->edges_) {
    const LinkInfo& info = edge->link->info();
    const std::uint64_t latency = edge->stated_latency_ns != 0 ? edge->stated_latency_ns : info.latency_ns;
    const std::uint64_t speed =
        edge->stated_bytes_per_second != 0 ? edge->stated_bytes_per_second : info.bytes_per_second;
    edge->cost_ns = std::max<std::uint64_t>(1, latency + transfer_ns(info.from->info().slot_bytes, speed));
    edge->meter.begin(latency, speed);
  }
  topology->route();
  const auto check = [&](std::size_t from, std::size_t to) {
    if (from == to || topology->next_[from][to] != nullptr) return true;
    if (why != nullptr) *why = no_route(topology->tiers_[from]->info(), topology->tiers_[to]->info());
    return false;
  };
  for (std::size_t t = 0; t < topology->tiers_.size(); ++t) {
    if (!check(t, 0) || (t > 0 && !check(t - 1, t))) return Status(Code::kInvalid, "connecting the tiers");
  }
  return topology;
}

// Floyd-Warshall: at most 8 tiers, once.
void Topology::route() {
  const std::size_t n = tiers_.size();
  std::array<std::array<std::uint64_t, kMaxTiers>, kMaxTiers> cost{};
  for (auto& row : cost) row.fill(kUnreached);
  for (const auto& edge : edges_) {
    cost[edge->from.value][edge->to.value] = edge->cost_ns;
    next_[edge->from.value][edge->to.value] = edge.get();
  }
  for (std::size_t via = 0; via < n; ++via) {
    if (tiers_[via]->info().adopted) continue;  // the engine's slots are no place to pass through
    for (std::size_t from = 0; from < n; ++from) {
      for (std::size_t to = 0; to < n; ++to) {
        if (from == to || cost[from][via] == kUnreached || cost[via][to] == kUnreached) continue;
        const std::uint64_t sum = cost[from][via] + cost[via][to];
        if (sum >= cost[from][to]) continue;
        cost[from][to] = sum;
        next_[from][to] = next_[from][via];
      }
    }
  }
}

std::uint64_t Topology::move_ns(TierIndex from, TierIndex to) const noexcept { return move_ns(from, to, 1); }

std::uint64_t Topology::move_ns(TierIndex from, TierIndex to, std::uint64_t blocks) const noexcept {
  std::uint64_t latency = 0;
  std::uint64_t slowest = 0;
  for (TierIndex at = from; at != to;) {
    const Edge* edge = next_hop(at, to);
    if (edge == nullptr) return 0;
    latency += edge->meter.latency_ns();
    slowest = std::max(slowest, transfer_ns(tier(at).info().slot_bytes, edge->meter.bytes_per_second()));
    at = edge->to;
  }
  return blocks == 0 ? 0 : latency + slowest * (blocks - 1);
}

}  // namespace kelvin
