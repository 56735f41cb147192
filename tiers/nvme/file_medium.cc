// See file_medium.h.
#include "tiers/nvme/file_medium.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/fd_io.h"
#include "tiers/nvme/format.h"
#include "tiers/nvme/zeros.h"

namespace kelvin::nvme {
namespace {

constexpr mode_t kOwnerOnly = 0600;  // blocks are tenants' data

// Whether one aligned read works: some file systems take O_DIRECT at open and refuse the I/O.
bool direct_io_works(int fd) noexcept {
  Superblock page;
  return ::pread(fd, &page, sizeof page, 0) >= 0 || errno != EINVAL;
}

}  // namespace

Result<std::unique_ptr<FileMedium>> FileMedium::open(const MediumConfig& config, std::string* why) {
  std::unique_ptr<FileMedium> file(new FileMedium());
  file->info_.path = config.path;
  if (const Status s = file->open_path(config, why); !s.ok()) return s;
  auto lock = FileLock::take(file->fd_.get(), config, why);
  if (!lock.ok()) return lock.status();
  file->lock_ = std::move(lock).value();
  struct stat found {};
  if (::fstat(file->fd_.get(), &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  file->info_.fd = file->fd_.get();
  file->info_.bytes = static_cast<std::uint64_t>(found.st_size);
  return file;
}

Status FileMedium::open_path(const MediumConfig& config, std::string* why) {
  if (config.path.empty()) {
    return refuse({Code::kInvalid, "opening an nvme tier"}, why,
                  "the path is empty: name a file on the drive");
  }
  if (config.poll) {
    return refuse(
        {Code::kUnsupported, "opening a block file"}, why,
        format_text("{}: poll = true needs a raw device, and this is a file: name the device, or set "
                    "poll = false",
                    config.path));
  }
  const int flags = O_RDWR | O_CLOEXEC | (config.create ? O_CREAT : 0);
  fd_ = Fd(::open(config.path.c_str(), flags | O_DIRECT, kOwnerOnly));
  info_.direct = fd_.get() >= 0 && direct_io_works(fd_.get());
  if (!info_.direct && (fd_.get() >= 0 || errno == EINVAL)) {
    if (config.require_direct) {
      return refuse(
          {Code::kUnsupported, "opening a block file with O_DIRECT", EINVAL}, why,
          format_text("{}: its file system refuses O_DIRECT: choose a path on a drive, or set direct = "
                      "\"auto\" to go through the page cache",
                      config.path));
    }
    fd_ = Fd(::open(config.path.c_str(), flags, kOwnerOnly));
  }
  if (fd_.get() < 0) {
    const int error = errno;
    const Code code =
        error == EACCES || error == ENOENT || error == EISDIR || error == ENOTDIR || error == EROFS
            ? Code::kInvalid
            : io_status(error, "").code();
    return refuse({code, "opening a block file", error}, why,
                  format_text("{}: cannot be opened{}: {}: the directory must exist and be writable",
                              config.path, config.create ? " or created" : "", error_text(error)));
  }
  struct stat found {};
  if (::fstat(fd_.get(), &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  if (!S_ISREG(found.st_mode)) {
    return refuse(
        {Code::kUnsupported, "opening a block file"}, why,
        format_text("{}: is not a regular file: name a file on the drive's file system", config.path));
  }
  return {};
}

Status FileMedium::check_room(std::uint64_t bytes, std::string* why) const {
  // Asked beforehand: to exceed RLIMIT_FSIZE raises a signal that ends the process, and to run into a full
  // drive makes it full for everybody else meanwhile.
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur) {
    return refuse({Code::kFull, "preallocating a block file", EFBIG}, why,
                  format_text("{}: needs {}, but this process may make files of {} only: raise the limit "
                              "(ulimit -f) or lower the capacity",
                              info_.path, size_text(bytes), size_text(limit.rlim_cur)));
  }
  struct stat found {};
  struct statvfs drive {};
  if (::fstat(fd_.get(), &found) != 0 || ::fstatvfs(fd_.get(), &drive) != 0) {
    return refuse_io(errno, "statvfs", info_.path, why);
  }
  const std::uint64_t held = static_cast<std::uint64_t>(found.st_blocks) * 512;
  const std::uint64_t free = static_cast<std::uint64_t>(drive.f_bavail) * drive.f_frsize;
  const std::uint64_t more = bytes > held ? bytes - held : 0;
  if (drive.f_blocks != 0 && more > free) {  // 0: the file system does not tell
    return refuse({Code::kFull, "preallocating a block file", ENOSPC}, why,
                  format_text("{}: needs {} more, the drive has {} free: lower the capacity or make room",
                              info_.path, size_text(more), size_text(free)));
  }
  return {};
}

Status FileMedium::reserve(std::uint64_t bytes, bool prewrite, std::string* why) {
  if (const Status s = check_room(bytes, why); !s.ok()) return s;
  const std::uint64_t found = info_.bytes;
  if (found > bytes && ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
    return refuse_io(errno, "shortening the file", info_.path, why);
  }
  info_.bytes = std::min(found, bytes);
  if (bytes == 0) return {};
  int failed = 0;
  do {
    failed = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (failed == EINTR);
  const bool refused = failed == EOPNOTSUPP || failed == ENOSYS;
  if (failed != 0 && !refused) {
    const bool shortened = ::ftruncate(fd_.get(), static_cast<off_t>(std::min(found, bytes))) == 0;
    return refuse(io_status(failed, "preallocating a block file"), why,
                  format_text("{}: {} cannot be preallocated: {}: lower the capacity or make room{}",
                              info_.path, size_text(bytes), error_text(failed),
                              shortened ? "" : " (what was taken could not be given back: remove the file)"));
  }
  if (prewrite || refused) {
    const int error = write_zeros(fd_.get(), prewrite ? 0 : std::min(found, bytes), bytes);
    if (error != 0) return refuse_io(error, "writing zeros over the file", info_.path, why);
  }
  info_.bytes = bytes;
  return {};
}

Status FileMedium::read(std::uint64_t offset, std::span<std::byte> bytes) noexcept {
  return read_fully(fd_.get(), offset, bytes, "reading a block file");
}

Status FileMedium::write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
  return write_fully(fd_.get(), offset, bytes, "writing a block file");
}

Status FileMedium::flush() noexcept {
  return ::fdatasync(fd_.get()) == 0 ? Status() : io_status(errno, "flushing a block file");
}

Result<std::unique_ptr<IoQueue>> FileMedium::open_queue(const QueueConfig& config, std::string* why) {
  return open_file_queue(fd_.get(), config, why);
}

}  // namespace kelvin::nvme
