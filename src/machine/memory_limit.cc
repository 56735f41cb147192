// See memory_limit.h.
#include "machine/memory_limit.h"

#include <fstream>
#include <string_view>

#include "base/format_text.h"

namespace kelvin {
namespace {

void lower(MemoryLimit& limit, std::uint64_t bytes, const std::string& source) {
  if (bytes < limit.bytes) limit = {bytes, source};
}

void read_machine(const std::string& root, MemoryLimit& limit) {
  const std::string path = root + "/proc/meminfo";
  std::ifstream in(path);
  std::string word;
  std::uint64_t kib = 0;
  while (in >> word) {
    if (word == "MemTotal:" && in >> kib) return lower(limit, kib << 10, path);
  }
}

void read_number(const std::string& path, MemoryLimit& limit) {
  std::ifstream in(path);
  std::uint64_t bytes = 0;
  if (in >> bytes) lower(limit, bytes, path);  // "max" is no number and no limit
}

// A group is limited by all groups above it as well. Inside a container the path may start at a namespace's
// root, so that the innermost group is the mount itself: the walk ends there.
void read_groups(const std::string& mount, std::string_view group, const char* file, MemoryLimit& limit) {
  for (;;) {
    while (!group.empty() && group.back() == '/') group.remove_suffix(1);
    read_number(format_text("{}{}/{}", mount, group, file), limit);
    if (group.empty()) return;
    group = group.substr(0, group.rfind('/') == std::string_view::npos ? 0 : group.rfind('/'));
  }
}

}  // namespace

MemoryLimit memory_limit(const std::string& root) {
  MemoryLimit limit;
  read_machine(root, limit);
  std::ifstream in(root + "/proc/self/cgroup");
  std::string line;  // "hierarchy:controllers:/path"; hierarchy 0 is the unified one
  while (std::getline(in, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      read_groups(root + "/sys/fs/cgroup", group, "memory.max", limit);
    } else if (controllers.find(",memory,") != std::string::npos) {
      read_groups(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", limit);
    }
  }
  return limit;
}

}  // namespace kelvin
