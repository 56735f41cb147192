// Which memory the keys `nodes` (dram) and `device` (cxl) mean, and what is said where they mean none.
#include "tiers/host/far_memory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "machine/place.h"
#include "tiers/host/dax_arena.h"
#include "tiers/host/host.h"
#include "tiers/host/memkind_arena.h"
#include "tiers/host/placement.h"

namespace kelvin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

MemoryNode node(int id, std::vector<int> cpus, bool allowed = true) {
  MemoryNode made;
  made.id = id;
  made.bytes = 1ULL << 30;
  made.cpus = std::move(cpus);
  made.allowed = allowed;
  return made;
}

DaxDevice device(const std::string& name, DaxMode mode, int at = -1, bool persistent = false) {
  DaxDevice made;
  made.name = name;
  made.bytes = 1ULL << 30;
  made.mode = mode;
  made.node = at;
  made.persistent = persistent;
  return made;
}

const std::vector<MemoryNode> kNodes = {node(0, {0, 1}), node(1, {2, 3}), node(2, {}), node(3, {}),
                                        node(4, {4}, false)};

TEST(Placement, LocalIsWhereTheProcessRuns) {
  std::string why;
  const auto one = place({"local"}, kNodes, {2}, &why);
  ASSERT_TRUE(one.ok()) << why;
  EXPECT_THAT(one->nodes, ElementsAre(1));
  EXPECT_FALSE(one->required) << "the default does without where binding is forbidden";
  EXPECT_THAT(place({"local"}, kNodes, {0, 3}, &why)->nodes, ElementsAre(0, 1));
}

TEST(Placement, InterleaveIsEveryNodeWithCpusThatMayBeUsed) {
  std::string why;
  const auto placement = place({"interleave"}, kNodes, {0}, &why);
  EXPECT_THAT(placement->nodes, ElementsAre(0, 1));
  EXPECT_TRUE(placement->required);
}

TEST(Placement, TakesNodesByNumber) {
  std::string why;
  EXPECT_THAT(place({"3", "0-1"}, kNodes, {0}, &why)->nodes, ElementsAre(3, 0, 1));
}

