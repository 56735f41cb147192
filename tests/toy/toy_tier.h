// ToyTier: slots in a file that has no name and ends with the process.
//
// Thread contract: that of Tier: immutable after open().
#pragma once

#include <memory>
#include <string>

#include "kelvin/plugin.h"

namespace kelvin {

class ToyTier final : public Tier {
 public:
  // kIo where the folder cannot hold a file, kFull where it has not enough room.
  static Result<std::unique_ptr<Tier>> open(const TierContext& context, const Options& options,
                                            std::string* why);
  ~ToyTier() override;

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

 private:
  ToyTier(const TierContext& context, int fd);

  int fd_;
  TierInfo info_;
};

}  // namespace kelvin
