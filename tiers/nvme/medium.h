// Medium: where the bytes of one device lie. A file (file_medium.h), a block device (block_medium.h), an NVMe
// character device (char_medium.h), or a test's model of a drive that loses power. open_medium.h tells which
// of them a path is.
//
// Thread contract: `info` any thread; read, write and flush any thread, also at once. They are for opening,
// closing and tools: blocks go through the queues. reserve: one thread, before anything is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/io_queue.h"

namespace kelvin::nvme {

enum class MediumKind : std::uint8_t { kFile, kBlockDevice, kCharacterDevice };

// How a medium is opened.
struct MediumConfig {
  std::string path;
  bool create = true;                 // make the file where there is nothing
  bool require_direct = true;         // false: buffered I/O where a file system refuses O_DIRECT
  std::uint32_t lock_wait_ms = 2000;  // a killed owner's lock outlives it until the kernel has ended its I/O
  bool poll = false;                  // its queues will poll: refused where the device cannot
};

// A part of a medium.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct MediumInfo {
  std::string path;
  MediumKind kind = MediumKind::kFile;
  std::uint64_t bytes = 0;              // from offset 0 on
  bool direct = false;                  // memory, offsets and lengths of I/O must be aligned to kPageBytes
  std::uint64_t max_request_bytes = 0;  // more is moved in part; 0: any length
  int fd = -1;                          // for Tier::address; negative: there is none
  bool discards = false;                // wants to know which bytes are not needed any more
  int block_fd = -1;  // of a device: the block device itself, or the one beside it; negative: none
};

class Medium {
 public:
  // Lets go of the device. Precondition: its queues have ended.
  virtual ~Medium() = default;

  virtual const MediumInfo& info() const noexcept = 0;

  // Makes sure of room for so many bytes. A file gets exactly this length on the drive; with `prewrite` every
  // byte of it is written once, so that no extent is unwritten: for a file that holds nothing yet. Of a
  // device only the size is looked at. kFull: there is too little room; nothing has changed.
  virtual Status reserve(std::uint64_t bytes, bool prewrite, std::string* why);

  // All of the bytes, or a Status: kIo, kUnavailable, kFull. Whole pages, in memory aligned to pages.
  virtual Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept = 0;
  virtual Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept = 0;

  // What was written before survives a loss of power.
  virtual Status flush() noexcept = 0;

  // Says that these bytes are not needed any more; what is read there afterwards, or after a loss of power,
  // may be anything. Whole pages. kUnsupported: it does not want to know.
  virtual Status discard(std::span<const ByteRange> ranges) noexcept;

  // A queue whose requests go to this medium, and end before it does.
  virtual Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) = 0;

 protected:
  Medium() = default;
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;
};

}  // namespace kelvin::nvme
