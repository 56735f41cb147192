// NvmeTier: the slots of one or several volumes, and how its links are to reach them. Slot s is slot s / n of
// volume s % n, where n is the number of volumes.
//
// Thread contract: immutable after open, but for the slot tables, which any thread may change; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/plugin.h"
#include "tiers/nvme/io_queue.h"
#include "tiers/nvme/slot_discarder.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {

struct LinkSettings {
  QueueKind queue = QueueKind::kAuto;
  std::uint32_t depth = 32;               // blocks in flight, each direction, at most
  std::uint64_t latency_ns = 0;           // fewer where a request takes longer than this; 0: any time
  std::uint64_t request_bytes = 2 << 20;  // the most one request to the drive moves
  bool poll = false;                      // ask the drives instead of waiting for their interrupts
  bool discard = true;                    // tell them which slots hold nothing, where they want to know
};

class NvmeTier final : public Tier, private Ledger {
 public:
  // See stripe.h for the failures.
  static Result<std::unique_ptr<Tier>> open(const TierContext& context, const Options& options,
                                            std::string* why);

  // `tier`, if it is an NvmeTier; else null.
  static const NvmeTier* of(const Tier& tier) noexcept;

  // Precondition: at least one volume, all of the same geometry.
  NvmeTier(std::string name, std::vector<std::unique_ptr<Volume>> volumes, const LinkSettings& links);

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  const LinkSettings& links() const noexcept { return links_; }
  bool direct() const noexcept { return direct_; }  // I/O must be aligned to kPageBytes

  // Where a slot is.
  struct Place {
    std::uint32_t volume = 0;
    std::uint32_t slot = 0;  // of the volume
  };
  Place place(Slot slot) const noexcept {
    const auto n = static_cast<std::uint32_t>(volumes_.size());
    return {slot.value % n, slot.value / n};
  }
  std::size_t volume_count() const noexcept { return volumes_.size(); }
  Volume& volume(std::size_t i) const noexcept { return *volumes_[i]; }
  // Whether a failure of this volume is its own alone: there are others, and not all of them are lost.
  bool isolates(std::size_t volume) const noexcept;

 private:
  std::size_t recall(std::uint32_t& first, std::span<Remembered> out) const noexcept override;
  void forget(std::span<const Slot> slots) noexcept override;

  const std::vector<std::unique_ptr<Volume>> volumes_;
  const LinkSettings links_;
  std::unique_ptr<SlotDiscarder> discarder_;  // null: none wants to know
  bool direct_ = false;
  TierInfo info_;
};

}  // namespace kelvin::nvme
