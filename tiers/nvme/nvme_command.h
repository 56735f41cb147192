// Reads and writes as commands of an NVMe drive, in entries of an io_uring.
//
// Thread contract: pure functions.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "tiers/nvme/io_queue.h"
#include "tiers/nvme/nvme_namespace.h"

namespace kelvin::nvme {

// Writes an entry of 128 bytes for `request`, or for as much of its beginning as one command may move.
// `file`: as registered. `buffer`: the registered one that its only vector lies in; negative: none.
void prepare_command(const NvmeNamespace& on, int file, const IoRequest& request, int buffer,
                     io_uring_sqe* entry) noexcept;

// What came of such an entry, by its user_data and the kernel's answer.
IoResult command_result(const NvmeNamespace& on, std::uint64_t user_data, int answer) noexcept;

// Whether it named a registered buffer.
bool used_registered(std::uint64_t user_data) noexcept;

}  // namespace kelvin::nvme
