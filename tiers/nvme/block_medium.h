// BlockMedium: a whole block device, or a partition, that this process alone uses, past the page cache.
//
// Thread contract: Medium's. open and the destructor: one thread.
// Invariants:
//   1. While the object lives nobody else has claimed the device (O_EXCL) or holds its flock.
//   2. Opening changes nothing on it.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "kelvin/status.h"
#include "tiers/nvme/file_lock.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

class BlockMedium final : public Medium {
 public:
  // What it holds is not looked at: see open_medium.h. On failure `why` (never null) says what to mend:
  //   kInvalid      not to be opened
  //   kBusy         mounted, part of another device, or somebody else's
  //   kUnsupported  no block device, zoned, sectors larger than pages, or no queues to poll
  static Result<std::unique_ptr<BlockMedium>> open(const MediumConfig& config, std::string* why);

  const MediumInfo& info() const noexcept override { return info_; }
  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override;
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override;
  Status flush() noexcept override;
  Status discard(std::span<const ByteRange> ranges) noexcept override;
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override;

 private:
  BlockMedium() noexcept = default;

  // Constant after open.
  Fd fd_;
  FileLock lock_;  // given back before the device is closed
  MediumInfo info_;
};

}  // namespace kelvin::nvme
