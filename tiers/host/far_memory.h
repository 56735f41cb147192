// Which far memory a tier of kind "cxl" means: memory nodes without CPUs, or DAX devices.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "kelvin/status.h"
#include "machine/dax.h"
#include "machine/nodes.h"

namespace kelvin {

// Either nodes or devices, at least one.
struct FarMemory {
  std::vector<int> nodes;
  std::vector<DaxDevice> devices;
  bool found = false;  // by "auto", not named
};

// `wanted`: "auto", or nodes ("node2") or devices ("/dev/dax0.0"), not both. auto takes the nodes that DAX
// devices were turned into; else other nodes without CPUs; else DAX devices whose memory forgets. kNotFound:
// there is none; kInvalid: what is named is not there, not to be used, or in another mode; `why` says what to
// do.
Result<FarMemory> find_far_memory(const std::vector<std::string>& wanted,
                                  const std::vector<MemoryNode>& nodes, const std::vector<DaxDevice>& devices,
                                  std::string* why);

}  // namespace kelvin
