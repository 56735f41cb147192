// AdoptedTier: host memory of the engine as a tier. The engine allocated it and names its slots; a block may
// lie there in several segments (layer by layer, K and V apart).
//
// Thread contract: that of Tier: immutable after open(). The memory must outlive the tier.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/space.h"
#include "kelvin/tier.h"

namespace kelvin {

class AdoptedTier final : public Tier {
 public:
  // Checks that the layout holds blocks of `block_bytes` in pieces that do not overlap, and `capacity_bytes`
  // (slots * block_bytes, or 0) against it: kInvalid with `why` (may be null) otherwise.
  static Result<std::unique_ptr<AdoptedTier>> open(const std::string& name, AdoptedMemory memory,
                                                   std::uint64_t block_bytes, std::uint64_t capacity_bytes,
                                                   std::string* why);

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

 private:
  AdoptedTier(const std::string& name, AdoptedMemory memory, std::uint64_t block_bytes);

  AdoptedMemory memory_;
  TierInfo info_;
};

}  // namespace kelvin
