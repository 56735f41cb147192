// See file.h.
#include "tiers/nvme/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <thread>
#include <utility>

#include "checksum/crc32c.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/zeros.h"

namespace kelvin::nvme {
namespace {

constexpr auto kLockRetry = std::chrono::milliseconds(5);
constexpr mode_t kOwnerOnly = 0600;  // blocks are tenants' data

Status refuse(Status status, std::string* why, std::string text) {
  *why = std::move(text);
  return status;
}

Status refuse_io(int error, const char* context, const std::string& path, std::string* why) {
  return refuse(io_status(error, context), why,
                fmt::format("{}: {} failed: {}", path, context, error_text(error)));
}

std::string size_text(std::uint64_t bytes) {
  return fmt::format("{} bytes ({:.1f} MiB)", bytes, static_cast<double>(bytes) / (1ULL << 20));
}

// Whether one aligned read works: some file systems take O_DIRECT at open and refuse the I/O.
bool direct_io_works(int fd) noexcept {
  Superblock page;
  return ::pread(fd, &page, sizeof page, 0) >= 0 || errno != EINVAL;
}

}  // namespace

std::uint32_t superblock_checksum(const Superblock& page) noexcept {
  return crc32c(&page, offsetof(Superblock, checksum));
}

Result<std::unique_ptr<BlockFile>> BlockFile::open(const FileConfig& config, std::string* why) {
  std::unique_ptr<BlockFile> file(new BlockFile());
  if (const Status s = file->take_geometry(config, why); !s.ok()) return s;
  if (const Status s = file->open_path(config, why); !s.ok()) return s;
  if (const Status s = file->lock(config, why); !s.ok()) return s;
  if (const Status s = file->read_superblock(config, why); !s.ok()) return s;
  if (const Status s = file->check_room(config, why); !s.ok()) return s;
  // The magic goes first: a file that a kill left half-made is ours, and never in anybody's way.
  if (const Status s = file->write_superblock(config, why); !s.ok()) return s;
  if (const Status s = file->resize(config, why); !s.ok()) return s;
  if (config.prewrite) {
    if (const Status s = file->prewrite(config, why); !s.ok()) return s;
  }
  return file;
}

BlockFile::~BlockFile() {
  if (fd_ < 0) return;
  // By hand: a ring that still ends in the background, or a forked child, may hold the file open for a while.
  if (locked_) ::flock(fd_, LOCK_UN);
  ::close(fd_);
}

Status BlockFile::take_geometry(const FileConfig& config, std::string* why) {
  const Status invalid(Code::kInvalid, "opening an nvme tier");
  if (config.path.empty()) return refuse(invalid, why, "the path is empty: name a file on the drive");
  if (config.block_bytes == 0 || config.block_bytes % kPageBytes != 0) {
    return refuse(invalid, why,
                  fmt::format("block_bytes = {} cannot lie on a drive: choose a multiple of {}",
                              config.block_bytes, kPageBytes));
  }
  const std::uint64_t room = config.capacity_bytes > kDataOffset ? config.capacity_bytes - kDataOffset : 0;
  const std::uint64_t slots = room / config.block_bytes;
  if (slots == 0) {
    return refuse(invalid, why,
                  fmt::format("{}: capacity {} holds no block: the file needs {} of its own and {} a block",
                              config.path, size_text(config.capacity_bytes), size_text(kDataOffset),
                              size_text(config.block_bytes)));
  }
  if (slots >= std::numeric_limits<std::uint32_t>::max()) {
    return refuse(invalid, why,
                  fmt::format("{}: capacity {} is {} blocks, more than a tier can number: raise block_bytes",
                              config.path, size_text(config.capacity_bytes), slots));
  }
  slots_ = static_cast<std::uint32_t>(slots);
  stride_bytes_ = config.block_bytes;
  return {};
}

Status BlockFile::open_path(const FileConfig& config, std::string* why) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC;
  fd_ = ::open(config.path.c_str(), kFlags | O_DIRECT, kOwnerOnly);
  direct_ = fd_ >= 0 && direct_io_works(fd_);
  if (!direct_ && (fd_ >= 0 || errno == EINVAL)) {
    if (config.require_direct) {
      return refuse(
          {Code::kUnsupported, "opening a block file with O_DIRECT", EINVAL}, why,
          fmt::format("{}: its file system refuses O_DIRECT: choose a path on a drive, or set direct = "
                      "\"auto\" to go through the page cache",
                      config.path));
    }
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open(config.path.c_str(), kFlags, kOwnerOnly);
  }
  if (fd_ < 0) {
    const int error = errno;
    const Code code =
        error == EACCES || error == ENOENT || error == EISDIR || error == ENOTDIR || error == EROFS
            ? Code::kInvalid
            : io_status(error, "").code();
    return refuse({code, "opening a block file", error}, why,
                  fmt::format("{}: cannot be opened or created: {}: the directory must exist and be writable",
                              config.path, error_text(error)));
  }
  struct stat found {};
  if (::fstat(fd_, &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  if (!S_ISREG(found.st_mode)) {
    return refuse(
        {Code::kUnsupported, "opening a block file"}, why,
        fmt::format("{}: is not a regular file: name a file on the drive's file system", config.path));
  }
  return {};
}

Status BlockFile::lock(const FileConfig& config, std::string* why) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(config.lock_wait_ms);
  while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EWOULDBLOCK) return refuse_io(error, "flock", config.path, why);
    if (std::chrono::steady_clock::now() >= deadline) {
      Superblock page;
      const bool ours = ::pread(fd_, &page, sizeof page, 0) == sizeof page && page.magic == kSuperblockMagic;
      return refuse({Code::kBusy, "locking a block file", error}, why,
                    fmt::format("{}: is in use by another process or tier{}: end it or choose another path",
                                config.path, ours ? fmt::format(" (process {})", page.owner) : ""));
    }
    std::this_thread::sleep_for(kLockRetry);
  }
  locked_ = true;
  return {};
}

