// A small number for the calling thread, to spread threads over shards. Not unique after many threads.
#pragma once

#include <atomic>
#include <cstdint>

namespace kelvin {

inline std::uint32_t thread_number() noexcept {
  static std::atomic<std::uint32_t> next{0};
  thread_local const std::uint32_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace kelvin
