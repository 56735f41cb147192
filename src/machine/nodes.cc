// See nodes.h.
#include "machine/nodes.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/format_text.h"
#include "machine/id_list.h"

namespace kelvin {
namespace {

constexpr const char* kNodes = "/sys/devices/system/node";

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::uint64_t read_number(const std::string& path) {
  std::ifstream in(path);
  std::uint64_t number = 0;
  return in >> number ? number : 0;
}

// "MemFree:  123 kB", alone or after "Node 0 ".
std::uint64_t memory_line(const std::string& path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const std::size_t at = line.find(name + ":");
    if (at == std::string::npos || (at != 0 && line[at - 1] != ' ')) continue;
    std::istringstream rest(line.substr(at + name.size() + 1));
    std::uint64_t kib = 0;
    if (rest >> kib) return kib << 10;
  }
  return 0;
}

MemoryNode read_node(const std::string& folder, int id) {
  const std::string here = format_text("{}/node{}", folder, id);
  MemoryNode node;
  node.id = id;
  node.bytes = memory_line(here + "/meminfo", "MemTotal");
  node.room_bytes = memory_line(here + "/meminfo", "MemFree") +
                    memory_line(here + "/meminfo", "Active(file)") +
                    memory_line(here + "/meminfo", "Inactive(file)");
  node.cpus = read_id_list(first_line(here + "/cpulist"));
  const std::string access = here + "/access0/initiators/";
  node.read_bytes_per_second = read_number(access + "read_bandwidth") << 20;
  node.read_latency_ns = read_number(access + "read_latency");
  return node;
}

// A node's line of distances names all online nodes; only those with memory stay.
void read_distances(const std::string& folder, const std::vector<int>& online,
                    std::vector<MemoryNode>& nodes) {
  for (MemoryNode& node : nodes) {
    std::istringstream line(first_line(format_text("{}/node{}/distance", folder, node.id)));
    const std::vector<int> all{std::istream_iterator<int>(line), std::istream_iterator<int>()};
    if (all.size() != online.size()) continue;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (find_node(nodes, online[i]) != nullptr) node.distances.push_back(all[i]);
    }
  }
}

void mark_allowed(const std::string& root, std::vector<MemoryNode>& nodes) {
  std::ifstream in(root + "/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    const std::string name = "Mems_allowed_list:";
    if (!line.starts_with(name)) continue;
    const std::vector<int> allowed = read_id_list(line.substr(name.size()));
    for (MemoryNode& node : nodes) node.allowed = std::ranges::binary_search(allowed, node.id);
  }
}

}  // namespace

std::vector<MemoryNode> memory_nodes(const std::string& root) {
  const std::string folder = root + kNodes;
  const std::vector<int> online = read_id_list(first_line(folder + "/online"));
  std::vector<MemoryNode> nodes;
  for (const int id : online) {
    MemoryNode node = read_node(folder, id);
    if (node.bytes != 0) nodes.push_back(std::move(node));
  }
  if (nodes.empty()) {
    MemoryNode& node = nodes.emplace_back();
    node.bytes = memory_line(root + "/proc/meminfo", "MemTotal");
    node.room_bytes = memory_room(root);
    node.cpus = read_id_list(first_line(root + "/sys/devices/system/cpu/online"));
    return nodes;
  }
  if (nodes.size() == 1) {
    // All memory is there; where some was plugged in later, not every kernel counts it to the node.
    nodes[0].bytes = std::max(nodes[0].bytes, memory_line(root + "/proc/meminfo", "MemTotal"));
    nodes[0].room_bytes = std::max(nodes[0].room_bytes, memory_room(root));
  }
  read_distances(folder, online, nodes);
  mark_allowed(root, nodes);
  return nodes;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

namespace {

std::vector<int> common(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both;
}

}  // namespace

std::vector<int> local_nodes(const std::vector<MemoryNode>& nodes, const std::vector<int>& cpus) {
  std::vector<int> local;
  std::vector<int> with_cpus;
  for (const MemoryNode& node : nodes) {
    if (!node.allowed || node.cpus.empty()) continue;
    with_cpus.push_back(node.id);
    if (!common(node.cpus, cpus).empty()) local.push_back(node.id);
  }
  return local.empty() ? with_cpus : local;
}

std::vector<int> cpus_near(const std::vector<MemoryNode>& nodes, int id, const std::vector<int>& cpus) {
  const MemoryNode* const node = find_node(nodes, id);
  if (node == nullptr) return cpus;
  std::vector<int> best = common(node->cpus, cpus);
  int nearest = 1 << 30;
  for (std::size_t i = 0; node->cpus.empty() && i < nodes.size() && i < node->distances.size(); ++i) {
    std::vector<int> there = common(nodes[i].cpus, cpus);
    if (there.empty() || node->distances[i] >= nearest) continue;
    nearest = node->distances[i];
    best = std::move(there);
  }
  return best.empty() ? cpus : best;
}

const MemoryNode* find_node(const std::vector<MemoryNode>& nodes, int id) {
  const auto it = std::ranges::find(nodes, id, &MemoryNode::id);
  return it == nodes.end() ? nullptr : &*it;
}

std::uint64_t free_huge_pages(int id, std::uint64_t page_bytes, const std::string& root) {
  const std::string of = id < 0 ? std::string("/sys/kernel/mm") : format_text("{}/node{}", kNodes, id);
  return read_number(format_text("{}{}/hugepages/hugepages-{}kB/free_hugepages", root, of, page_bytes >> 10));
}

std::uint64_t memory_room(const std::string& root) {
  return memory_line(root + "/proc/meminfo", "MemAvailable");
}

}  // namespace kelvin
