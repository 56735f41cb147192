// Topology: routes over the links there are, and what is said where there is none.
#include "topology/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core_parts.h"

namespace kelvin {
namespace {

using testing::Graph;
using ::testing::HasSubstr;
using testing::made;

// The tiers a block passes on its way, the first not among them.
std::vector<int> route(const Topology& topology, std::uint8_t from, std::uint8_t to) {
  std::vector<int> tiers;
  for (TierIndex at(from); at != TierIndex(to) && tiers.size() <= kMaxTiers;) {
    const Topology::Edge* edge = topology.next_hop(at, TierIndex(to));
    if (edge == nullptr) return {};
    EXPECT_EQ(edge->from, at);
    at = edge->to;
    tiers.push_back(at.value);
  }
  return tiers;
}

using Route = std::vector<int>;

TEST(Topology, OfOneTierNeedsNoLink) {
  const auto topology = made(Graph({"a"}).make());
  EXPECT_EQ(topology->tiers(), 1u);
  EXPECT_EQ(topology->next_hop(TierIndex(0), TierIndex(0)), nullptr);
  EXPECT_EQ(topology->move_ns(TierIndex(0), TierIndex(0)), 0u);
}

TEST(Topology, RoutesGoOverSeveralHopsWhereNoLinkJoinsTheEnds) {
  const auto topology =
      made(Graph({"a", "b", "c", "d"}).both_ways(0, 1, 10).both_ways(1, 2, 10).both_ways(2, 3, 10).make());
  EXPECT_EQ(route(*topology, 3, 0), (Route{2, 1, 0}));
  EXPECT_EQ(route(*topology, 0, 3), (Route{1, 2, 3}));
  EXPECT_EQ(route(*topology, 3, 1), (Route{2, 1}));
  EXPECT_EQ(route(*topology, 2, 1), Route{1});
}

TEST(Topology, TheCheapestRouteIsTakenWhetherDirectOrNot) {
  const auto detour =
      made(Graph({"a", "b", "c"}).both_ways(0, 1, 10).both_ways(1, 2, 10).both_ways(0, 2, 21).make());
  EXPECT_EQ(route(*detour, 2, 0), (Route{1, 0}));
  const auto direct =
      made(Graph({"a", "b", "c"}).both_ways(0, 1, 10).both_ways(1, 2, 10).both_ways(0, 2, 19).make());
  EXPECT_EQ(route(*direct, 2, 0), Route{0});
}

TEST(Topology, BothWaysOfAPairMayDiffer) {
  const auto topology = made(Graph({"a", "b", "c"})
                                 .both_ways(0, 1, 10)
                                 .both_ways(1, 2, 10)
                                 .one_way(2, 0, 5)
                                 .one_way(0, 2, 500)
                                 .make());
  EXPECT_EQ(route(*topology, 2, 0), Route{0});
  EXPECT_EQ(route(*topology, 0, 2), (Route{1, 2}));
}

TEST(Topology, NoRoutePassesThroughADeviceWhereAnotherOneLeads) {
  const auto topology = made(Graph({"gpu", "dram", "nvme"})
                                 .device(0)
                                 .both_ways(0, 1, 10)
                                 .both_ways(0, 2, 10)
                                 .both_ways(1, 2, 500)
                                 .make());
  EXPECT_EQ(route(*topology, 2, 1), Route{1}) << "dearer, but there without the device";
  EXPECT_EQ(route(*topology, 2, 0), Route{0});
  const auto behind =
      made(Graph({"dram", "gpu", "far"}).device(1).both_ways(0, 1, 10).both_ways(1, 2, 10).make());
  EXPECT_EQ(route(*behind, 2, 0), (Route{1, 0})) << "no other one";
}

TEST(Topology, CostIsLatencyAndTheTimeOfOneBlock) {
  // A block has 1000 bytes: 1000 ns at 10^9 bytes a second.
  const auto topology = made(Graph({"a", "b", "c"})
                                 .both_ways(0, 1, 100, 1'000'000'000)
                                 .both_ways(1, 2, 100, 1'000'000'000)
                                 .both_ways(0, 2, 1'000, 500'000'000)
                                 .make());
  EXPECT_EQ(topology->next_hop(TierIndex(0), TierIndex(1))->cost_ns, 1'100u);
  EXPECT_EQ(topology->next_hop(TierIndex(1), TierIndex(2))->cost_ns, 1'100u);
  EXPECT_EQ(route(*topology, 0, 2), (Route{1, 2})) << "2200 ns are less than 3000";
}

TEST(Topology, LinksThatSayTheyCostNothingStillLeadSomewhere) {
  const auto topology =
      made(Graph({"a", "b", "c"}).both_ways(0, 1, 0).both_ways(1, 2, 0).both_ways(0, 2, 0).make());
  EXPECT_EQ(route(*topology, 2, 0), Route{0}) << "the fewest hops";
}

TEST(Topology, NothingPassesThroughSlotsOfTheEngine) {
  const auto topology = made(
      Graph({"a", "b", "c"}).adopt(1).both_ways(0, 1, 1).both_ways(1, 2, 1).both_ways(0, 2, 1000).make());
  EXPECT_EQ(route(*topology, 2, 0), Route{0});
  EXPECT_EQ(route(*topology, 2, 1), Route{1}) << "as an end they are as good as any";
}

TEST(Topology, ATierThatCannotReachTheFirstIsRefusedAndTheErrorSaysHowToMendIt) {
  std::string why;
  const auto topology = Graph({"dram", "disk", "tape"}).both_ways(0, 1, 1).one_way(1, 2, 1).make(&why);
  EXPECT_EQ(topology.status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("from tier 'tape' to tier 'dram'"));
  EXPECT_THAT(why, HasSubstr("put a [[tier]]"));
}

TEST(Topology, ATierThatTheOneBeforeCannotReachIsRefused) {
  std::string why;
  const auto topology = Graph({"dram", "disk", "tape"}).both_ways(0, 1, 1).one_way(2, 0, 1).make(&why);
  EXPECT_EQ(topology.status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("from tier 'disk' to tier 'tape'"));
  EXPECT_FALSE(Graph({"a", "b"}).make().ok()) << "nobody has to ask why";
}

TEST(Topology, AWayOnlyThroughSlotsOfTheEngineIsNone) {
  std::string why;
  EXPECT_FALSE(Graph({"a", "b", "c"}).adopt(1).both_ways(0, 1, 1).both_ways(1, 2, 1).make(&why).ok());
  EXPECT_THAT(why, HasSubstr("from tier 'c' to tier 'a'"));
}

TEST(Topology, BlocksInARowPayTheLatencyOnceAndTheSlowestLink) {
  const auto topology = made(
      Graph({"a", "b", "c"}).both_ways(0, 1, 100, 1'000'000'000).both_ways(1, 2, 5'000, 250'000'000).make());
  EXPECT_EQ(topology->move_ns(TierIndex(2), TierIndex(0)), 5'100u);
  EXPECT_EQ(topology->move_ns(TierIndex(2), TierIndex(0), 11), 5'100u + 10 * 4'000u);
  EXPECT_EQ(topology->move_ns(TierIndex(2), TierIndex(0), 0), 0u);
  EXPECT_EQ(topology->move_ns(TierIndex(1), TierIndex(1), 5), 0u);
}

TEST(Topology, EstimatesFollowWhatTheLinksMeasure) {
  const auto topology = made(Graph({"a", "b"}).both_ways(0, 1, 100).make());
  EXPECT_EQ(topology->move_ns(TierIndex(1), TierIndex(0)), 100u);
  LinkMeter& meter = topology->next_hop(TierIndex(1), TierIndex(0))->meter;
  for (std::uint64_t i = 0; i < 100; ++i) {
    meter.submitted(1, i * 10'000);
    meter.completed(1000, 9'000, i * 10'000 + 9'000);
  }
  EXPECT_NEAR(static_cast<double>(topology->move_ns(TierIndex(1), TierIndex(0))), 9'000, 100);
}

// Shortest distances by relaxing every edge as often as there are tiers.
TEST(Topology, RoutesOfRandomGraphsAreCheapestAndEnd) {
  std::mt19937 random(11);
  constexpr std::uint8_t kTiers = kMaxTiers;
  for (int round = 0; round < 200; ++round) {
    Graph graph({"0", "1", "2", "3", "4", "5", "6", "7"});
    std::uint64_t cost[kTiers][kTiers] = {};
    for (std::uint8_t a = 0; a < kTiers; ++a) {
      for (std::uint8_t b = 0; b < kTiers; ++b) {
        if (a == b || (b != a + 1 && a != b + 1 && random() % 3 != 0)) continue;
        cost[a][b] = 1 + random() % 100;
        graph.one_way(a, b, cost[a][b]);
      }
    }
    const auto topology = made(graph.make());
    for (std::uint8_t to = 0; to < kTiers; ++to) {
      std::array<std::uint64_t, kTiers> best;
      best.fill(1'000'000);
      best[to] = 0;
      for (int i = 0; i < kTiers; ++i) {
        for (std::uint8_t a = 0; a < kTiers; ++a) {
          for (std::uint8_t b = 0; b < kTiers; ++b) {
            if (cost[a][b] != 0) best[a] = std::min(best[a], cost[a][b] + best[b]);
          }
        }
      }
      for (std::uint8_t from = 0; from < kTiers; ++from) {
        ASSERT_LT(route(*topology, from, to).size(), kTiers);
        ASSERT_EQ(topology->move_ns(TierIndex(from), TierIndex(to)), best[from]);
      }
    }
  }
}

}  // namespace
}  // namespace kelvin
