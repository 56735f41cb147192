// The free indices of an array: taken and given back in batches, spread over shards by thread.
//
// Thread contract: any thread; each shard is under its own spin lock, taken one at a time.
// Invariants:
//   1. An index is in the list at most once.
//   2. The shards together can hold all indices: what does not fit into one goes to the next.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/huge_array.h"
#include "base/spin_lock.h"
#include "kelvin/status.h"

namespace kelvin {

class FreeList {
 public:
  // All of 0 .. size-1 are free; low ones are taken first.
  static Result<std::unique_ptr<FreeList>> make(std::uint32_t size, bool initially_free = true) noexcept;

  // Takes up to out.size(); returns how many. Fewer only if all shards ran empty.
  std::size_t take(std::span<std::uint32_t> out) noexcept;
  void give(std::span<const std::uint32_t> indices) noexcept;

  // Takes up to out.size() of `first` .. `last - 1`; returns how many. Looks at the whole list, a part of a
  // shard at a time.
  std::size_t take_among(std::uint32_t first, std::uint32_t last, std::span<std::uint32_t> out) noexcept;

  // A moment's count; exact when nobody else is at work.
  std::uint32_t count() const noexcept;
  std::size_t bytes() const noexcept;

 private:
  static constexpr std::size_t kShards = 4;

  struct alignas(64) Shard {
    SpinLock lock;
    std::atomic<std::uint32_t> count{0};  // written under `lock`
    HugeArray<std::uint32_t> stack KELVIN_GUARDED_BY(lock);
  };

  static std::size_t take_from(Shard& shard, std::span<std::uint32_t> out) noexcept;
  static std::size_t take_among(Shard& shard, std::uint32_t first, std::uint32_t last, std::uint32_t* top,
                                std::span<std::uint32_t> out) noexcept;
  static std::size_t give_to(Shard& shard, std::span<const std::uint32_t> indices) noexcept;

  std::array<Shard, kShards> shards_;
};

}  // namespace kelvin
