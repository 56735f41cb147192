// FileMedium: a regular file that this process alone uses.
//
// Thread contract: Medium's. open, reserve and the destructor: one thread.
// It is never told what is not needed any more (Medium::discard): a hole gives its room back to the file
// system, which may be full when the next block is to be written there.
//
// Invariants:
//   1. While the object lives it holds an exclusive flock on the file: at most one owner on this machine.
//   2. Opening changes nothing in a file; one that is made is empty until `reserve`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "kelvin/status.h"
#include "tiers/nvme/file_lock.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

class FileMedium final : public Medium {
 public:
  // On failure `why` (never null) says what to mend:
  //   kInvalid      path missing, not to be opened or made
  //   kBusy         another process, or another tier, holds the file
  //   kUnsupported  not a regular file, O_DIRECT is refused and required, or polling is asked for
  //   kIo, ...      the drive answered with an error
  static Result<std::unique_ptr<FileMedium>> open(const MediumConfig& config, std::string* why);

  const MediumInfo& info() const noexcept override { return info_; }
  Status reserve(std::uint64_t bytes, bool prewrite, std::string* why) override;
  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override;
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override;
  Status flush() noexcept override;
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override;

 private:
  FileMedium() noexcept = default;

  Status open_path(const MediumConfig& config, std::string* why);
  Status check_room(std::uint64_t bytes, std::string* why) const;

  // Constant after reserve.
  Fd fd_;
  FileLock lock_;  // given back before the file is closed
  MediumInfo info_;
};

}  // namespace kelvin::nvme
