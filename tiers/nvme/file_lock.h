// FileLock: the exclusive flock on a medium: at most one owner on this machine. udev leaves a device alone
// that is locked so.
//
// Thread contract: one thread.
#pragma once

#include <string>
#include <utility>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

class FileLock {
 public:
  // Waits for an owner to end: config.lock_wait_ms, and longer (owner.h) where only its last writes are left.
  // kBusy: it did not; `why` names its process where the medium tells.
  static Result<FileLock> take(int fd, const MediumConfig& config, std::string* why);

  FileLock() noexcept = default;
  ~FileLock();
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

 private:
  explicit FileLock(int fd) noexcept : fd_(fd) {}

  int fd_ = -1;  // somebody else's, who closes it after us; negative: none
};

}  // namespace kelvin::nvme
