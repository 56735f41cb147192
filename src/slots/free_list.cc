// See free_list.h.
#include "slots/free_list.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "base/thread_number.h"

namespace kelvin {

Result<std::unique_ptr<FreeList>> FreeList::make(std::uint32_t size, bool initially_free) noexcept {
  std::unique_ptr<FreeList> list(new (std::nothrow) FreeList);
  if (list == nullptr) return Status(Code::kFull, "making a free list");
  for (std::size_t s = 0; s < kShards; ++s) {
    Shard& shard = list->shards_[s];
    auto stack = HugeArray<std::uint32_t>::make((static_cast<std::size_t>(size) + kShards - 1) / kShards);
    if (!stack.ok()) return stack.status();
    SpinGuard guard(shard.lock);
    shard.stack = std::move(stack).value();
    if (!initially_free) continue;
    // Each shard starts with a contiguous run, lowest on top, so that what is taken together lies together.
    const auto first = static_cast<std::uint32_t>(static_cast<std::uint64_t>(size) * s / kShards);
    const auto last = static_cast<std::uint32_t>(static_cast<std::uint64_t>(size) * (s + 1) / kShards);
    for (std::uint32_t i = last; i-- > first;) shard.stack[last - 1 - i] = i;
    shard.count.store(last - first, std::memory_order_relaxed);
  }
  return list;
}

std::size_t FreeList::take_from(Shard& shard, std::span<std::uint32_t> out) noexcept {
  if (shard.count.load(std::memory_order_relaxed) == 0) return 0;
  SpinGuard guard(shard.lock);
  const std::uint32_t count = shard.count.load(std::memory_order_relaxed);
  const std::size_t taken = std::min<std::size_t>(count, out.size());
  for (std::size_t i = 0; i < taken; ++i) out[i] = shard.stack[count - 1 - i];
  shard.count.store(count - static_cast<std::uint32_t>(taken), std::memory_order_relaxed);
  return taken;
}

std::size_t FreeList::take(std::span<std::uint32_t> out) noexcept {
  const std::size_t home = thread_number() % kShards;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < kShards && taken < out.size(); ++i) {
    taken += take_from(shards_[(home + i) % kShards], out.subspan(taken));
  }
  return taken;
}

std::size_t FreeList::give_to(Shard& shard, std::span<const std::uint32_t> indices) noexcept {
  SpinGuard guard(shard.lock);
  const std::uint32_t count = shard.count.load(std::memory_order_relaxed);
  const std::size_t given = std::min<std::size_t>(shard.stack.size() - count, indices.size());
  for (std::size_t i = 0; i < given; ++i) shard.stack[count + i] = indices[i];
  shard.count.store(count + static_cast<std::uint32_t>(given), std::memory_order_relaxed);
  return given;
}

void FreeList::give(std::span<const std::uint32_t> indices) noexcept {
  // Ends by invariant 2: there is room somewhere, though another thread may take it first.
  for (std::size_t s = thread_number(); !indices.empty(); ++s) {
    indices = indices.subspan(give_to(shards_[s % kShards], indices));
  }
}

// Looks at the part of the stack that ends at `*top`, and moves that down. What others push meanwhile is not
// looked at.
std::size_t FreeList::take_among(Shard& shard, std::uint32_t first, std::uint32_t last, std::uint32_t* top,
                                 std::span<std::uint32_t> out) noexcept {
  constexpr std::uint32_t kAtOnce = 2048;
  SpinGuard guard(shard.lock);
  std::uint32_t count = shard.count.load(std::memory_order_relaxed);
  std::uint32_t at = std::min(*top, count);
  const std::uint32_t end = at - std::min(at, kAtOnce);
  std::size_t taken = 0;
  while (at > end && taken < out.size()) {
    const std::uint32_t index = shard.stack[--at];
    if (index < first || index >= last) continue;
    out[taken++] = index;
    shard.stack[at] = shard.stack[--count];
  }
  shard.count.store(count, std::memory_order_relaxed);
  *top = at;
  return taken;
}

std::size_t FreeList::take_among(std::uint32_t first, std::uint32_t last,
                                 std::span<std::uint32_t> out) noexcept {
  std::size_t taken = 0;
  for (Shard& shard : shards_) {
    for (std::uint32_t top = ~std::uint32_t{0}; top > 0 && taken < out.size();) {
      taken += take_among(shard, first, last, &top, out.subspan(taken));
    }
  }
  return taken;
}

std::uint32_t FreeList::count() const noexcept {
  std::uint32_t sum = 0;
  for (const Shard& shard : shards_) sum += shard.count.load(std::memory_order_relaxed);
  return sum;
}

std::size_t FreeList::bytes() const noexcept KELVIN_NO_TSA {  // sizes are constant after make
  std::size_t bytes = 0;
  for (const Shard& shard : shards_) bytes += shard.stack.bytes();
  return bytes;
}

}  // namespace kelvin
