// CharMedium: a namespace of an NVMe drive, by commands that go to the drive as they are (passthrough),
// without the kernel's block layer. Needs io_uring.
//
// Thread contract: Medium's. open and the destructor: one thread.
// Invariants:
//   1. While the object lives it holds the exclusive flock of the character device, and has claimed the block
//   device beside it, where there is one: nobody mounts it or uses it as a tier.
//   2. Opening changes nothing on it.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "kelvin/status.h"
#include "tiers/nvme/file_lock.h"
#include "tiers/nvme/medium.h"
#include "tiers/nvme/nvme_namespace.h"

namespace kelvin::nvme {

class CharMedium final : public Medium {
 public:
  // What it holds is not looked at: see open_medium.h. On failure `why` (never null) says what to mend:
  //   kInvalid      not to be opened
  //   kBusy         mounted, part of another device, or somebody else's
  //   kUnsupported  no NVMe namespace, sectors that do not fit, no queues to poll, or a build without
  //   io_uring
  static Result<std::unique_ptr<CharMedium>> open(const MediumConfig& config, std::string* why);

  const MediumInfo& info() const noexcept override { return info_; }
  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override;
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override;
  Status flush() noexcept override;
  Status discard(std::span<const ByteRange> ranges) noexcept override;
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override;

 private:
  CharMedium() noexcept = default;
  Status claim_block_device(const MediumConfig& config, std::string* why);

  // Constant after open.
  Fd fd_;
  Fd block_fd_;
  FileLock lock_;  // of both; given back before they are closed
  FileLock block_lock_;
  NvmeNamespace space_;
  MediumInfo info_;
};

// A queue of commands to a namespace, by io_uring. kUnsupported where this kernel, container or build refuses
// that: `why` (never null) says so.
Result<std::unique_ptr<IoQueue>> open_command_queue(const NvmeNamespace& on, const QueueConfig& config,
                                                    std::string* why);

}  // namespace kelvin::nvme
