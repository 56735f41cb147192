// See fd_io.h.
#include "tiers/nvme/fd_io.h"

#include <unistd.h>

#include <cerrno>

#include "tiers/nvme/errors.h"

namespace kelvin::nvme {
namespace {

// Moves all bytes by `move(done)`, which is pread or pwrite.
template <class Move>
Status move_all(std::size_t bytes, const char* context, Move move) noexcept {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = move(done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_status(errno, context);
    if (n == 0) return {Code::kIo, context, 0};
    done += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

Status read_fully(int fd, std::uint64_t offset, std::span<std::byte> bytes, const char* context) noexcept {
  return move_all(bytes.size(), context, [&](std::size_t done) {
    return ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
  });
}

Status write_fully(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                   const char* context) noexcept {
  return move_all(bytes.size(), context, [&](std::size_t done) {
    return ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
  });
}

}  // namespace kelvin::nvme
