// See char_medium.h.
#include "tiers/nvme/char_medium.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/block_device.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {
namespace {

constexpr const char* kOpening = "opening an NVMe character device";

// "/dev/nvme0n1" for the device that sysfs calls ng0n1; "" where there is none.
std::string block_device_beside(dev_t device) {
  std::error_code error;
  const auto folder =
      std::filesystem::canonical(format_text("/sys/dev/char/{}:{}", major(device), minor(device)), error);
  const std::string name = folder.filename().string();
  if (error || !name.starts_with("ng")) return "";
  std::string path = "/dev/nvme" + name.substr(2);
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISBLK(found.st_mode) ? path : "";
}

int run(const NvmeNamespace& space, NvmeOpcode opcode, std::uint64_t offset, const std::byte* memory,
        std::size_t bytes) noexcept {
  // The drive reads what it is given to write.
  return run_nvme(space, opcode, offset, const_cast<std::byte*>(memory), bytes);
}

Status to_status(int error, const char* context) noexcept {
  return error == 0 ? Status() : io_status(error, context);
}

}  // namespace

Result<std::unique_ptr<CharMedium>> CharMedium::open(const MediumConfig& config, std::string* why) {
#ifndef KELVIN_HAVE_URING
  return refuse({Code::kUnsupported, kOpening}, why,
                config.path +
                    ": commands to a drive need io_uring, which this build lacks: use the block "
                    "device beside it, or build with liburing 2.3 or later");
#else
  std::unique_ptr<CharMedium> device(new CharMedium());
  device->fd_ = Fd(::open(config.path.c_str(), O_RDWR | O_CLOEXEC));
  const int fd = device->fd_.get();
  if (fd < 0) {
    const int error = errno;
    return refuse({Code::kInvalid, kOpening, error}, why,
                  format_text("{}: cannot be opened: {}: this process must be allowed to read and write it",
                              config.path, error_text(error)));
  }
  auto space = identify_namespace(fd, config.path, why);
  if (!space.ok()) return space.status();
  device->space_ = *space;
  auto lock = FileLock::take(fd, config, why);
  if (!lock.ok()) return lock.status();
  device->lock_ = std::move(lock).value();
  if (const Status s = device->claim_block_device(config, why); !s.ok()) return s;
  device->info_ = {.path = config.path,
                   .kind = MediumKind::kCharacterDevice,
                   .bytes = device->space_.bytes,
                   .direct = true,
                   .max_request_bytes = device->space_.max_request_bytes,
                   .discards = device->space_.deallocates,
                   .block_fd = device->block_fd_.get()};
  return device;
#endif
}

Status CharMedium::claim_block_device(const MediumConfig& config, std::string* why) {
  struct stat found {};
  if (::fstat(fd_.get(), &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  const std::string beside = block_device_beside(found.st_rdev);
  if (beside.empty()) {
    if (!config.poll) return {};
    return refuse({Code::kUnsupported, kOpening}, why,
                  config.path +
                      ": has no block device beside it that says whether it has queues that can be "
                      "polled: set poll = false");
  }
  auto block = open_block_device(beside, O_RDONLY, config, why);
  if (!block.ok()) {
    *why = config.path + ": the block device of the same drive is in the way: " + *why;
    return block.status();
  }
  block_fd_ = std::move(block).value();
  auto lock = FileLock::take(block_fd_.get(), config, why);
  if (!lock.ok()) return lock.status();
  block_lock_ = std::move(lock).value();
  if (::fstat(block_fd_.get(), &found) != 0) return refuse_io(errno, "fstat", beside, why);
  if (config.poll) {
    if (const Status s = check_polling(found.st_rdev, config.path, why); !s.ok()) return s;
  }
  // What the kernel takes as one request, when every page lies elsewhere in memory: commands are not split.
  const std::uint64_t most =
      std::min(queue_attribute(found.st_rdev, "max_hw_sectors_kb").value_or(~0ULL >> 10U) << 10U,
               queue_attribute(found.st_rdev, "max_segments").value_or(~0ULL / kPageBytes) * kPageBytes);
  space_.max_request_bytes =
      std::max(std::min(space_.max_request_bytes, most) / kPageBytes * kPageBytes, kPageBytes);
  // The page cache knows nothing of commands: what it holds from former times may be stale.
  static_cast<void>(::ioctl(block_fd_.get(), BLKFLSBUF, 0));
  return {};
}

Status CharMedium::read(std::uint64_t offset, std::span<std::byte> bytes) noexcept {
  if (bytes.empty()) return {};
  return to_status(run(space_, NvmeOpcode::kRead, offset, bytes.data(), bytes.size()),
                   "reading an NVMe namespace");
}

Status CharMedium::write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return {};
  return to_status(run(space_, NvmeOpcode::kWrite, offset, bytes.data(), bytes.size()),
                   "writing an NVMe namespace");
}

Status CharMedium::flush() noexcept {
  return to_status(run(space_, NvmeOpcode::kFlush, 0, nullptr, 0), "flushing an NVMe namespace");
}

Status CharMedium::discard(std::span<const ByteRange> ranges) noexcept {
  const int error = deallocate_nvme(space_, ranges);
  if (error == EOPNOTSUPP) return {Code::kUnsupported, "discarding bytes of an NVMe namespace", error};
  return to_status(error, "discarding bytes of an NVMe namespace");
}

Result<std::unique_ptr<IoQueue>> CharMedium::open_queue(const QueueConfig& config, std::string* why) {
  if (config.kind == QueueKind::kThreads) {
    return refuse({Code::kUnsupported, kOpening}, why,
                  info_.path +
                      ": commands to a drive need io_uring: set io = \"auto\", or use the block device "
                      "beside it");
  }
  return open_command_queue(space_, config, why);
}

}  // namespace kelvin::nvme
