// The memory nodes of this machine as the kernel lists them, and which of them this process may use.
//
// A node is memory that is equally near to all of it, with the CPUs that are nearest to it, if any. One
// without CPUs is far memory: CXL, or persistent memory that serves as memory.
//
// Thread contract: pure but for reading /sys and /proc below `root` (tests give one of their own); any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kelvin {

struct MemoryNode {
  int id = 0;
  std::uint64_t bytes = 0;
  std::uint64_t room_bytes = 0;  // free, or of the page cache, which gives way
  std::vector<int> cpus;         // empty: far memory
  std::vector<int> distances;    // to each node in the order of memory_nodes(); 10 is itself, empty: not told
  bool allowed = true;           // this process may take memory there (cpuset)
  // What the firmware says of access from the nearest CPUs; 0 = nothing.
  std::uint64_t read_bytes_per_second = 0;
  std::uint64_t read_latency_ns = 0;
};

// Nodes that have memory, by rising id. Where the kernel tells of no nodes: one, with all memory and CPUs.
std::vector<MemoryNode> memory_nodes(const std::string& root = "");

// CPUs that this process may run on (cpuset and affinity).
std::vector<int> allowed_cpus();

// The nodes whose CPUs this process may run on; every node with CPUs where none is named.
std::vector<int> local_nodes(const std::vector<MemoryNode>& nodes, const std::vector<int>& cpus);

// The CPUs among `cpus` that are nearest to a node: its own, else those of the nearest node that has any; all
// of them where that leaves none.
std::vector<int> cpus_near(const std::vector<MemoryNode>& nodes, int id, const std::vector<int>& cpus);

const MemoryNode* find_node(const std::vector<MemoryNode>& nodes, int id);

// Free reserved huge pages of that size on a node, or (id < 0) of the machine.
std::uint64_t free_huge_pages(int id, std::uint64_t page_bytes, const std::string& root = "");

// Memory that the machine can give without swapping.
std::uint64_t memory_room(const std::string& root = "");

}  // namespace kelvin