TEST(Placement, SaysWhichNodesThereAre) {
  std::string why;
  EXPECT_EQ(place({"7"}, kNodes, {0}, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("no memory node 7: this machine has 0-4"));
  EXPECT_THAT(why, HasSubstr("kelvin topo"));
}

TEST(Placement, SaysWhichNodesTheCpusetLeaves) {
  std::string why;
  EXPECT_EQ(place({"4"}, kNodes, {0}, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("may not use memory node 4, only 0-3"));
  EXPECT_THAT(why, HasSubstr("cpuset"));
}

TEST(Placement, RefusesWhatIsNoNode) {
  std::string why;
  for (const char* text : {"near", "", "1x", "local,0"}) {
    EXPECT_EQ(place({text}, kNodes, {0}, &why).status().code(), Code::kInvalid) << text;
    EXPECT_THAT(why, HasSubstr("neither \"local\" nor \"interleave\""));
  }
  EXPECT_FALSE(place({}, kNodes, {0}, &why).ok());
}

TEST(FarMemory, AutoPrefersNodesThatDaxDevicesBecame) {
  std::string why;
  const auto far = find_far_memory({"auto"}, kNodes, {device("dax0.0", DaxMode::kMemory, 3)}, &why);
  ASSERT_TRUE(far.ok()) << why;
  EXPECT_THAT(far->nodes, ElementsAre(3));
  EXPECT_TRUE(far->found);
}

TEST(FarMemory, AutoTakesOtherNodesWithoutCpus) {
  std::string why;
  EXPECT_THAT(find_far_memory({"auto"}, kNodes, {}, &why)->nodes, ElementsAre(2, 3));
}

TEST(FarMemory, AutoTakesDevicesWhereThereAreNoNodes) {
  std::string why;
  const auto far = find_far_memory({"auto"}, {node(0, {0})}, {device("dax0.0", DaxMode::kDevice)}, &why);
  ASSERT_TRUE(far.ok()) << why;
  ASSERT_EQ(far->devices.size(), 1U);
}

TEST(FarMemory, AutoNeverOverwritesPersistentMemory) {
  std::string why;
  const auto far =
      find_far_memory({"auto"}, {node(0, {0})}, {device("dax0.0", DaxMode::kDevice, -1, true)}, &why);
  EXPECT_EQ(far.status().code(), Code::kNotFound);
  EXPECT_THAT(why, HasSubstr("may hold somebody's data"));
  EXPECT_THAT(why, HasSubstr("device = \"/dev/dax0.0\""));
}

TEST(FarMemory, AutoSaysThatThereIsNone) {
  std::string why;
  EXPECT_EQ(find_far_memory({"auto"}, {node(0, {0})}, {}, &why).status().code(), Code::kNotFound);
  EXPECT_THAT(why, HasSubstr("leave this tier out"));
}

TEST(FarMemory, TakesWhatIsNamed) {
  std::string why;
  EXPECT_THAT(find_far_memory({"node2"}, kNodes, {}, &why)->nodes, ElementsAre(2));
  const auto far =
      find_far_memory({"/dev/dax1.0"}, kNodes, {device("dax1.0", DaxMode::kDevice, 3, true)}, &why);
  ASSERT_TRUE(far.ok()) << why;
  EXPECT_EQ(far->devices[0].name, "dax1.0");
}

TEST(FarMemory, SaysHowToUseADeviceInTheWrongMode) {
  std::string why;
  EXPECT_EQ(
      find_far_memory({"/dev/dax0.0"}, kNodes, {device("dax0.0", DaxMode::kMemory, 3)}, &why).status().code(),
      Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("mode system-ram"));
  EXPECT_THAT(why, HasSubstr("device = \"node3\""));
  EXPECT_THAT(why, HasSubstr("daxctl reconfigure-device -m devdax"));
  EXPECT_FALSE(find_far_memory({"dax0.0"}, kNodes, {device("dax0.0", DaxMode::kNone)}, &why).ok());
  EXPECT_THAT(why, HasSubstr("daxctl enable-device dax0.0"));
}

TEST(FarMemory, RefusesWhatIsNotThereOrMixed) {
  std::string why;
  EXPECT_FALSE(find_far_memory({"/dev/dax9.0"}, kNodes, {device("dax0.0", DaxMode::kDevice)}, &why).ok());
  EXPECT_THAT(why, HasSubstr("there are /dev/dax0.0"));
  EXPECT_FALSE(find_far_memory({"node9"}, kNodes, {}, &why).ok());
  EXPECT_THAT(why, HasSubstr("no memory node 9"));
  EXPECT_FALSE(find_far_memory({"cxl"}, kNodes, {}, &why).ok());
  EXPECT_FALSE(find_far_memory({"node2", "dax0.0"}, kNodes, {device("dax0.0", DaxMode::kDevice)}, &why).ok());
  EXPECT_THAT(why, HasSubstr("two tiers"));
}

TEST(DaxArena, SaysWhatADeviceHas) {
  std::string why;
  EXPECT_EQ(map_dax(device("dax0.0", DaxMode::kDevice), 2ULL << 30, &why).status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("[[tier]].capacity"));
}

TEST(DaxArena, SaysThatADeviceCannotBeOpened) {
  std::string why;
  EXPECT_EQ(map_dax(device("kelvin-is-none", DaxMode::kDevice), 4096, &why).status().code(),
            Code::kUnavailable);
  EXPECT_THAT(why, HasSubstr("/dev/kelvin-is-none cannot be opened"));
}

Result<std::unique_ptr<Tier>> open_cxl(std::vector<Option> given, std::string* why,
                                       std::uint64_t capacity = 1 << 20) {
  SpaceConfig space;
  space.block_bytes = 4096;
  TierConfig config;
  config.name = "far";
  config.capacity_bytes = capacity;
  config.options = std::move(given);
  const auto options = Options::bind(kCxlTier.options, config.options, "tier 'far'", why);
  if (!options.ok()) return options.status();
  return kCxlTier.open({space, config}, *options, why);
}

TEST(CxlFactory, ServesANamedNode) {
  std::string why;
  const int id = memory_nodes().front().id;
  const auto tier = open_cxl({{"device", "node" + std::to_string(id)}, {"through", "mbind"}}, &why);
  if (tier.status().code() == Code::kUnsupported) GTEST_SKIP() << why;
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_EQ((*tier)->info().kind, TierKind::kCxl);
  EXPECT_EQ((*tier)->info().slots, 256U);
}

TEST(CxlFactory, NamesTheTierInWhatItRefuses) {
  std::string why;
  EXPECT_FALSE(open_cxl({{"device", "node999"}}, &why).ok());
  EXPECT_THAT(why, HasSubstr("tier 'far': there is no memory node 999"));
}

TEST(CxlFactory, RefusesMoreThanItsNodeHas) {
  std::string why;
  const MemoryNode only = memory_nodes().front();
  const auto tier = open_cxl({{"device", "node" + std::to_string(only.id)}}, &why, only.bytes * 2);
  EXPECT_EQ(tier.status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("[[tier]].capacity"));
}

TEST(CxlFactory, ByMemkindNeedsItsKinds) {
  std::string why;
  const int id = memory_nodes().front().id;
  EXPECT_FALSE(open_cxl({{"device", "node" + std::to_string(id)}, {"through", "memkind"}}, &why).ok());
  EXPECT_THAT(why, HasSubstr("through = \"mbind\""));
  if (memkind_serves(&why)) GTEST_SKIP() << "memkind has memory of its kinds here";
  EXPECT_THAT(why, HasSubstr("memkind"));
  EXPECT_THAT(why, HasSubstr("through = \"mbind\""));
  EXPECT_EQ(map_memkind(1 << 20, false, -1, &why).status().code(), Code::kUnsupported);
}

// Runs `body` in a process of its own, in which `forbid` succeeded; skips where it cannot.
template <class Forbid, class Body>
void in_a_process_without(Forbid forbid, Body body) {
  constexpr int kCannotForbid = 77;
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid()) ::_exit(kCannotForbid);
    body();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotForbid) GTEST_SKIP() << "it cannot be forbidden here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// mbind answers EPERM, as in many containers.
bool forbid_binding() {
  std::array<sock_filter, 4> program = {{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_mbind},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(WithoutPermission, ToBindANamedNodeIsAnErrorAndLocalDoesWithout) {
  in_a_process_without(forbid_binding, [] {
    const int id = memory_nodes().front().id;
    std::string why;
    const auto named = Arena::map({.bytes = 1 << 20, .node = id}, &why);
    EXPECT_EQ(named.status().code(), Code::kUnsupported);
    EXPECT_THAT(why, HasSubstr("the container forbids mbind"));
    EXPECT_THAT(why, HasSubstr("CAP_SYS_NICE"));
    const auto local = Arena::map({.bytes = 1 << 20, .node = id, .must_bind = false}, &why);
    ASSERT_TRUE(local.ok()) << why;
    EXPECT_EQ(local->node(), -1);
  });
}

TEST(WithoutPermission, ADeviceIsRefusedAndSaysWhom) {
  // A device of nobody's: root gives up its right to open what it has no permission for.
  const std::string name = "../" + ::testing::TempDir() + "/kelvin-dax-" + std::to_string(::getpid());
  DaxDevice closed = device(name, DaxMode::kDevice);
  const int fd = ::open(closed.path().c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  ::close(fd);
  in_a_process_without([] { return ::geteuid() != 0 || ::setuid(65534) == 0; },
                       [&] {
                         std::string why;
                         EXPECT_EQ(map_dax(closed, 4096, &why).status().code(), Code::kUnavailable);
                         EXPECT_THAT(why, HasSubstr("may not be opened by this user"));
                         EXPECT_THAT(why, HasSubstr("udev"));
                       });
  ::unlink(closed.path().c_str());
}

// With far memory at hand, as in the lab.

std::vector<int> nodes_of_dax() {
  std::vector<int> nodes;
  for (const DaxDevice& dax : dax_devices()) {
    if (dax.mode == DaxMode::kMemory) nodes.push_back(dax.node);
  }
  return nodes;
}

// Writes all of a tier, and says how much of it lies elsewhere than on `node`, in percent.
double percent_elsewhere(const Tier& tier, int node) {
  std::map<int, std::uint64_t> pages;
  for (std::uint32_t slot = 0; slot < tier.info().slots; ++slot)
    std::memset(tier.address(Slot(slot), 0).pointer, static_cast<int>(slot), tier.info().slot_bytes);
  for (const HostRange& range : tier.info().ranges) {
    for (const auto& [id, count] : pages_by_node(range.base, range.bytes)) pages[id] += count;
  }
  std::uint64_t all = 0;
  for (const auto& [id, count] : pages) all += count;
  return 100.0 - 100.0 * static_cast<double>(pages[node]) / static_cast<double>(all);
}

TEST(FarMemoryHere, TakenByMbindLiesOnItsNode) {
  const std::vector<int> nodes = nodes_of_dax();
  if (nodes.empty()) GTEST_SKIP() << "no memory node here was made of a DAX device";
  for (const std::string& device : {std::string("auto"), "node" + std::to_string(nodes[0])}) {
    std::string why;
    const auto tier =
        open_cxl({{"device", device}, {"through", "mbind"}, {"prefault", "true"}}, &why, 4 << 20);
    ASSERT_TRUE(tier.ok()) << why;
    EXPECT_LE(percent_elsewhere(**tier, nodes[0]), 1.0);
  }
}

TEST(FarMemoryHere, TakenByMemkindLiesOnItsNode) {
  const std::vector<int> nodes = nodes_of_dax();
  std::string why;
  if (nodes.empty()) GTEST_SKIP() << "no memory node here was made of a DAX device";
  if (!memkind_serves(&why)) GTEST_SKIP() << why;
  const auto tier = open_cxl({{"through", "memkind"}}, &why, 4 << 20);
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_LE(percent_elsewhere(**tier, nodes[0]), 1.0);
}

TEST(FarMemoryHere, OfADeviceIsMappedClaimedAndKeepsItsBytes) {
  const auto devices = dax_devices();
  const auto it = std::ranges::find(devices, DaxMode::kDevice, &DaxDevice::mode);
  if (it == devices.end()) GTEST_SKIP() << "there is no DAX device in mode devdax here";
  std::string why;
  const auto tier = open_cxl({{"device", it->path()}}, &why, 4 << 20);
  ASSERT_TRUE(tier.ok()) << why;
  for (const int round : {1, 2}) {
    for (std::uint32_t slot = 0; slot < (*tier)->info().slots; ++slot) {
      std::byte* const at = (*tier)->address(Slot(slot), 0).pointer;
      const auto value = static_cast<std::byte>(slot % 251);
      if (round == 1) std::memset(at, static_cast<int>(value), 4096);
      EXPECT_EQ(at[0], value);
      EXPECT_EQ(at[4095], value);
    }
  }
  EXPECT_EQ(open_cxl({{"device", it->path()}}, &why, 4 << 20).status().code(), Code::kBusy);
  EXPECT_THAT(why, HasSubstr("in use by another tier or process"));
  EXPECT_EQ(open_cxl({{"device", it->path()}}, &why, it->bytes * 2).status().code(), Code::kFull);
}

TEST(FarMemoryHere, OfADeviceInTheWrongModeIsRefused) {
  const auto devices = dax_devices();
  const auto it = std::ranges::find(devices, DaxMode::kMemory, &DaxDevice::mode);
  if (it == devices.end()) GTEST_SKIP() << "there is no DAX device in mode system-ram here";
  std::string why;
  EXPECT_EQ(open_cxl({{"device", it->path()}}, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("mode system-ram"));
}

}  // namespace
}  // namespace kelvin
