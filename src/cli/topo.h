// What this machine has that tiers can be made of, and what is near what.
//
// Thread contract: one thread; plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/dax.h"
#include "machine/memory_limit.h"
#include "machine/nodes.h"

namespace kelvin::cli {

// A GPU, a drive or a network card.
struct Device {
  enum class Kind : std::uint8_t { kGpu, kDrive, kNetwork };

  Kind kind = Kind::kDrive;
  std::string name;         // "nvme0n1", "mlx5_0"
  std::string model;        // "" if unknown
  std::uint64_t bytes = 0;  // of a drive
  int node = -1;            // the memory node that it is near to; -1: not told
};

struct Machine {
  std::vector<MemoryNode> nodes;
  std::vector<DaxDevice> dax;
  std::vector<Device> devices;
  std::vector<int> cpus;             // that this process may run on
  std::uint64_t online_cpus = 0;     // that the machine has
  MemoryLimit limit;                 // of this process
  std::uint64_t free_huge_2mib = 0;  // reserved pages
  std::uint64_t free_huge_1gib = 0;
  std::string thp;         // "always", "madvise", "never"; "" if the kernel has none
  bool balancing = false;  // the kernel moves pages between nodes by itself
  bool demotion = false;   // the kernel moves cold pages to far nodes by itself
  bool hwloc = false;      // devices were looked for
};

Machine discover();

// A node that DAX devices were turned into, or whose memory is CXL by another sign.
bool is_cxl(const Machine& machine, const MemoryNode& node);

std::string device_kind_name(Device::Kind kind);

// The tree, for people.
std::string topo_text(const Machine& machine);
// What stands in the way of speed here: limits, missing huge pages, what the kernel does by itself. One line
// each.
std::vector<std::string> topo_remarks(const Machine& machine);

}  // namespace kelvin::cli
