// What the kernel tells of a block device, and how one is opened so that nobody else uses it.
//
// Thread contract: any thread. Allocates.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

// Opens `path` with O_EXCL added to `flags`: the kernel lets nobody mount or claim it meanwhile. Waits for an
// owner to end: config.lock_wait_ms, and longer (owner.h) where only its last writes are left. kBusy: it did
// not, or the device is mounted or part of another; `why` says of what. kInvalid: not to be opened.
Result<Fd> open_block_device(const std::string& path, int flags, const MediumConfig& config,
                             std::string* why);

struct BlockSize {
  std::uint64_t bytes = 0;
  std::uint32_t sector_bytes = 0;  // logical: the unit that it reads and writes
};
// kUnsupported: not a device whose sectors make up pages.
Result<BlockSize> size_of_block_device(int fd, const std::string& path, std::string* why);

// Whether the device was taken out of the machine. It then has no length any more: reads end before the first
// byte, and writes find no space.
bool block_device_gone(int fd) noexcept;

// A number from its queue's folder in sysfs, for example "io_poll"; of a partition, from its disk's. Empty:
// not told.
std::optional<std::uint64_t> queue_attribute(dev_t device, const char* name);

// Ok if its queues can be polled. `path` is for the message alone.
Status check_polling(dev_t device, const std::string& path, std::string* why);

}  // namespace kelvin::nvme
