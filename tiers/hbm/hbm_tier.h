// HbmTier: slots in the memory of a device: one arena that Kelvin owns, or memory of the engine.
//
// Segment g of slot s is at bases[g] + s * stride. Owned, with `order = "block"`, slots follow each other and
// the segments of each lie side by side; with `order = "segment"` the arena is one tensor for each segment
// ("layer first"), a slot a row of each. Adopted memory has the bases and the stride that the engine says, so
// all of these are the same to us (L layers, K and V apart, pieces of `piece` bytes, n slots):
//
//   layer first    2L bases, one for each tensor [n, piece];             stride: piece
//   page first     2L bases, base + g * piece, of one [n, 2L, piece];    stride: 2L * piece
//   cross-layer    1 base: a block is one run of [n, block];             stride: block
//
// Thread contract: that of Tier: immutable after open(), but for its streams' marks and its registrations.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "kelvin/plugin.h"
#include "tiers/hbm/calibration.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/hbm_settings.h"
#include "tiers/hbm/registrations.h"
#include "tiers/hbm/slot_access.h"
#include "tiers/hbm/slot_streams.h"

namespace kelvin::hbm {

class HbmTier final : public Tier {
 public:
  // kInvalid: the config or the adopted memory is wrong; kFull: the device has not as much memory; otherwise
  // as open_device.
  static Result<std::unique_ptr<HbmTier>> open(const TierContext& context, const HbmSettings& settings,
                                               std::string* why);
  ~HbmTier() override;

  // The tier as what it is; null if it is another kind.
  static const HbmTier* of(const Tier& tier) noexcept { return dynamic_cast<const HbmTier*>(&tier); }

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  Device& device() const noexcept { return device_; }
  const HbmSettings& settings() const noexcept { return settings_; }
  const Calibration& calibration() const noexcept { return calibration_; }
  // How to copy so many pieces of about this size; `grained`: a kernel can.
  Way way(Direction direction, std::uint64_t piece_bytes, std::uint64_t pieces, bool grained) const noexcept;
  bool sums_on_device() const noexcept;

  // The run that all slots lie in; null: they are the engine's memory.
  const Memory* own_memory() const noexcept { return arena_.get(); }

  SlotStreams& streams() const noexcept { return *streams_; }
  Registrations& registrations() const noexcept { return *registrations_; }

 private:
  HbmTier(Device& device, HbmSettings settings, const TierContext& context, AdoptedMemory layout);

  Status check_ways(std::string* why) const;
  Status open_parts(std::uint32_t words, std::string* why);

  Device& device_;
  const HbmSettings settings_;
  const Calibration& calibration_;
  const AdoptedMemory layout_;
  TierInfo info_;
  Fd shared_;
  std::unique_ptr<Memory> arena_;  // null: the engine's
  std::unique_ptr<SlotStreams> streams_;
  std::unique_ptr<HbmAccess> access_;
  std::unique_ptr<Registrations> registrations_;
};

}  // namespace kelvin::hbm
