// Discovery: memory by the kernel's own words (src/machine), devices by hwloc. See topo.h.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

#include "cli/topo.h"

#if KELVIN_HAVE_HWLOC
#include <hwloc.h>
#endif

namespace kelvin::cli {
namespace {

std::string line_of(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// "always [madvise] never" -> "madvise".
std::string chosen_word(const std::string& line) {
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']', open);
  return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

// Some network devices have no place in a machine that hwloc could know.
void add_infiniband(std::vector<Device>& devices) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/infiniband", error)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(devices, name, &Device::name) != devices.end()) continue;
    Device device{Device::Kind::kNetwork, name, "RDMA", 0, -1};
    std::istringstream node(line_of((entry.path() / "device/numa_node").string()));
    if (!(node >> device.node)) device.node = -1;
    devices.push_back(std::move(device));
  }
}

#if KELVIN_HAVE_HWLOC

std::uint64_t drive_bytes(const std::string& name) {
  std::ifstream in("/sys/class/block/" + name + "/size");
  std::uint64_t sectors = 0;
  return in >> sectors ? sectors * 512 : 0;
}

int node_near(hwloc_topology_t topology, hwloc_obj_t device) {
  const hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(topology, device);
  if (place == nullptr || place->nodeset == nullptr) return -1;
  // Near all of them says nothing.
  return hwloc_bitmap_weight(place->nodeset) == 1 ? hwloc_bitmap_first(place->nodeset) : -1;
}

std::string info_of(hwloc_obj_t object, const char* name) {
  const char* const value = hwloc_obj_get_info_by_name(object, name);
  return value == nullptr ? "" : value;
}

bool is_drive(const std::string& name) {
  return name.starts_with("nvme") && name.find('n', 4) != std::string::npos &&
         name.find('p', 4) == std::string::npos;
}

void add_device(hwloc_topology_t topology, hwloc_obj_t found, std::vector<Device>& devices) {
  Device device;
  device.name = found->name == nullptr ? "" : found->name;
  device.model = info_of(found, "Model");
  device.node = node_near(topology, found);
  switch (found->attr->osdev.type) {
    case HWLOC_OBJ_OSDEV_BLOCK:
      if (!is_drive(device.name)) return;
      device.kind = Device::Kind::kDrive;
      device.bytes = drive_bytes(device.name);
      break;
    case HWLOC_OBJ_OSDEV_OPENFABRICS: device.kind = Device::Kind::kNetwork; break;
    case HWLOC_OBJ_OSDEV_COPROC: device.kind = Device::Kind::kGpu; break;
    default: return;
  }
  devices.push_back(std::move(device));
}

// GPUs by their place in the machine: they are there whether or not a driver is.
void add_gpus(hwloc_topology_t topology, std::vector<Device>& devices) {
  constexpr unsigned kDisplay = 0x03;
  for (hwloc_obj_t pci = nullptr; (pci = hwloc_get_next_pcidev(topology, pci)) != nullptr;) {
    const auto& at = pci->attr->pcidev;
    if (at.class_id >> 8 != kDisplay) continue;
    Device device;
    device.kind = Device::Kind::kGpu;
    std::ostringstream name;
    name << std::hex << at.domain << ':' << static_cast<int>(at.bus) << ':' << static_cast<int>(at.dev) << '.'
         << static_cast<int>(at.func);
    device.name = name.str();
    device.model = info_of(pci, "PCIVendor") + " " + info_of(pci, "PCIDevice");
    device.node = node_near(topology, pci);
    devices.push_back(std::move(device));
  }
}

// What the firmware says of a node's memory, as its nearest CPUs see it.
void add_attributes(hwloc_topology_t topology, MemoryNode& node) {
  const hwloc_obj_t object = hwloc_get_numanode_obj_by_os_index(topology, static_cast<unsigned>(node.id));
  if (object == nullptr) return;
  hwloc_location from;
  hwloc_uint64_t value = 0;
  if (hwloc_memattr_get_best_initiator(topology, HWLOC_MEMATTR_ID_BANDWIDTH, object, 0, &from, &value) == 0)
    node.read_bytes_per_second = static_cast<std::uint64_t>(value) << 20;
  if (hwloc_memattr_get_best_initiator(topology, HWLOC_MEMATTR_ID_LATENCY, object, 0, &from, &value) == 0)
    node.read_latency_ns = value;
}

void ask_hwloc(Machine& machine) {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return;
  // Caches are not asked for, and what looks for them by itself moves this thread to each CPU in turn.
  hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  // CPUs without restriction: a cpuset must not hide which node a device is near to.
  hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  if (hwloc_topology_load(topology) == 0) {
    machine.hwloc = true;
    for (hwloc_obj_t found = nullptr; (found = hwloc_get_next_osdev(topology, found)) != nullptr;)
      add_device(topology, found, machine.devices);
    add_gpus(topology, machine.devices);
    for (MemoryNode& node : machine.nodes) add_attributes(topology, node);
  }
  hwloc_topology_destroy(topology);
}

#else

void ask_hwloc(Machine& /*machine*/) {}

#endif

}  // namespace

Machine discover() {
  Machine machine;
  machine.nodes = memory_nodes();
  machine.dax = dax_devices();
  machine.cpus = allowed_cpus();
  for (const MemoryNode& node : machine.nodes) machine.online_cpus += node.cpus.size();
  machine.limit = memory_limit();
  machine.free_huge_2mib = free_huge_pages(-1, 2u << 20);
  machine.free_huge_1gib = free_huge_pages(-1, 1u << 30);
  machine.thp = chosen_word(line_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  const std::string balancing = line_of("/proc/sys/kernel/numa_balancing");
  machine.balancing = !balancing.empty() && balancing != "0";
  machine.demotion = line_of("/sys/kernel/mm/numa/demotion_enabled") == "true";
  ask_hwloc(machine);
  add_infiniband(machine.devices);
  std::ranges::sort(machine.devices, [](const Device& a, const Device& b) {
    return a.kind != b.kind ? a.kind < b.kind : a.name < b.name;
  });
  return machine;
}

bool is_cxl(const Machine& machine, const MemoryNode& node) {
  return node.cpus.empty() && std::ranges::any_of(machine.dax, [&](const DaxDevice& device) {
           return device.mode == DaxMode::kMemory && device.node == node.id;
         });
}

}  // namespace kelvin::cli
