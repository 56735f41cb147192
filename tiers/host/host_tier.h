// HostTier: an arena of host DRAM that Kelvin owns, cut into contiguous slots.
//
// Thread contract: that of Tier: immutable after open().
// Invariants:
//   1. slots * stride <= capacity_bytes.
//   2. Blocks that are a multiple of 4 KiB lie without gaps, at multiples of 4 KiB: O_DIRECT I/O can use them
//   in
//      place. Others lie at multiples of 64; TierInfo::alignment says what holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/tier.h"
#include "tiers/host/arena.h"

namespace kelvin {

struct HostTierOptions {
  std::string name;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t block_bytes = 0;
  HugePages huge_pages = HugePages::kAuto;
  bool prefault = false;
  bool mlock = false;
};

class HostTier final : public Tier {
 public:
  // kInvalid: less than one slot, or more than a Slot can number; otherwise as Arena::map. `why` may be null.
  static Result<std::unique_ptr<HostTier>> open(const HostTierOptions& options, std::string* why);

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  PageKind pages() const noexcept { return arena_.pages(); }

 private:
  HostTier(const HostTierOptions& options, Arena arena, std::uint64_t stride_bytes, std::uint32_t slots);

  Arena arena_;
  std::uint64_t stride_bytes_;
  TierInfo info_;
};

}  // namespace kelvin
