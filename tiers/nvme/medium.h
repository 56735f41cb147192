// Medium: where the bytes of one device lie. A file or a block device (file_medium.h), an NVMe character
// device, or a test's model of a drive that loses power.
//
// Thread contract: `info` any thread; read, write and flush any thread, also at once. They are for opening,
// closing and tools: blocks go through the queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/io_queue.h"

namespace kelvin::nvme {

struct MediumInfo {
  std::string path;
  std::uint64_t bytes = 0;  // from offset 0 on
  bool direct = false;      // memory, offsets and lengths of I/O must be aligned to kPageBytes
  int fd = -1;              // for Tier::address; negative: there is none
};

class Medium {
 public:
  // Lets go of the device. Precondition: its queues have ended.
  virtual ~Medium() = default;

  virtual const MediumInfo& info() const noexcept = 0;

  // All of the bytes, or a Status: kIo, kUnavailable, kFull. Whole pages, in memory aligned to pages.
  virtual Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept = 0;
  virtual Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept = 0;

  // What was written before survives a loss of power.
  virtual Status flush() noexcept = 0;

  // A queue whose requests go to this medium, and end before it does.
  virtual Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) = 0;

 protected:
  Medium() = default;
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;
};

}  // namespace kelvin::nvme
