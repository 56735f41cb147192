// NvmeNamespace: a namespace of an NVMe drive, spoken to in the drive's own commands through its character
// device (/dev/ng0n1): what it says of itself, and single commands that are waited for.
//
// Thread contract: plain values; the functions any thread, also at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

enum class NvmeOpcode : std::uint8_t { kFlush = 0x00, kWrite = 0x01, kRead = 0x02, kManageDataset = 0x09 };

struct NvmeNamespace {
  int fd = -1;  // of the character device; somebody else's
  std::uint32_t number = 0;
  std::uint32_t sector_shift = 0;       // sectors of 1 << sector_shift bytes
  std::uint64_t bytes = 0;              // whole pages
  std::uint64_t max_request_bytes = 0;  // of one command; whole pages, at least one
  bool deallocates = false;             // knows Dataset Management
};

// Asks the drive. kUnsupported: not a namespace's device, or sectors that do not make up pages, or carry
// metadata. kInvalid: this process may not ask.
Result<NvmeNamespace> identify_namespace(int fd, const std::string& path, std::string* why);

// Moves bytes, in whole pages and as many commands as it takes. Returns 0, or an errno.
int run_nvme(const NvmeNamespace& on, NvmeOpcode opcode, std::uint64_t offset, void* memory,
             std::size_t bytes) noexcept;

// Dataset Management, deallocate: their bytes are not needed any more. Returns 0, or an errno.
int deallocate_nvme(const NvmeNamespace& on, std::span<const ByteRange> ranges) noexcept;

// What a command's status field, which is never 0 here, is as an errno.
int errno_of_nvme(int status) noexcept;

}  // namespace kelvin::nvme
