// BlockFile: one preallocated file, cut into equal slots, that this process alone uses.
//
// Thread contract: immutable after open; any thread. open and the destructor: one thread.
// Invariants:
//   1. The file is never longer than FileConfig::capacity_bytes, superblock included.
//   2. While the object lives it holds an exclusive flock on the file: at most one owner on this machine.
//   3. A file that does not start with our magic is never written, nor changed in length.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/superblock.h"

namespace kelvin::nvme {

struct FileConfig {
  std::string path;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t block_bytes = 0;      // a multiple of kPageBytes, else kInvalid
  bool require_direct = true;         // false: buffered I/O where the file system refuses O_DIRECT
  bool prewrite = false;              // write zeros over the file once, so that no extent is unwritten
  std::uint32_t lock_wait_ms = 2000;  // a killed owner's lock outlives it until the kernel has ended its I/O
};

class BlockFile {
 public:
  // Opens the file at config.path, or creates it, and gives it its full length on the drive. A file of ours
  // is reused whatever its geometry was; its old blocks are lost. On failure `why` (never null) says what to
  // mend:
  //   kInvalid      no room for one block, block size not a multiple of 4096, path missing or not ours
  //   kBusy         another process, or another tier, holds the file
  //   kFull         the drive, quota or RLIMIT_FSIZE has too little room; the file keeps the length it had
  //   kUnsupported  not a regular file, or O_DIRECT is refused and required
  //   kIo, ...      the drive answered with an error
  static Result<std::unique_ptr<BlockFile>> open(const FileConfig& config, std::string* why);

  // Gives the lock back; the file stays, for the next open to reuse.
  ~BlockFile();
  BlockFile(const BlockFile&) = delete;
  BlockFile& operator=(const BlockFile&) = delete;

  int fd() const noexcept { return fd_; }
  bool direct() const noexcept { return direct_; }  // I/O must be aligned to kPageBytes
  std::uint32_t slots() const noexcept { return slots_; }
  std::uint64_t block_bytes() const noexcept { return stride_bytes_; }  // blocks are multiples of a page
  std::uint64_t file_bytes() const noexcept { return offset(slots_); }
  std::uint64_t offset(std::uint32_t slot) const noexcept { return kDataOffset + slot * stride_bytes_; }

 private:
  BlockFile() noexcept = default;

  Status take_geometry(const FileConfig& config, std::string* why);
  Status open_path(const FileConfig& config, std::string* why);
  Status lock(const FileConfig& config, std::string* why);
  Status read_superblock(const FileConfig& config, std::string* why);
  Status check_room(const FileConfig& config, std::string* why) const;
  Status write_superblock(const FileConfig& config, std::string* why) const;
  Status resize(const FileConfig& config, std::string* why);
  Status prewrite(const FileConfig& config, std::string* why);

  // Constant after open.
  int fd_ = -1;
  bool locked_ = false;
  bool direct_ = false;
  std::uint32_t slots_ = 0;
  std::uint64_t stride_bytes_ = 0;
  std::uint64_t found_bytes_ = 0;    // length of the file before us
  std::uint64_t written_bytes_ = 0;  // Superblock::written_bytes
};

}  // namespace kelvin::nvme
