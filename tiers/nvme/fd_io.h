// All of the bytes of a file or a block device, or an error.
//
// Thread contract: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kelvin/status.h"

namespace kelvin::nvme {

// An end of the file before the last byte is kIo. `context` is that of the Status.
Status read_fully(int fd, std::uint64_t offset, std::span<std::byte> bytes, const char* context) noexcept;
Status write_fully(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                   const char* context) noexcept;

}  // namespace kelvin::nvme
