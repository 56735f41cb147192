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

// The engine's slots are no place to pass through.
bool is_thoroughfare(const Tier& tier) noexcept { return !tier.info().adopted; }

std::string no_route(const TierInfo& from, const TierInfo& to) {
  return "no route from tier '" + from.name + "' to tier '" + to.name +
         "': no link joins them, nor both of them with host memory, through which blocks could go; put a "
         "[[tier]] between them that has links with both";
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
  if (const auto gap = find_gap(topology->tiers_, topology->edges_)) {
    if (why != nullptr) *why = no_route(topology->tier(gap->from).info(), topology->tier(gap->to).info());
    return Status(Code::kInvalid, "connecting the tiers");
  }
  topology->route();
  return topology;
}

std::optional<Topology::Gap> Topology::find_gap(std::span<const std::unique_ptr<Tier>> tiers,
                                                std::span<const std::unique_ptr<Edge>> edges) {
  const auto n = static_cast<std::uint8_t>(tiers.size());
  std::array<std::uint32_t, kMaxTiers> reach{};  // by tier: a bit for each that can be reached
  for (const auto& edge : edges) reach[edge->from.value] |= 1u << edge->to.value;
  for (std::uint8_t via = 0; via < n; ++via) {
    if (!is_thoroughfare(*tiers[via])) continue;
    for (std::uint8_t from = 0; from < n; ++from) {
      if ((reach[from] >> via & 1) != 0) reach[from] |= reach[via];
    }
  }
  const auto joined = [&](std::uint8_t from, std::uint8_t to) { return (reach[from] >> to & 1) != 0; };
  for (std::uint8_t t = 1; t < n; ++t) {
    const auto before = static_cast<std::uint8_t>(t - 1);
    if (!joined(t, 0)) return Gap{TierIndex(t), TierIndex(0)};
    if (!joined(before, t)) return Gap{TierIndex(before), TierIndex(t)};
  }
  return std::nullopt;
}

// Floyd-Warshall: at most 8 tiers, once. What passes through a device is lost with it, and takes its slots
// and its bus: only where no other way leads.
void Topology::route() {
  Costs cost{};
  for (auto& row : cost) row.fill(kUnreached);
  for (const auto& edge : edges_) {
    cost[edge->from.value][edge->to.value] = edge->cost_ns;
    next_[edge->from.value][edge->to.value] = edge.get();
  }
  route_through(cost, false);
  route_through(cost, true);
}

void Topology::route_through(Costs& cost, bool devices) {
  const std::size_t n = tiers_.size();
  const Costs before = cost;
  for (std::size_t via = 0; via < n; ++via) {
    if (!is_thoroughfare(*tiers_[via])) continue;  // the engine's slots are no place to pass through
    if (tiers_[via]->info().space == AddressSpace::kDevice && !devices) continue;
    for (std::size_t from = 0; from < n; ++from) {
      for (std::size_t to = 0; to < n; ++to) {
        if (from == to || cost[from][via] == kUnreached || cost[via][to] == kUnreached) continue;
        if (devices && before[from][to] != kUnreached) continue;
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
