// What kelvin topo shows of a machine. See topo.h.
#include <fmt/format.h>

#include "cli/topo.h"
#include "machine/id_list.h"

namespace kelvin::cli {
namespace {

std::string size_text(std::uint64_t bytes) {
  const auto gib = static_cast<double>(bytes) / static_cast<double>(1ULL << 30);
  return gib >= 1024 ? fmt::format("{:.2f} TiB", gib / 1024) : fmt::format("{:.2f} GiB", gib);
}

std::string node_line(const Machine& machine, const MemoryNode& node) {
  std::string text = fmt::format("node {}  {}", node.id, size_text(node.bytes));
  text += fmt::format(", {} to be had", size_text(node.room_bytes));
  if (node.cpus.empty()) {
    text += is_cxl(machine, node) ? ", no CPUs: CXL or other DAX memory" : ", no CPUs: far memory";
  } else {
    text += fmt::format(", CPUs {}", id_list_text(node.cpus));
  }
  if (node.read_bytes_per_second != 0)
    text += fmt::format(", {:.1f} GB/s", static_cast<double>(node.read_bytes_per_second) / 1e9);
  if (node.read_latency_ns != 0) text += fmt::format(", {} ns", node.read_latency_ns);
  if (!node.distances.empty()) text += fmt::format(", distances {}", fmt::join(node.distances, " "));
  if (!node.allowed) text += "  (not for this process: cpuset)";
  return text;
}

std::string dax_line(const DaxDevice& device) {
  std::string mode = "no driver serves it";
  if (device.mode == DaxMode::kDevice) mode = "devdax: to be mapped";
  if (device.mode == DaxMode::kMemory) mode = fmt::format("system-ram: the memory of node {}", device.node);
  return fmt::format("{}  {}, {}{}", device.path(), size_text(device.bytes), mode,
                     device.persistent ? ", persistent" : "");
}

std::string device_line(const Device& device) {
  std::string text = fmt::format("{}  {}", device_kind_name(device.kind), device.name);
  if (device.bytes != 0) text += ", " + size_text(device.bytes);
  if (!device.model.empty()) text += ", " + device.model;
  return text;
}

void add_near(const Machine& machine, int node, std::string& out) {
  for (const DaxDevice& device : machine.dax) {
    if (device.node == node) out += fmt::format("|  +- {}\n", dax_line(device));
  }
  for (const Device& device : machine.devices) {
    if (device.node == node) out += fmt::format("|  +- {}\n", device_line(device));
  }
}

bool is_node(const Machine& machine, int id) { return find_node(machine.nodes, id) != nullptr; }

}  // namespace

std::string device_kind_name(Device::Kind kind) {
  switch (kind) {
    case Device::Kind::kGpu: return "gpu";
    case Device::Kind::kDrive: return "drive";
    case Device::Kind::kNetwork: return "network";
  }
  return "device";
}

std::string topo_text(const Machine& machine) {
  std::string out = "machine\n";
  for (const MemoryNode& node : machine.nodes) {
    out += fmt::format("+- {}\n", node_line(machine, node));
    add_near(machine, node.id, out);
  }
  for (const DaxDevice& device : machine.dax) {
    if (!is_node(machine, device.node)) out += fmt::format("+- {}\n", dax_line(device));
  }
  for (const Device& device : machine.devices) {
    if (!is_node(machine, device.node)) out += fmt::format("+- {}\n", device_line(device));
  }
  const std::vector<std::string> remarks = topo_remarks(machine);
  for (const std::string& remark : remarks) out += fmt::format("note: {}\n", remark);
  return out;
}

std::vector<std::string> topo_remarks(const Machine& machine) {
  std::vector<std::string> remarks;
  if (machine.limit.source.find("/cgroup") != std::string::npos) {
    remarks.push_back(fmt::format("this process may have {} of memory: {}", size_text(machine.limit.bytes),
                                  machine.limit.source));
  }
  if (machine.cpus.size() < machine.online_cpus) {
    remarks.push_back(
        fmt::format("this process may run on CPUs {} only (cpuset or affinity)", id_list_text(machine.cpus)));
  }
  if (machine.free_huge_2mib + machine.free_huge_1gib != 0) {
    remarks.push_back(fmt::format("reserved huge pages that are free: {} of 2 MiB, {} of 1 GiB",
                                  machine.free_huge_2mib, machine.free_huge_1gib));
  } else if (machine.thp.empty() || machine.thp == "never") {
    remarks.emplace_back(
        "there are no huge pages, so all is slower: write \"madvise\" to "
        "/sys/kernel/mm/transparent_hugepage/enabled, or reserve some (`sysctl vm.nr_hugepages=N`)");
  } else {
    remarks.push_back(
        fmt::format("no huge pages are reserved; transparent ones are to be had ({})", machine.thp));
  }
  if (machine.balancing && machine.nodes.size() > 1)
    remarks.emplace_back("the kernel moves pages between nodes (kernel.numa_balancing); those of tiers stay");
  if (machine.demotion) {
    remarks.emplace_back(
        "the kernel moves cold pages to far nodes (numa/demotion_enabled), tiers' too: set mlock = true, or "
        "switch "
        "it off");
  }
  if (!machine.hwloc)
    remarks.emplace_back(
        "this build has no hwloc: drives and GPUs were not looked for (install libhwloc-dev)");
  return remarks;
}

}  // namespace kelvin::cli