Status BlockFile::read_superblock(const FileConfig& config, std::string* why) {
  struct stat found {};
  if (::fstat(fd_, &found) != 0) return refuse_io(errno, "fstat", config.path, why);
  found_bytes_ = static_cast<std::uint64_t>(found.st_size);
  if (found_bytes_ == 0) return {};

  Superblock page;
  const ssize_t n = ::pread(fd_, &page, sizeof page, 0);
  if (n < 0) return refuse_io(errno, "reading the superblock", config.path, why);
  if (n != sizeof page || page.magic != kSuperblockMagic) {
    return refuse(
        {Code::kInvalid, "opening a block file"}, why,
        fmt::format("{}: holds something else than blocks: remove it or choose another path", config.path));
  }
  if (page.version > kSuperblockVersion) {
    return refuse(
        {Code::kInvalid, "opening a block file"}, why,
        fmt::format("{}: was made by a newer version (format {}, this one knows {}): remove it or choose "
                    "another path",
                    config.path, page.version, kSuperblockVersion));
  }
  // A torn page is still ours; only what it says cannot be believed.
  if (page.checksum == superblock_checksum(page)) {
    written_bytes_ = std::min({page.written_bytes, found_bytes_, file_bytes()});
  }
  return {};
}

Status BlockFile::check_room(const FileConfig& config, std::string* why) const {
  // Asked beforehand: to exceed RLIMIT_FSIZE raises a signal that ends the process, and to run into a full
  // drive makes it full for everybody else meanwhile.
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      file_bytes() > limit.rlim_cur) {
    return refuse({Code::kFull, "preallocating a block file", EFBIG}, why,
                  fmt::format("{}: needs {}, but this process may make files of {} only: raise the limit "
                              "(ulimit -f) or lower the capacity",
                              config.path, size_text(file_bytes()), size_text(limit.rlim_cur)));
  }
  struct stat found {};
  struct statvfs drive {};
  if (::fstat(fd_, &found) != 0 || ::fstatvfs(fd_, &drive) != 0) {
    return refuse_io(errno, "statvfs", config.path, why);
  }
  const std::uint64_t held = static_cast<std::uint64_t>(found.st_blocks) * 512;
  const std::uint64_t free = static_cast<std::uint64_t>(drive.f_bavail) * drive.f_frsize;
  const std::uint64_t more = file_bytes() > held ? file_bytes() - held : 0;
  if (drive.f_blocks != 0 && more > free) {  // 0: the file system does not tell
    return refuse({Code::kFull, "preallocating a block file", ENOSPC}, why,
                  fmt::format("{}: needs {} more, the drive has {} free: lower the capacity or make room",
                              config.path, size_text(more), size_text(free)));
  }
  return {};
}

Status BlockFile::write_superblock(const FileConfig& config, std::string* why) const {
  Superblock page;
  page.slots = slots_;
  page.block_bytes = config.block_bytes;
  page.stride_bytes = stride_bytes_;
  page.written_bytes = written_bytes_;
  page.owner = static_cast<std::uint32_t>(::getpid());
  page.checksum = superblock_checksum(page);
  const ssize_t n = ::pwrite(fd_, &page, sizeof page, 0);
  if (n != sizeof page || ::fdatasync(fd_) != 0) {
    return refuse_io(n < 0 || n == sizeof page ? errno : EIO, "writing the superblock", config.path, why);
  }
  return {};
}

Status BlockFile::resize(const FileConfig& config, std::string* why) {
  const auto length = static_cast<off_t>(file_bytes());
  if (found_bytes_ > file_bytes() && ::ftruncate(fd_, length) != 0) {
    return refuse_io(errno, "shortening the file", config.path, why);
  }
  int failed = 0;
  do {
    failed = ::fallocate(fd_, 0, 0, length) == 0 ? 0 : errno;
  } while (failed == EINTR);
  if (failed == EOPNOTSUPP || failed == ENOSYS) return prewrite(config, why);
  if (failed == 0) return {};

  const auto before = static_cast<off_t>(std::min(found_bytes_, file_bytes()));
  const bool shortened = ::ftruncate(fd_, before) == 0;  // gives back what was taken
  return refuse(io_status(failed, "preallocating a block file"), why,
                fmt::format("{}: {} cannot be preallocated: {}: lower the capacity or make room{}",
                            config.path, size_text(file_bytes()), error_text(failed),
                            shortened ? "" : " (what was taken could not be given back: remove the file)"));
}

Status BlockFile::prewrite(const FileConfig& config, std::string* why) {
  if (written_bytes_ == file_bytes()) return {};
  const int failed = write_zeros(fd_, std::max(written_bytes_, kDataOffset), file_bytes());
  if (failed != 0) return refuse_io(failed, "writing zeros over the file", config.path, why);
  written_bytes_ = file_bytes();
  return write_superblock(config, why);
}

}  // namespace kelvin::nvme
