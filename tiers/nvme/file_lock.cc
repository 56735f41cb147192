// See file_lock.h.
#include "tiers/nvme/file_lock.h"

#include <sys/file.h>

#include <cerrno>

#include "base/format_text.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/owner.h"

namespace kelvin::nvme {

Result<FileLock> FileLock::take(int fd, const MediumConfig& config, std::string* why) {
  OwnerWait wait(config.lock_wait_ms);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EWOULDBLOCK) return refuse_io(error, "flock", config.path, why);
    if (!wait.go_on(fd)) {
      return refuse({Code::kBusy, "locking a block file", error}, why,
                    format_text("{}: is in use by another process or tier{}: end it or choose another path",
                                config.path, wait.owner()));
    }
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  // By hand: a ring that still ends in the background, or a forked child, may hold the file open for a while.
  if (fd_ >= 0) ::flock(fd_, LOCK_UN);
}

}  // namespace kelvin::nvme
