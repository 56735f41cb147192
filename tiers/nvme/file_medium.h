// FileMedium: a regular file that this process alone uses.
//
// Thread contract: Medium's. open, reserve and the destructor: one thread.
// Invariants:
//   1. While the object lives it holds an exclusive flock on the file: at most one owner on this machine.
//   2. Opening changes nothing in a file; one that is made is empty until `reserve`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

struct FileConfig {
  std::string path;
  bool create = true;                 // make the file where there is none
  bool require_direct = true;         // false: buffered I/O where the file system refuses O_DIRECT
  std::uint32_t lock_wait_ms = 2000;  // a killed owner's lock outlives it until the kernel has ended its I/O
};

class FileMedium final : public Medium {
 public:
  // On failure `why` (never null) says what to mend:
  //   kInvalid      path missing, not to be opened or made
  //   kBusy         another process, or another tier, holds the file
  //   kUnsupported  not a regular file, or O_DIRECT is refused and required
  //   kIo, ...      the drive answered with an error
  static Result<std::unique_ptr<FileMedium>> open(const FileConfig& config, std::string* why);

  // Gives the lock back; the file stays.
  ~FileMedium() override;

  // Gives the file exactly this length on the drive; with `prewrite` every byte of it is written once, so
  // that no extent is unwritten: for a file that holds nothing yet. kFull: the drive, quota or RLIMIT_FSIZE
  // has too little room; the file keeps the length it had.
  Status reserve(std::uint64_t bytes, bool prewrite, std::string* why);

  const MediumInfo& info() const noexcept override { return info_; }
  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override;
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override;
  Status flush() noexcept override;
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override;

 private:
  FileMedium() noexcept = default;

  Status open_path(const FileConfig& config, std::string* why);
  Status lock(const FileConfig& config, std::string* why);
  Status check_room(std::uint64_t bytes, std::string* why) const;

  // Constant after reserve.
  Fd fd_;
  bool locked_ = false;
  MediumInfo info_;
};

}  // namespace kelvin::nvme
