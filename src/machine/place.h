// Where pages are: binding a run of memory to a node, asking on which nodes its pages are, and keeping a
// thread near a node.
//
// Thread contract: any thread; keep_thread_on is about the calling one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "kelvin/status.h"

namespace kelvin {

// Pages of [base, base + bytes) come from that node and no other, and the kernel's balancing between nodes
// leaves them there. For memory that has no pages yet. kUnsupported: this kernel or container forbids it;
// kInvalid: no such node, or this process may not use it (cpuset).
Status bind_to_node(std::byte* base, std::uint64_t bytes, int node) noexcept;

// How many of the looked-at pages are on which node, one look every `step` bytes; pages that are not there
// yet count as node -1. Empty where the kernel does not say. May throw std::bad_alloc.
std::map<int, std::uint64_t> pages_by_node(const std::byte* base, std::uint64_t bytes,
                                           std::uint64_t step = 4096);

// The calling thread runs on these CPUs from now on. False: it stays where it was.
bool keep_thread_on(const std::vector<int>& cpus) noexcept;

}  // namespace kelvin
