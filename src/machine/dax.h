// DAX devices: memory (CXL or persistent) that the kernel shows as a device, to be mapped as a whole, or has
// turned into a memory node.
//
// Thread contract: pure but for reading /sys below `root`; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kelvin {

enum class DaxMode : std::uint8_t {
  kDevice,  // "devdax": /dev/daxX.Y can be mapped
  kMemory,  // "system-ram": its memory is that of node `node`
  kNone,    // no driver serves it
};

struct DaxDevice {
  std::string name;  // "dax0.0"
  std::uint64_t bytes = 0;
  std::uint64_t align = 2u << 20;  // mappings are multiples of this
  int node = -1;                   // the node that its memory is, or would become
  DaxMode mode = DaxMode::kNone;
  bool persistent = false;  // what was written there may be somebody's data

  std::string path() const { return "/dev/" + name; }
};

// By name.
std::vector<DaxDevice> dax_devices(const std::string& root = "");

}  // namespace kelvin
