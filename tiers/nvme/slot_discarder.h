// SlotDiscarder: discards slots of an nvme tier by a thread of its own, for a device may take its time.
//
// Thread contract: kelvin/tier.h; the destructor waits for what is under way.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/futex.h"
#include "kelvin/tier.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {

class SlotDiscarder final : public Discarder {
 public:
  // Slot s is slot s / n of volume s % n. The volumes outlive it.
  explicit SlotDiscarder(std::span<const std::unique_ptr<Volume>> volumes);
  ~SlotDiscarder() override;

  bool begin(std::span<const Slot> slots) noexcept override;
  bool over() noexcept override { return state_.load(std::memory_order_acquire) == kIdle; }

 private:
  enum State : std::uint32_t { kIdle, kAsked, kEnding };
  struct Part {
    Volume* volume = nullptr;
    bool wants = true;                 // its device wants to know
    std::vector<std::uint32_t> slots;  // of it, by rising numbers
  };

  void run() noexcept;
  void discard() noexcept;

  // The caller's while kIdle, the thread's while kAsked.
  std::vector<Part> parts_;
  std::atomic<std::uint32_t> state_{kIdle};
  std::thread thread_;  // from the first `begin` on
};

}  // namespace kelvin::nvme
