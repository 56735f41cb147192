// What the kernel says of the machine: read from folders made for it, as on machines that this one is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "machine/dax.h"
#include "machine/id_list.h"
#include "machine/nodes.h"
#include "machine/place.h"

namespace kelvin {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(IdLists, AreReadAsTheKernelWritesThem) {
  EXPECT_THAT(read_id_list("0-3,8"), ElementsAre(0, 1, 2, 3, 8));
  EXPECT_THAT(read_id_list("\t5,1,1\n"), ElementsAre(1, 5));
  EXPECT_THAT(read_id_list(""), IsEmpty());
  EXPECT_THAT(read_id_list("none"), IsEmpty());
  EXPECT_THAT(read_id_list("3-1,99999999999"), IsEmpty());
}

TEST(IdLists, AreWrittenTheSameWay) {
  EXPECT_EQ(id_list_text({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
  EXPECT_EQ(id_list_text({}), "none");
}

// A machine of files: two sockets, a CXL node behind the second, and a cpuset that shuts node 0 out.
class MachineFiles : public ::testing::Test {
 protected:
  MachineFiles()
      : root_(std::filesystem::temp_directory_path() / ("kelvin-machine-" + std::to_string(::getpid()))) {
    write("sys/devices/system/node/online", "0-3\n");
    node(0, 16 << 20, 8 << 20, "0-1", "10 21 24 34");
    node(1, 16 << 20, 4 << 20, "2-3", "21 10 34 24");
    node(2, 0, 0, "", "24 34 10 44");  // no memory: a node of a device
    node(3, 32 << 20, 32 << 20, "", "34 24 44 10");
    write("sys/devices/system/node/node3/access0/initiators/read_bandwidth", "30000\n");
    write("sys/devices/system/node/node3/access0/initiators/read_latency", "250\n");
    write("proc/self/status", "Name:\tx\nMems_allowed_list:\t1,3\n");
  }
  ~MachineFiles() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const auto file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void node(int id, int total_kib, int free_kib, const std::string& cpus,
            const std::string& distances) const {
    const std::string here = "sys/devices/system/node/node" + std::to_string(id) + "/";
    const std::string line = "Node " + std::to_string(id) + " ";
    write(here + "meminfo", line + "MemTotal:  " + std::to_string(total_kib) + " kB\n" + line +
                                "MemFree: " + std::to_string(free_kib) + " kB\n" + line +
                                "Active(file): 1024 kB\n" + line + "Inactive(file): 2048 kB\n");
    write(here + "cpulist", cpus + "\n");
    write(here + "distance", distances + "\n");
  }

  std::filesystem::path root_;
};

TEST_F(MachineFiles, ShowNodesThatHaveMemory) {
  const auto nodes = memory_nodes(root_.string());
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(nodes[0].bytes, 16ULL << 30);
  EXPECT_EQ(nodes[0].room_bytes, (8ULL << 30) + (3ULL << 20)) << "what is free, and the page cache";
  EXPECT_THAT(nodes[1].cpus, ElementsAre(2, 3));
  EXPECT_EQ(nodes[2].id, 3);
  EXPECT_THAT(nodes[2].cpus, IsEmpty());
  EXPECT_THAT(nodes[2].distances, ElementsAre(34, 24, 10)) << "node 2 has no memory";
  EXPECT_EQ(nodes[2].read_latency_ns, 250U);
  EXPECT_EQ(nodes[2].read_bytes_per_second, 30000ULL << 20);
}

TEST_F(MachineFiles, ShowWhatTheCpusetAllows) {
  const auto nodes = memory_nodes(root_.string());
  EXPECT_FALSE(nodes[0].allowed);
  EXPECT_TRUE(nodes[1].allowed);
  EXPECT_THAT(local_nodes(nodes, {0, 1, 2, 3}), ElementsAre(1));
  EXPECT_THAT(local_nodes(nodes, {99}), ElementsAre(1)) << "no CPU of ours is near any: all with CPUs";
}

TEST_F(MachineFiles, ShowWhichCpusAreNearFarMemory) {
  const auto nodes = memory_nodes(root_.string());
  EXPECT_THAT(cpus_near(nodes, 3, {0, 1, 2, 3}), ElementsAre(2, 3));
  EXPECT_THAT(cpus_near(nodes, 3, {0, 1}), ElementsAre(0, 1)) << "the nearest of those that may be used";
  EXPECT_THAT(cpus_near(nodes, 0, {3}), ElementsAre(3)) << "none near: all";
  EXPECT_THAT(cpus_near(nodes, -1, {1, 3}), ElementsAre(1, 3));
}

TEST_F(MachineFiles, OfAKernelWithoutNodesShowOne) {
  std::filesystem::remove_all(root_ / "sys/devices/system/node");
  write("proc/meminfo", "MemTotal: 2048 kB\nMemAvailable: 1024 kB\n");
  write("sys/devices/system/cpu/online", "0-1\n");
  const auto nodes = memory_nodes(root_.string());
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes[0].bytes, 2ULL << 20);
  EXPECT_EQ(nodes[0].room_bytes, 1ULL << 20);
  EXPECT_TRUE(nodes[0].allowed);
}

TEST_F(MachineFiles, ShowReservedPagesByNode) {
  write("sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "12\n");
  write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "3\n");
  EXPECT_EQ(free_huge_pages(1, 2 << 20, root_.string()), 12U);
  EXPECT_EQ(free_huge_pages(-1, 1 << 30, root_.string()), 3U);
  EXPECT_EQ(free_huge_pages(0, 2 << 20, root_.string()), 0U);
}

TEST_F(MachineFiles, ShowDaxDevicesAndTheirModes) {
  const std::string bus = "sys/bus/dax/devices/";
  const auto device = [&](const std::string& name, const std::string& driver) {
    write(bus + name + "/size", "1073741824\n");
    write(bus + name + "/align", "2097152\n");
    write(bus + name + "/target_node", "3\n");
    std::filesystem::create_directories(root_ / "sys/bus/dax/drivers" / driver);
    if (!driver.empty())
      std::filesystem::create_symlink(root_ / "sys/bus/dax/drivers" / driver, root_ / bus / name / "driver");
  };
  device("dax1.0", "kmem");
  device("dax0.0", "device_dax");
  device("dax2.0", "");
  const auto devices = dax_devices(root_.string());
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[0].path(), "/dev/dax0.0");
  EXPECT_EQ(devices[0].mode, DaxMode::kDevice);
  EXPECT_EQ(devices[0].bytes, 1ULL << 30);
  EXPECT_EQ(devices[1].mode, DaxMode::kMemory);
  EXPECT_EQ(devices[1].node, 3);
  EXPECT_EQ(devices[2].mode, DaxMode::kNone);
  EXPECT_FALSE(devices[0].persistent);
}

TEST(Place, PutsPagesOnTheNodeTheyAreBoundTo) {
  const auto nodes = memory_nodes();
  constexpr std::uint64_t kBytes = 4 << 20;
  for (const MemoryNode& node : nodes) {
    if (!node.allowed || node.room_bytes < 2 * kBytes) continue;
    auto* const base = static_cast<std::byte*>(
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const Status status = bind_to_node(base, kBytes, node.id);
    if (status.code() == Code::kUnsupported) {
      ::munmap(base, kBytes);
      GTEST_SKIP() << "this kernel or container forbids mbind";
    }
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_THAT(pages_by_node(base, kBytes), ElementsAre(::testing::Pair(-1, kBytes / 4096)));
    std::memset(base, 1, kBytes);
    EXPECT_THAT(pages_by_node(base, kBytes), ElementsAre(::testing::Pair(node.id, kBytes / 4096)));
    ::munmap(base, kBytes);
  }
}

TEST(Place, RefusesNodesThatAreNone) {
  std::vector<std::byte> bytes(4096);
  EXPECT_EQ(bind_to_node(bytes.data(), 4096, -1).code(), Code::kInvalid);
  EXPECT_EQ(bind_to_node(bytes.data(), 4096, 4096).code(), Code::kInvalid);
}

}  // namespace
}  // namespace kelvin
