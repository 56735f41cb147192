// NvmeTier: the slots of one block file, and how its links are to reach them.
//
// Thread contract: immutable after open; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/plugin.h"
#include "tiers/nvme/file.h"
#include "tiers/nvme/io_queue.h"

namespace kelvin::nvme {

struct LinkSettings {
  QueueKind queue = QueueKind::kAuto;
  std::uint32_t depth = 32;               // blocks in flight, each direction
  std::uint64_t request_bytes = 2 << 20;  // the most one request to the drive moves
};

class NvmeTier final : public Tier {
 public:
  // See BlockFile::open for the failures.
  static Result<std::unique_ptr<Tier>> open(const TierContext& context, const Options& options,
                                            std::string* why);

  // `tier`, if it is an NvmeTier; else null.
  static const NvmeTier* of(const Tier& tier) noexcept;

  NvmeTier(std::string name, std::unique_ptr<BlockFile> file, const LinkSettings& links);

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  const LinkSettings& links() const noexcept { return links_; }
  const BlockFile& file() const noexcept { return *file_; }

 private:
  const std::unique_ptr<BlockFile> file_;
  const LinkSettings links_;
  TierInfo info_;
};

}  // namespace kelvin::nvme
