// See block_medium.h.
#include "tiers/nvme/block_medium.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/block_device.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/fd_io.h"

namespace kelvin::nvme {

Result<std::unique_ptr<BlockMedium>> BlockMedium::open(const MediumConfig& config, std::string* why) {
  std::unique_ptr<BlockMedium> device(new BlockMedium());
  auto fd = open_block_device(config.path, O_RDWR | O_DIRECT, config, why);
  if (!fd.ok()) return fd.status();
  device->fd_ = std::move(fd).value();
  const int number = device->fd_.get();
  struct stat found {};
  if (::fstat(number, &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  if (!S_ISBLK(found.st_mode)) {
    return refuse({Code::kUnsupported, "opening a block device"}, why,
                  config.path + ": is no block device any more: somebody changed it meanwhile");
  }
  if (config.poll) {
    if (const Status s = check_polling(found.st_rdev, config.path, why); !s.ok()) return s;
  }
  auto lock = FileLock::take(number, config, why);
  if (!lock.ok()) return lock.status();
  device->lock_ = std::move(lock).value();
  const auto size = size_of_block_device(number, config.path, why);
  if (!size.ok()) return size.status();
  device->info_ = {.path = config.path,
                   .kind = MediumKind::kBlockDevice,
                   .bytes = size->bytes,
                   .direct = true,
                   .fd = number,
                   .discards = queue_attribute(found.st_rdev, "discard_max_bytes").value_or(0) != 0,
                   .block_fd = number};
  return device;
}

Status BlockMedium::read(std::uint64_t offset, std::span<std::byte> bytes) noexcept {
  return read_fully(fd_.get(), offset, bytes, "reading a block device");
}

Status BlockMedium::write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
  return write_fully(fd_.get(), offset, bytes, "writing a block device");
}

Status BlockMedium::flush() noexcept {
  return ::fdatasync(fd_.get()) == 0 ? Status() : io_status(errno, "flushing a block device");
}

Status BlockMedium::discard(std::span<const ByteRange> ranges) noexcept {
  for (const ByteRange& range : ranges) {
    std::array<std::uint64_t, 2> part = {range.offset, range.bytes};
    int failed = 0;
    do {
      failed = ::ioctl(fd_.get(), BLKDISCARD, part.data()) == 0 ? 0 : errno;
    } while (failed == EINTR);
    if (failed == EOPNOTSUPP) return {Code::kUnsupported, "discarding bytes of a block device", failed};
    if (failed != 0) return io_status(failed, "discarding bytes of a block device");
  }
  return {};
}

Result<std::unique_ptr<IoQueue>> BlockMedium::open_queue(const QueueConfig& config, std::string* why) {
  return open_file_queue(fd_.get(), config, why);
}

}  // namespace kelvin::nvme
