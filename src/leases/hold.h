// Hold: what is behind a Ticket and, once that is done, behind a Lease. Pooled and reused.
//
// Life (Hold::state):   kIdle -> kDone                 everything was there, or slots were allocated
//                       kIdle -> kLoading -> kDone     the mover loads; it alone touches the entries
//                       meanwhile kLoading -> kAbandoned         the ticket is gone; the mover ends the hold
//                       kDone, kAbandoned -> kIdle     back in the pool
//
// Thread contract: kLoading and kAbandoned: the mover's; kDone: the owner of the Ticket or Lease.
// Invariant: an entry that is kLeased has a pin on its slot in `tier`; one that is kLoading has a pin on its
// copy in `source`.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/index_stack.h"
#include "kelvin/block.h"
#include "kelvin/space.h"
#include "kelvin/status.h"

namespace kelvin {

struct HoldEntry {
  enum class Kind : std::uint8_t {
    kWritable,  // an allocated slot, nobody else's
    kPrivate,   // a written slot whose block exists already on its way; goes free on release
    kLeased,    // a pinned copy
    kLoading,   // to be loaded from `source`, where `slot` is pinned
    kFailed,    // could not be loaded
  };
  BlockId block;
  Slot slot;
  Slot into;  // adopted tiers: where the engine wants it
  Kind kind = Kind::kWritable;
  TierIndex source;
  // The next that waits for the same move: index of a hold and of an entry in it.
  std::uint32_t next_hold = IndexStack::kNone;
  std::uint32_t next_entry = 0;
};

struct Hold {
  enum State : std::uint32_t { kIdle, kLoading, kDone, kAbandoned };

  std::atomic<std::uint32_t> state{kIdle};  // a futex word
  std::atomic<int> event_fd{-1};            // made on demand, kept for reuse
  std::atomic<bool> waking{false};          // the mover still touches a hold that it has announced
  std::atomic<std::uint64_t> since_ns{0};   // when it was taken; 0: in the pool

  Core* core = nullptr;     // constant after the pool is made
  std::uint32_t index = 0;  // constant after the pool is made

  std::vector<HoldEntry> entries;  // capacity is kept for reuse
  TierIndex tier;
  bool published = false;  // entries are blocks (acquire, or publish was called)
  Status status;
  Hints hints;
  std::vector<RetainRange> ranges;  // as publish or release was told; capacity is kept for reuse

  // The mover's while kLoading.
  std::uint32_t pending = 0;   // entries kLoading
  std::uint32_t expanded = 0;  // entries[0, expanded) have been looked at
  Hold* next = nullptr;        // inbox and lists of the mover
};

// All holds of a space: as many as max_leases, made at once.
//
// Thread contract: any thread.
class HoldPool {
 public:
  // `given`: called after each give(), as the last thing.
  HoldPool(std::uint32_t size, Core* core, void (*given)(Core*) noexcept);
  ~HoldPool();
  HoldPool(const HoldPool&) = delete;
  HoldPool& operator=(const HoldPool&) = delete;

  // Null: all are in use. The hold is empty and kIdle.
  Hold* take(std::uint64_t now_ns) noexcept;
  void give(Hold* hold) noexcept;

  Hold& at(std::uint32_t index) noexcept { return holds_[index]; }
  std::uint32_t in_use() const noexcept;
  std::uint64_t oldest_ns(std::uint64_t now_ns) const noexcept;  // age of the oldest in use; 0 if none

 private:
  std::uint32_t size_;
  Core* core_;
  void (*given_)(Core*) noexcept;
  std::unique_ptr<Hold[]> holds_;
  IndexStack free_;
};

}  // namespace kelvin
