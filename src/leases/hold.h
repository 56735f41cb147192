// Hold: what is behind a Ticket and, once that is done, behind a Lease. Pooled and reused.
//
// Life (Hold::state):   kIdle -> kDone                 everything was there, or slots were allocated
//                       kIdle -> kLoading -> kDone     the mover loads; it alone touches the entries
//                       meanwhile kLoading -> kAbandoned         the ticket is gone; the mover ends the hold
//                       kDone -> kEnding               released, and a kernel of the engine uses the slots
//                       still kDone, kAbandoned, kEnding -> kIdle      back in the pool
//
// Thread contract: kLoading, kAbandoned and kEnding: the mover's; kDone: the owner of the Ticket or Lease.
// While kLoading that owner may read `stream`, `base` and `asked`; once `placed`, each entry's `into`, too.
// Invariants:
//   1. An entry has a pin: one that is kLeased on its slot in `tier`, one that is kLoading on its copy in
//      `source`.
//   2. A hold keeps its pins and slots at least until its marks have passed, or the device is lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/index_stack.h"
#include "kelvin/block.h"
#include "kelvin/space.h"
#include "kelvin/status.h"
#include "slots/slot_map.h"

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
  Slot into;  // adopted tiers: where the engine wants it; `early` holds: where it is or will be
  Kind kind = Kind::kWritable;
  bool placed = false;   // `early` holds: `into` says where
  bool spoiled = false;  // `early` holds: what the engine was told of it came out otherwise
  TierIndex source;
  // The next that waits for the same move: index of a hold and of an entry in it.
  std::uint32_t next_hold = IndexStack::kNone;
  std::uint32_t next_entry = 0;
};

// What a hold of a tier with streams has to do with them.
struct HoldStreams {
  std::vector<Slot> slots;    // for calls that take them as a span; capacity is kept for reuse
  std::uint64_t written = 0;  // mark of the kernels that write the blocks; 0: none
  std::uint64_t used = 0;     // mark of the kernels that were the last to use them; 0: none

  // Of an acquire_on that loads: what the engine is told before the end.
  bool early = false;
  Stream stream = nullptr;
  std::uint32_t base = 0;               // the hold's word when it was taken; it rises by segments + 1
  std::uint32_t asked = 0;              // entries
  std::atomic<bool> placed{false};      // all of them are: the release of the mover's last `into`
  std::atomic<std::uint32_t> ready{0};  // so many segments, from the first on, have arrived in all of them

  // The mover's while kLoading or kEnding.
  std::uint32_t unplaced = 0;   // entries
  std::uint64_t mark = 0;       // of its blocks: waited for
  std::uint64_t since_ns = 0;   // when that began
  std::uint64_t round = 0;      // in which these were counted:
  std::uint32_t under_way = 0;  // entries whose last copy is
  std::uint32_t least = 0;      // segments that have arrived in all of these

  void clear() noexcept;
};

struct Hold {
  enum State : std::uint32_t { kIdle, kLoading, kDone, kAbandoned, kEnding };

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
  HoldStreams streams;
  std::vector<RetainRange> ranges;  // as publish or release was told; capacity is kept for reuse

  // The mover's while kLoading.
  std::uint32_t pending = 0;   // entries kLoading
  std::uint32_t expanded = 0;  // entries[0, expanded) have been looked at
  Hold* next = nullptr;        // inbox and lists of the mover
};

// Ends what a hold holds: slots without a block go free, copies lose this pin. `slots`: of its tier.
void let_go(Hold& hold, SlotMap& slots) noexcept;

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
