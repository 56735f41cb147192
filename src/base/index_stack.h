// A lock-free stack of the indices 0 .. size-1, for small pools.
//
// Thread contract: any thread.
// Invariant: the head carries a tag that changes with each exchange, so that a pop which read a stale
// successor fails (no ABA within 2^32 operations).
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace kelvin {

class IndexStack {
 public:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  // Holds all indices; 0 is popped first.
  explicit IndexStack(std::uint32_t size) : next_(size) {
    for (std::uint32_t i = size; i-- > 0;) push(i);
  }

  std::uint32_t pop() noexcept {
    std::uint64_t head = head_.load(std::memory_order_acquire);
    while (top(head) != kNone) {
      const std::uint32_t after = next_[top(head)].load(std::memory_order_relaxed);
      // The acquire pairs with push's release: the popped element's contents are visible.
      if (head_.compare_exchange_weak(head, pack(head, after), std::memory_order_acquire)) return top(head);
    }
    return kNone;
  }

  void push(std::uint32_t index) noexcept {
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    do {
      next_[index].store(top(head), std::memory_order_relaxed);
    } while (!head_.compare_exchange_weak(head, pack(head, index), std::memory_order_release));
  }

 private:
  static std::uint32_t top(std::uint64_t head) noexcept { return static_cast<std::uint32_t>(head); }
  static std::uint64_t pack(std::uint64_t old, std::uint32_t index) noexcept {
    return (((old >> 32) + 1) << 32) | index;
  }

  std::vector<std::atomic<std::uint32_t>> next_;
  std::atomic<std::uint64_t> head_{kNone};
};

}  // namespace kelvin
