// See nvme_command.h.
#include "tiers/nvme/nvme_command.h"

#include <linux/nvme_ioctl.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace kelvin::nvme {
namespace {

// A drive answers with a status and no length: how much was asked for travels in the entry's user_data, as
// the number of sectors less one, above the tag and a bit that says whether the buffer was a registered one.
constexpr unsigned kLengthAt = 48;
constexpr std::uint64_t kRegistered = 1ULL << 47U;
constexpr std::uint64_t kTagMask = kRegistered - 1;
constexpr std::size_t kEntryBytes = 128;

// How many of the vectors one command moves; 0: not all of the first.
std::uint32_t vectors_within(const IoRequest& request, std::uint64_t limit, std::uint64_t* bytes) noexcept {
  std::uint32_t count = 0;
  for (*bytes = 0; count < request.vector_count; ++count) {
    if (*bytes + request.vectors[count].iov_len > limit) break;
    *bytes += request.vectors[count].iov_len;
  }
  if (count == 0) *bytes = limit;
  return count;
}

}  // namespace

void prepare_command(const NvmeNamespace& on, int file, const IoRequest& request, int buffer,
                     io_uring_sqe* entry) noexcept {
  std::uint64_t bytes = 0;
  const std::uint32_t vectors = vectors_within(request, on.max_request_bytes, &bytes);
  const std::uint64_t sector = request.offset >> on.sector_shift;
  const std::uint64_t sectors = bytes >> on.sector_shift;
  nvme_uring_cmd command{};
  command.opcode = static_cast<std::uint8_t>(request.write ? NvmeOpcode::kWrite : NvmeOpcode::kRead);
  command.nsid = on.number;
  command.cdw10 = static_cast<std::uint32_t>(sector);
  command.cdw11 = static_cast<std::uint32_t>(sector >> 32U);
  command.cdw12 = static_cast<std::uint32_t>(sectors - 1);
  const bool scattered = vectors > 1;
  if (scattered) {
    command.addr = reinterpret_cast<std::uint64_t>(request.vectors);
    command.data_len = vectors;
  } else {
    command.addr = reinterpret_cast<std::uint64_t>(request.vectors->iov_base);
    command.data_len = static_cast<std::uint32_t>(bytes);
  }
  std::memset(static_cast<void*>(entry), 0, kEntryBytes);
  entry->opcode = IORING_OP_URING_CMD;
  entry->flags = IOSQE_FIXED_FILE;
  entry->fd = file;
  entry->cmd_op = scattered ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
  entry->user_data = request.tag | (buffer >= 0 ? kRegistered : 0) | (sectors - 1) << kLengthAt;
  if (buffer >= 0) {
    entry->uring_cmd_flags = IORING_URING_CMD_FIXED;
    entry->buf_index = static_cast<std::uint16_t>(buffer);
  }
  static_assert(offsetof(io_uring_sqe, cmd) + sizeof command <= kEntryBytes);
  std::memcpy(reinterpret_cast<std::byte*>(entry) + offsetof(io_uring_sqe, cmd), &command, sizeof command);
}

IoResult command_result(const NvmeNamespace& on, std::uint64_t user_data, int answer) noexcept {
  IoResult result{user_data & kTagMask, answer};
  if (answer > 0) result.result = -errno_of_nvme(answer);
  if (answer == 0) {
    result.result = static_cast<std::int32_t>(((user_data >> kLengthAt) + 1) << on.sector_shift);
  }
  return result;
}

bool used_registered(std::uint64_t user_data) noexcept { return (user_data & kRegistered) != 0; }

}  // namespace kelvin::nvme
