// HostPins: the host memory that this process has pinned for its GPUs, each range once, whatever GPU asked.
//
// Thread contract: any thread; `find` never waits for the pinning itself, which may take seconds.
// Invariants:
//   1. Ranges in the list do not overlap, and are in the order of their addresses.
//   2. A range stays pinned until its end was asked for as often as it was.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/spin_lock.h"
#include "base/thread_annotations.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"
#include "tiers/hbm/cuda/context.h"

namespace kelvin::hbm {

// Pinned memory without a gap, and where GPUs see it.
struct PinnedRun {
  const std::byte* base = nullptr;
  std::uint64_t bytes = 0;  // 0: none
  CUdeviceptr device = 0;

  bool holds(const std::byte* at) const noexcept { return at >= base && at < base + bytes; }
  std::uint64_t left(const std::byte* at) const noexcept {
    return static_cast<std::uint64_t>(base + bytes - at);
  }
  CUdeviceptr on_device(const std::byte* at) const noexcept {
    return device + static_cast<std::uint64_t>(at - base);
  }
};

class HostPins {
 public:
  HostPins() = default;
  HostPins(const HostPins&) = delete;
  HostPins& operator=(const HostPins&) = delete;

  // Pins a range for all GPUs. Memory that others have pinned already (the engine, by CUDA) is taken as it
  // is, and stays pinned. kInvalid: it overlaps a range that was pinned here. Precondition of both: the
  // context is current.
  Status pin(Context& context, HostRange range, std::string* why);
  void unpin(Context& context, HostRange range) noexcept;

  // The range that holds this address; none if it is not pinned. It is good as long as it is not unpinned.
  PinnedRun find(const std::byte* at) noexcept;

 private:
  struct Range {
    PinnedRun run;
    std::uint64_t asked = 1;  // so often, by whatever GPUs
    bool ours = true;         // false: others pinned it
  };
  using Ranges = std::vector<Range>;

  // Where a range that begins at this address is, or belongs.
  static Ranges::iterator place_of(Ranges& ranges, const std::byte* base) noexcept;
  // True: the list has it already, and that it was asked for once more.
  Result<bool> enter_known(const Context& context, HostRange range, std::string* why) noexcept;

  Mutex change_;  // one pins or unpins at a time; taken before ranges_lock_
  SpinLock ranges_lock_;
  Ranges ranges_ KELVIN_GUARDED_BY(ranges_lock_);
};

}  // namespace kelvin::hbm
