// kelvin topo: what it proposes for machines that are made up, what it says of limits, and the command
// itself.
#include "cli/topo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/topo_propose.h"
#include "command_fixture.h"
#include "kelvin/config.h"

namespace kelvin::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::uint64_t kGiB = 1ULL << 30;

MemoryNode node(int id, std::vector<int> cpus) {
  MemoryNode made;
  made.id = id;
  made.bytes = 64 * kGiB;
  made.room_bytes = 60 * kGiB;
  made.cpus = std::move(cpus);
  return made;
}

// Two sockets, CXL memory behind one of them, other far memory behind the other.
Machine two_sockets() {
  Machine machine;
  machine.nodes = {node(0, {0, 1}), node(1, {2, 3}), node(2, {}), node(3, {})};
  DaxDevice dax;
  dax.name = "dax0.0";
  dax.bytes = 64 * kGiB;
  dax.node = 2;
  dax.mode = DaxMode::kMemory;
  machine.dax = {dax};
  machine.cpus = {0, 1};
  machine.online_cpus = 4;
  machine.limit = {200 * kGiB, "/proc/meminfo"};
  machine.thp = "madvise";
  machine.hwloc = true;
  return machine;
}

std::vector<std::string> kinds_of(const Proposal& proposal) {
  std::vector<std::string> kinds;
  for (const TierConfig& tier : proposal.config.tiers) kinds.push_back(tier.kind);
  return kinds;
}

TEST(TopoProposal, IsNearMemoryThenCxl) {
  const Proposal proposal = propose(two_sockets());
  ASSERT_THAT(kinds_of(proposal), ElementsAre("dram", "cxl"));
  EXPECT_EQ(proposal.config.tiers[0].capacity_bytes, 30 * kGiB) << "half of node 0, where the process runs";
  EXPECT_EQ(proposal.config.tiers[1].capacity_bytes, 48 * kGiB);
  EXPECT_EQ(proposal.config.tiers[1].options[0].value, "node2");
  EXPECT_THAT(proposal.left_out, Contains(HasSubstr("node 3 is far memory too")));
}

TEST(TopoProposal, TakesOtherFarMemoryWhereThereIsNoCxl) {
  Machine machine = two_sockets();
  machine.dax.clear();
  const Proposal proposal = propose(machine);
  ASSERT_THAT(kinds_of(proposal), ElementsAre("dram", "cxl"));
  EXPECT_EQ(proposal.config.tiers[1].options[0].value, "node2\nnode3");
}

TEST(TopoProposal, KeepsToTheLimitOfTheControlGroup) {
  Machine machine = two_sockets();
  machine.limit = {8 * kGiB, "/sys/fs/cgroup/memory.max"};
  const Proposal proposal = propose(machine);
  EXPECT_EQ(proposal.config.tiers[0].capacity_bytes, 4 * kGiB);
  EXPECT_LE(proposal.config.tiers[1].capacity_bytes, 4 * kGiB) << "both together";
  EXPECT_THAT(proposal.reasons[0], HasSubstr("/sys/fs/cgroup/memory.max"));
}

TEST(TopoProposal, TakesDaxDevicesUnlessTheyMayHoldData) {
  Machine machine = two_sockets();
  machine.nodes.resize(2);
  machine.dax[0].mode = DaxMode::kDevice;
  const Proposal taken = propose(machine);
  ASSERT_THAT(kinds_of(taken), ElementsAre("dram", "cxl"));
  EXPECT_EQ(taken.config.tiers[1].options[0].value, "/dev/dax0.0");
  machine.dax[0].persistent = true;
  const Proposal left = propose(machine);
  EXPECT_THAT(kinds_of(left), ElementsAre("dram"));
  EXPECT_THAT(left.left_out, Contains(HasSubstr("persistent memory and may hold data")));
}

TEST(TopoProposal, LeavesOutNodesThatTheCpusetForbids) {
  Machine machine = two_sockets();
  for (MemoryNode& each : machine.nodes) each.allowed = each.id == 1;
  const Proposal proposal = propose(machine);
  ASSERT_THAT(kinds_of(proposal), ElementsAre("dram"));
  EXPECT_THAT(proposal.reasons[0], HasSubstr("node 1"));
}

TEST(TopoProposal, IsAConfigWithItsReasonsAsComments) {
  Proposal proposal = propose(two_sockets());
  const std::string text = proposal_toml(proposal, false);
  std::string why;
  const auto config = parse_config(text, "topo", &why);
  ASSERT_TRUE(config.ok()) << why << "\n" << text;
  EXPECT_EQ(config->tiers.size(), 2U);
  EXPECT_THAT(text, HasSubstr("capacity = \"30GiB\"  # half of what"));
  EXPECT_THAT(text, HasSubstr("# node 3 is far memory too"));
  proposal.config.tiers[1].load_bandwidth = 10 * kGiB;
  const std::string measured = proposal_toml(proposal, true);
  ASSERT_TRUE(parse_config(measured, "topo", &why).ok()) << why;
  EXPECT_THAT(measured, HasSubstr("load_bandwidth = \"10GiB\""));
}

