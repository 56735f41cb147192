// See block_device.h.
#include "tiers/nvme/block_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"
#include "tiers/nvme/owner.h"

namespace kelvin::nvme {
namespace {

constexpr const char* kOpening = "opening a block device";

std::string number_of(dev_t device) { return format_text("{}:{}", major(device), minor(device)); }

std::filesystem::path folder_of(dev_t device) { return "/sys/dev/block/" + number_of(device); }

std::string line_of(const std::filesystem::path& file) {
  std::string line;
  std::getline(std::ifstream(file), line);
  return line;
}

// Of the device and its partitions: their numbers, and what is built on them.
struct Parts {
  std::set<std::string> numbers;
  std::string holders;
};
Parts parts_of(dev_t device) {
  Parts parts;
  std::error_code ignored;
  const auto add = [&](const std::filesystem::path& folder) {
    parts.numbers.insert(line_of(folder / "dev"));
    for (const auto& holder : std::filesystem::directory_iterator(folder / "holders", ignored)) {
      parts.holders += (parts.holders.empty() ? "" : ", ") + holder.path().filename().string();
    }
  };
  add(folder_of(device));
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(device), ignored)) {
    if (std::filesystem::exists(entry.path() / "partition", ignored)) add(entry.path());
  }
  return parts;
}

// "mounted on /data", as far as this process may see it.
std::string use_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return "in use";
  const Parts parts = parts_of(found.st_rdev);
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    std::string number;
    std::string root;
    std::string point;
    fields >> id >> parent >> number >> root >> point;
    if (parts.numbers.contains(number)) return "mounted on " + point;
  }
  if (!parts.holders.empty()) return "part of " + parts.holders;
  return "in use by another process or tier, or as swap";
}

}  // namespace

Result<Fd> open_block_device(const std::string& path, int flags, const MediumConfig& config,
                             std::string* why) {
  OwnerWait wait(config.lock_wait_ms);
  for (;;) {
    Fd fd(::open(path.c_str(), flags | O_EXCL | O_CLOEXEC));
    if (fd.get() >= 0) return fd;
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EBUSY) {
      if (wait.go_on(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)).get())) continue;
      return refuse({Code::kBusy, kOpening, error}, why,
                    format_text("{}: is {}{}: unmount it or end that, or choose another device", path,
                                use_of(path), wait.owner()));
    }
    const bool denied = error == EACCES || error == EPERM || error == EROFS;
    return refuse({denied ? Code::kInvalid : io_status(error, "").code(), kOpening, error}, why,
                  format_text("{}: cannot be opened: {}{}", path, error_text(error),
                              denied ? ": this process must be allowed to read and write the device, and it "
                                       "must not be read-only"
                                     : ""));
  }
}

Result<BlockSize> size_of_block_device(int fd, const std::string& path, std::string* why) {
  std::uint64_t bytes = 0;
  int sector = 0;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0 || ::ioctl(fd, BLKSSZGET, &sector) != 0) {
    return refuse_io(errno, "asking for its size", path, why);
  }
  struct stat found {};
  if (::fstat(fd, &found) != 0) return refuse_io(errno, "fstat", path, why);
  const std::string zoned = line_of(folder_of(found.st_rdev) / "queue" / "zoned");
  if (!zoned.empty() && zoned != "none") {
    return refuse({Code::kUnsupported, kOpening}, why,
                  format_text("{}: is a zoned device, which must be written in order: choose another", path));
  }
  if (sector <= 0 || kPageBytes % static_cast<std::uint64_t>(sector) != 0) {
    return refuse({Code::kUnsupported, kOpening}, why,
                  format_text("{}: has sectors of {} bytes; {} at most can be used: format the drive with "
                              "smaller ones, or put a file on it",
                              path, sector, kPageBytes));
  }
  return BlockSize{bytes / kPageBytes * kPageBytes, static_cast<std::uint32_t>(sector)};
}

bool block_device_gone(int fd) noexcept {
  std::uint64_t bytes = 0;
  return ::ioctl(fd, BLKGETSIZE64, &bytes) != 0 || bytes == 0;
}

std::optional<std::uint64_t> queue_attribute(dev_t device, const char* name) {
  for (const char* folder : {"queue", "../queue"}) {
    std::ifstream file(folder_of(device) / folder / name);
    std::uint64_t value = 0;
    if (file >> value) return value;
  }
  return std::nullopt;
}

Status check_polling(dev_t device, const std::string& path, std::string* why) {
  if (queue_attribute(device, "io_poll").value_or(0) != 0) return {};
  return refuse({Code::kUnsupported, kOpening}, why,
                format_text("{}: has no queues that can be polled: load the driver with them "
                            "(nvme.poll_queues=4 on the kernel's command line), or set poll = false",
                            path));
}

}  // namespace kelvin::nvme
