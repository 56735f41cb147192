// See belady.h.
#include "cli/belady.h"

#include <limits>
#include <queue>
#include <tuple>
#include <vector>

namespace kelvin::cli {
namespace {

constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

// By reference: the request that uses its block next.
std::vector<std::uint32_t> next_uses(const TraceSet& traces) {
  std::vector<std::uint32_t> next(traces.refs.size());
  std::vector<std::uint32_t> seen(traces.keys.size(), kNever);
  for (std::size_t r = traces.requests.size(); r-- > 0;) {
    const TracedRequest& request = traces.requests[r];
    for (std::uint64_t i = request.first; i < request.first + request.blocks; ++i) {
      next[i] = seen[traces.refs[i]];
    }
    for (const std::uint32_t block : traces.blocks_of(request)) seen[block] = static_cast<std::uint32_t>(r);
  }
  return next;
}

// What is in the memory, farthest next use first. An entry whose block has been used since is stale.
class Memory {
 public:
  Memory(std::size_t blocks, std::uint64_t capacity) : next_(blocks, kAbsent), capacity_(capacity) {}

  bool holds(std::uint32_t block) const { return next_[block] != kAbsent; }
  void use(std::uint32_t block, std::uint32_t next, std::uint32_t depth) {
    if (!holds(block)) ++size_;
    next_[block] = next;
    victims_.emplace(next, depth, block);
  }
  void shrink() {
    while (size_ > capacity_) {
      const auto [next, depth, block] = victims_.top();
      victims_.pop();
      if (next_[block] != next) continue;
      next_[block] = kAbsent;
      --size_;
    }
  }

 private:
  static constexpr std::uint64_t kAbsent = std::uint64_t{kNever} + 1;

  std::vector<std::uint64_t> next_;  // by block
  std::priority_queue<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> victims_;
  const std::uint64_t capacity_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::uint64_t belady_hits(const TraceSet& traces, std::uint64_t capacity) {
  const std::vector<std::uint32_t> next = next_uses(traces);
  Memory memory(traces.keys.size(), capacity);
  std::uint64_t hits = 0;
  for (const TracedRequest& request : traces.requests) {
    const auto blocks = traces.blocks_of(request);
    for (std::uint32_t i = 0; i < request.blocks && memory.holds(blocks[i]); ++i) ++hits;
    for (std::uint32_t i = 0; i < request.blocks; ++i) memory.use(blocks[i], next[request.first + i], i);
    memory.shrink();
  }
  return hits;
}

}  // namespace kelvin::cli