TEST(TopoProposal, SuggestsGpuMemoryOrSaysWhyItCannotBeUsed) {
  Machine machine = two_sockets();
  machine.devices = {{Device::Kind::kGpu, "0:41:0.0", "Maker Model", 0, 0}};
  const Proposal proposal = propose(machine);
  ASSERT_THAT(kinds_of(proposal), ElementsAre("dram", "cxl")) << "the engine's share of it is not known";
  EXPECT_THAT(proposal.left_out, Contains(HasSubstr("Maker Model")));
}

TEST(TopoProposal, SuggestionsOfSeveralLinesAreCommentsAsAWhole) {
  Proposal proposal = propose(two_sockets());
  proposal.left_out = {"a GPU:\n[[tier]]\nkind = \"hbm\""};
  const std::string text = proposal_toml(proposal, false);
  EXPECT_THAT(text, HasSubstr("# a GPU:\n# [[tier]]\n# kind = \"hbm\"\n"));
  std::string why;
  EXPECT_TRUE(parse_config(text, "topo", &why).ok()) << why;
}

TEST(TopoRemarks, NameWhatLimitsThisProcess) {
  Machine machine = two_sockets();
  machine.limit = {8 * kGiB, "/sys/fs/cgroup/box/memory.max"};
  machine.thp = "never";
  machine.balancing = machine.demotion = true;
  machine.hwloc = false;
  const auto remarks = topo_remarks(machine);
  EXPECT_THAT(remarks, Contains(HasSubstr("8.00 GiB of memory: /sys/fs/cgroup/box/memory.max")));
  EXPECT_THAT(remarks, Contains(HasSubstr("CPUs 0-1 only")));
  EXPECT_THAT(remarks, Contains(HasSubstr("there are no huge pages")));
  EXPECT_THAT(remarks, Contains(HasSubstr("numa_balancing")));
  EXPECT_THAT(remarks, Contains(HasSubstr("demotion_enabled")));
  EXPECT_THAT(remarks, Contains(HasSubstr("libhwloc-dev")));
}

TEST(TopoRemarks, AreFewOnAMachineThatHasAll) {
  Machine machine = two_sockets();
  machine.cpus = {0, 1, 2, 3};
  machine.free_huge_2mib = 100;
  EXPECT_THAT(topo_remarks(machine), ElementsAre(HasSubstr("100 of 2 MiB")));
}

TEST(TopoTree, ShowsWhatIsNearWhat) {
  Machine machine = two_sockets();
  machine.devices = {{Device::Kind::kGpu, "0:41:0.0", "Maker Model", 0, 0},
                     {Device::Kind::kDrive, "nvme0n1", "", 1000 * kGiB, 1},
                     {Device::Kind::kNetwork, "mlx5_0", "", 0, -1}};
  const std::string text = topo_text(machine);
  const auto at = [&](const std::string& what) { return text.find(what); };
  EXPECT_LT(at("node 0"), at("gpu  0:41:0.0, Maker Model"));
  EXPECT_LT(at("gpu"), at("node 1"));
  EXPECT_LT(at("node 1"), at("drive  nvme0n1, 1000.00 GiB"));
  EXPECT_LT(at("drive"), at("node 2"));
  EXPECT_THAT(text, HasSubstr("no CPUs: CXL"));
  EXPECT_THAT(text, HasSubstr("+- network  mlx5_0"));
}

TEST(TopoDiscovery, FindsThisMachine) {
  const Machine machine = discover();
  ASSERT_THAT(machine.nodes, Not(IsEmpty()));
  EXPECT_GT(machine.nodes[0].bytes, 0U);
  EXPECT_THAT(machine.cpus, Not(IsEmpty()));
  EXPECT_GE(machine.online_cpus, machine.cpus.size());
}

class TopoCommand : public Command {};

TEST_F(TopoCommand, WritesAConfigThatIsRight) {
  const Outcome got = kelvin("topo --config " + folder_ + "/machine.toml");
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("node 0"));
  EXPECT_THAT(got.out, HasSubstr("proposed, from the nearest tier on:"));
  const Outcome checked = kelvin("config check " + folder_ + "/machine.toml");
  EXPECT_EQ(checked.code, 0) << checked.err;
}

TEST_F(TopoCommand, TellsMachinesToo) {
  const Outcome got = kelvin("topo --json -");
  ASSERT_EQ(got.code, 0) << got.err;
  const auto json = nlohmann::json::parse(got.out);
  EXPECT_GE(json["nodes"].size(), 1U);
  EXPECT_GE(json["proposal"]["tiers"].size(), 1U);
  EXPECT_EQ(json["proposal"]["tiers"][0]["kind"], "dram");
}

TEST_F(TopoCommand, MeasuresWhatLinksThereAre) {
  const Outcome got = kelvin("topo --measure --json " + folder_ + "/machine.json");
  ASSERT_EQ(got.code, 0) << got.err;
  const auto json = nlohmann::json::parse(read(folder_ + "/machine.json"));
  EXPECT_EQ(json.contains("links"), json["proposal"]["tiers"].size() > 1);
}

TEST_F(TopoCommand, SaysWhereItCannotWrite) {
  const Outcome got = kelvin("topo --config " + folder_ + "/no/such/folder.toml");
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("cannot be written"));
}

}  // namespace
}  // namespace kelvin::cli
