// See place.h.
#include "machine/place.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace kelvin {
namespace {

constexpr std::size_t kBits = sizeof(unsigned long) * CHAR_BIT;
constexpr std::size_t kMostNodes = 1024;  // the largest number a kernel is built for

}  // namespace

Status bind_to_node(std::byte* base, std::uint64_t bytes, int node) noexcept {
  const auto id = static_cast<std::size_t>(node);
  if (node < 0 || id >= kMostNodes) return {Code::kInvalid, "binding memory to a node", EINVAL};
  std::array<unsigned long, kMostNodes / kBits> mask{};
  mask[id / kBits] = 1UL << (id % kBits);
  // Static: a change of the cpuset must not move it to another node. The C library has no wrapper; libnuma's
  // is this call. The kernel reads one bit less than it is told.
  const long result =
      ::syscall(SYS_mbind, base, bytes, MPOL_BIND | MPOL_F_STATIC_NODES, mask.data(), kMostNodes + 1, 0U);
  if (result == 0) return {};
  const int error = errno;
  const bool forbidden = error == EPERM || error == ENOSYS || error == EACCES;
  return {forbidden ? Code::kUnsupported : Code::kInvalid, "binding memory to a node", error};
}

std::map<int, std::uint64_t> pages_by_node(const std::byte* base, std::uint64_t bytes, std::uint64_t step) {
  constexpr std::size_t kBatch = 1024;
  std::map<int, std::uint64_t> counts;
  std::array<const void*, kBatch> pages{};
  std::array<int, kBatch> nodes{};
  for (std::uint64_t at = 0; at < bytes;) {
    std::size_t count = 0;
    for (; count < kBatch && at < bytes; at += step) pages[count++] = base + at;
    if (::syscall(SYS_move_pages, 0, count, pages.data(), nullptr, nodes.data(), 0) != 0) return {};
    for (std::size_t i = 0; i < count; ++i) ++counts[std::max(nodes[i], -1)];
  }
  return counts;
}

bool keep_thread_on(const std::vector<int>& cpus) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(cpu), &set);
  }
  return !cpus.empty() && ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace kelvin
