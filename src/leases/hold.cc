// See hold.h.
#include "leases/hold.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/spin_lock.h"

namespace kelvin {

void HoldStreams::clear() noexcept {
  slots.clear();
  written = used = mark = 0;
  early = false;
  stream = nullptr;
  placed.store(false, std::memory_order_relaxed);
  ready.store(0, std::memory_order_relaxed);
  round = 0;
}

void let_go(Hold& hold, SlotMap& slots) noexcept {
  std::array<Slot, 64> unused;
  std::size_t count = 0;
  for (const HoldEntry& entry : hold.entries) {
    if (entry.kind == HoldEntry::Kind::kLeased) {
      slots.unpin(entry.slot);
      continue;
    }
    unused[count++] = entry.slot;
    if (count < unused.size()) continue;
    slots.free(unused);
    count = 0;
  }
  if (count != 0) slots.free({unused.data(), count});
}

HoldPool::HoldPool(std::uint32_t size, Core* core, void (*given)(Core*) noexcept)
    : size_(size), core_(core), given_(given), holds_(std::make_unique<Hold[]>(size)), free_(size) {
  for (std::uint32_t i = 0; i < size; ++i) {
    holds_[i].core = core;
    holds_[i].index = i;
  }
}

HoldPool::~HoldPool() {
  for (std::uint32_t i = 0; i < size_; ++i) {
    if (const int fd = holds_[i].event_fd.load(std::memory_order_relaxed); fd >= 0) ::close(fd);
  }
}

Hold* HoldPool::take(std::uint64_t now_ns) noexcept {
  const std::uint32_t index = free_.pop();
  if (index == IndexStack::kNone) return nullptr;
  Hold& hold = holds_[index];
  hold.since_ns.store(std::max<std::uint64_t>(now_ns, 1), std::memory_order_relaxed);
  return &hold;
}

void HoldPool::give(Hold* hold) noexcept {
  while (hold->waking.load(std::memory_order_acquire)) cpu_relax();
  hold->entries.clear();
  hold->tier = kNoTier;
  hold->published = false;
  hold->status = Status();
  hold->hints = Hints();
  hold->streams.clear();
  hold->ranges.clear();
  hold->pending = hold->expanded = 0;
  hold->next = nullptr;
  hold->since_ns.store(0, std::memory_order_relaxed);
  hold->state.store(Hold::kIdle, std::memory_order_relaxed);
  if (const int fd = hold->event_fd.load(std::memory_order_relaxed); fd >= 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = ::read(fd, &count, sizeof count);  // non-blocking: empty is fine
  }
  free_.push(hold->index);
  given_(core_);
}

std::uint32_t HoldPool::in_use() const noexcept {
  return static_cast<std::uint32_t>(std::count_if(holds_.get(), holds_.get() + size_, [](const Hold& hold) {
    return hold.since_ns.load(std::memory_order_relaxed) != 0;
  }));
}

std::uint64_t HoldPool::oldest_ns(std::uint64_t now_ns) const noexcept {
  std::uint64_t oldest = now_ns;
  for (std::uint32_t i = 0; i < size_; ++i) {
    const std::uint64_t since = holds_[i].since_ns.load(std::memory_order_relaxed);
    if (since != 0) oldest = std::min(oldest, since);
  }
  return now_ns - oldest;
}

}  // namespace kelvin
