// Discards: finds slots that have been free for a while, and has the devices of their tier told that their
// bytes are not needed any more (TRIM).
//
// Slots that go free are soon written again in a tier that is full, and their devices learn by that. So only
// long runs of slots count that were free through a whole pause, and never most of the free slots at once.
//
// Thread contract: the thread that drives the mover.
// Invariants:
//   1. What is being discarded is kHeld: nobody else can take it before the device is done (rule 2 of what
//      may never happen: no write is overtaken).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin {

class Discards {
 public:
  Discards(Residency& residency, Topology& topology);

  // No tier's devices want to know.
  bool none() const noexcept { return none_; }
  // One step. `now_ns`: by the space's clock.
  void step(std::uint64_t now_ns) noexcept;
  // When there will be something to do; Policy::kNever: never.
  std::uint64_t due_ns() const noexcept;
  // Slots discarded so far.
  std::uint64_t slots(TierIndex tier) const noexcept {
    return tiers_[tier.value].discarded.load(std::memory_order_relaxed);
  }

  static constexpr std::uint64_t kPauseNs = 30'000'000'000;  // between two passes over a tier
  static constexpr std::uint64_t kLookNs = 10'000'000;       // between two steps of a pass
  static constexpr std::uint64_t kRunBytes = 8ULL << 20;     // shorter runs are not worth a request
  static constexpr std::uint64_t kMostBytes = 256ULL << 20;  // at once

 private:
  struct Tier {
    Discarder* discarder = nullptr;  // null: nothing to do
    std::uint32_t least = 0;         // slots of a run
    std::uint32_t most = 0;
    std::uint32_t next = 0;  // slot to look at
    std::uint32_t run = 0;   // aged slots that end before `next`
    std::uint64_t due_ns = 0;
    bool under_way = false;
    std::vector<std::uint32_t> taken;  // being discarded
    std::vector<Slot> named;           // the same
    std::atomic<std::uint64_t> discarded{0};
  };

  void look(Tier& tier, SlotMap& slots, std::uint64_t now_ns) noexcept;
  void begin(Tier& tier, SlotMap& slots) noexcept;
  static void finish(Tier& tier, SlotMap& slots) noexcept;

  static constexpr std::uint32_t kSlotsAStep = 8192;

  Residency& residency_;
  bool none_ = true;
  std::array<Tier, kMaxTiers> tiers_{};
};

}  // namespace kelvin
