// On which memory nodes a tier's slots lie: what the option `nodes` means on this machine.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "kelvin/status.h"
#include "machine/nodes.h"

namespace kelvin {

struct Placement {
  std::vector<int> nodes;  // slots go to them in turn; empty: wherever the kernel likes
  bool required = false;   // an error where memory cannot be bound; else it is done without
};

// `wanted`: "local" (nodes whose CPUs this process may run on), "interleave" (all nodes with CPUs), or nodes
// by number: "0", "2-3". `nodes`: this machine's; `cpus`: this process's. kInvalid: no such node, or one that
// this process may not use; `why` says which there are.
Result<Placement> place(const std::vector<std::string>& wanted, const std::vector<MemoryNode>& nodes,
                        const std::vector<int>& cpus, std::string* why);

}  // namespace kelvin
