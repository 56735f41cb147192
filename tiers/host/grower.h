// Grower: makes the memory of a tier ready step by step, by a thread of its own, while the tier serves with
// what is ready.
//
// Thread contract: made and destroyed by one thread; growth() by any.
// Invariants:
//   1. Slots 0 .. growth().ready - 1 have all their pages; `ready` rises in steps of at most kMaxStep bytes.
//   2. Slot s lies in arena s % n, so that every node has its part of what is ready.
//   3. After a step that failed nothing more is made ready, and growth().stopped says why.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "kelvin/tier.h"
#include "tiers/host/arena.h"

namespace kelvin {

class Grower {
 public:
  static constexpr std::uint64_t kFirstStep = 64ULL << 20;  // ready when a tier opens: tens of milliseconds
  static constexpr std::uint64_t kMaxStep = 256ULL << 20;

  struct Plan {
    std::span<Arena> arenas;  // outlive the grower
    std::uint32_t slots = 0;
    std::uint64_t stride_bytes = 0;
    bool lock = false;
    std::string tier;  // for messages
  };

  explicit Grower(Plan plan);
  ~Grower();
  Grower(const Grower&) = delete;
  Grower& operator=(const Grower&) = delete;

  // The first step, by the caller. As Arena::make_ready.
  Status first(std::string* why);
  // The others, in the background. Precondition: first() was ok.
  Status start();

  bool done() const noexcept { return growth_.ready.load(std::memory_order_acquire) == plan_.slots; }
  const Growth& growth() const noexcept { return growth_; }

 private:
  Status step(std::uint64_t bytes, std::string* why);
  void run() noexcept;

  Plan plan_;
  std::vector<std::vector<int>> cpus_;  // for each arena, those near it
  Growth growth_;
  std::string stopped_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace kelvin
