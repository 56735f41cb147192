// See file_lock.h.
#include "tiers/nvme/file_lock.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(5);

// " (process 4711)", where its superblock says so.
std::string owner_of(int fd) {
  Superblock page;
  const bool ours = ::pread(fd, &page, sizeof page, 0) == sizeof page && examine(page) == PageState::kGood;
  return ours ? fmt::format(" (process {})", page.owner) : "";
}

}  // namespace

Result<FileLock> FileLock::take(int fd, const MediumConfig& config, std::string* why) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(config.lock_wait_ms);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EWOULDBLOCK) return refuse_io(error, "flock", config.path, why);
    if (std::chrono::steady_clock::now() >= deadline) {
      return refuse({Code::kBusy, "locking a block file", error}, why,
                    fmt::format("{}: is in use by another process or tier{}: end it or choose another path",
                                config.path, owner_of(fd)));
    }
    std::this_thread::sleep_for(kRetry);
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  // By hand: a ring that still ends in the background, or a forked child, may hold the file open for a while.
  if (fd_ >= 0) ::flock(fd_, LOCK_UN);
}

}  // namespace kelvin::nvme
