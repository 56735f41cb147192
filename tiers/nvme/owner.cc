// See owner.h.
#include "tiers/nvme/owner.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/format_text.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(5);

// By the newer superblock. 0: neither tells.
pid_t process_on(int fd) noexcept {
  std::uint64_t newest = 0;
  pid_t process = 0;
  for (const std::uint64_t at : kSuperblockAt) {
    Superblock page;
    if (::pread(fd, &page, sizeof page, static_cast<off_t>(at)) != sizeof page) continue;
    if (examine(page) != PageState::kGood || page.epoch < newest) continue;
    newest = page.epoch;
    process = static_cast<pid_t>(page.owner);
  }
  return process;
}

// The process that took the flock, alive or not: lines of "1: FLOCK  ADVISORY  WRITE 4711 fe:00:133 0 EOF",
// the inode after the device. By the inode alone: on some file systems the device is another one than stat
// tells. 0: not listed, as are processes of other containers, and those that have ended in this one.
pid_t process_locking(const struct stat& file) {
  std::ifstream locks("/proc/locks");
  const std::string inode = ":" + std::to_string(file.st_ino);
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string access;
    std::string place;
    pid_t process = 0;
    fields >> number >> kind >> advisory >> access >> process >> place;
    if (kind == "FLOCK" && place.ends_with(inode)) return process;
  }
  return 0;
}

bool has_ended(pid_t process) noexcept { return process > 0 && ::kill(process, 0) != 0 && errno == ESRCH; }

}  // namespace

bool OwnerWait::go_on(int fd) {
  const auto waited = std::chrono::steady_clock::now() - began_;
  if (waited < most_) {
    std::this_thread::sleep_for(kRetry);
    return true;
  }
  struct stat found {};
  const bool known = ::fstat(fd, &found) == 0;
  const pid_t locking = known ? process_locking(found) : 0;
  process_ = locking > 0 ? locking : process_on(fd);
  // A file that is locked has somebody who locked it: none is listed who lives. A device may be mounted.
  const bool nobody_left = locking <= 0 && known && S_ISREG(found.st_mode);
  ended_ = nobody_left || has_ended(process_);
  if (!ended_ || waited >= most_ * kEnded) return false;
  std::this_thread::sleep_for(kRetry);
  return true;
}

std::string OwnerWait::owner() const {
  if (process_ <= 0) return "";
  return format_text(" (process {}{})", process_,
                     ended_ ? ", which has ended, or is in another container" : "");
}

}  // namespace kelvin::nvme
