// HostTier: arenas of host memory that Kelvin owns, cut into contiguous slots. One arena for each memory node
// that the tier lies on; slot s is in arena s % n.
//
// Thread contract: that of Tier: immutable after open(), but for its growth.
// Invariants:
//   1. slots * stride <= capacity_bytes.
//   2. Blocks that are a multiple of 4 KiB lie without gaps, at multiples of 4 KiB: O_DIRECT I/O can use them
//   in
//      place. Others lie at multiples of 64; TierInfo::alignment says what holds.
//   3. Every slot's memory is mapped from the start; slots that are not ready yet have no pages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kelvin/tier.h"
#include "tiers/host/arena.h"
#include "tiers/host/grower.h"
#include "tiers/host/placement.h"

namespace kelvin {

struct HostTierOptions {
  std::string name;
  TierKind kind = TierKind::kDram;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t block_bytes = 0;
  HugePages huge_pages = HugePages::kAuto;
  bool prefault = false;
  bool mlock = false;
  Placement placement;
};

class HostTier final : public Tier {
 public:
  // Makes arena number i of `arenas`, of at least `bytes`.
  using MakeArena = std::function<Result<Arena>(std::size_t i, std::uint64_t bytes, std::string* why)>;

  // kInvalid: less than one slot, or more than a Slot can number; otherwise as Arena::map. `why` may be null.
  static Result<std::unique_ptr<HostTier>> open(const HostTierOptions& options, std::string* why);
  // The same on memory of another make, in `arenas` equal parts.
  static Result<std::unique_ptr<HostTier>> open(const HostTierOptions& options, std::size_t arenas,
                                                const MakeArena& make, std::string* why);

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  PageKind pages() const noexcept { return arenas_.front().pages(); }
  const std::vector<Arena>& arenas() const noexcept { return arenas_; }

 private:
  HostTier(const HostTierOptions& options, std::vector<Arena> arenas, std::uint64_t stride_bytes,
           std::uint32_t slots);
  Status make_ready(const HostTierOptions& options, std::string* why);

  std::vector<Arena> arenas_;
  std::uint64_t stride_bytes_;
  TierInfo info_;
  std::unique_ptr<Grower> grower_;  // ends before the arenas
};

}  // namespace kelvin
