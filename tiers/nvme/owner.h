// The process that a medium is in use by, as the kernel's locks or its superblocks tell, and how long to wait
// for it.
//
// A process that was killed is gone before its last writes are: the kernel ends those in the background, and
// keeps the medium from others until then. That takes milliseconds, and seconds on a busy machine. So a
// restart waits longer for an owner that has ended than for one that lives.
//
// Thread contract: one thread. Allocates.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace kelvin::nvme {

class OwnerWait {
 public:
  // At most so many milliseconds for an owner that lives, kEnded times as long for one that does not.
  explicit OwnerWait(std::uint32_t most_ms) : most_(most_ms), began_(std::chrono::steady_clock::now()) {}

  // Waits a moment for whoever holds the medium behind `fd` (open for reading; negative: it could not be
  // opened). False: it was long enough.
  bool go_on(int fd);

  // After that: " (process 4711)", where the medium tells, and whether that has ended.
  std::string owner() const;

 private:
  static constexpr int kEnded = 15;

  const std::chrono::milliseconds most_;
  const std::chrono::steady_clock::time_point began_;
  pid_t process_ = 0;  // 0: unknown
  bool ended_ = false;
};

}  // namespace kelvin::nvme
