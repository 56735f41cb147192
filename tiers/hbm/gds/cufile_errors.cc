// See cufile_errors.h.
#include "tiers/hbm/gds/cufile_errors.h"

#include "base/format_text.h"

namespace kelvin::hbm {
namespace {

const char* meaning(int error) noexcept {
  switch (error) {
    case cufile::kDriverNotInitialized:
      return "its kernel driver is not there: load nvidia-fs (modprobe nvidia-fs)";
    case cufile::kDriverVersionMismatch:
      return "its kernel driver is of another version: install nvidia-fs and libcufile of one release";
    case cufile::kPlatformNotSupported: return "this machine is none that it supports: see gdscheck -p";
    case cufile::kIoNotSupported:
      return "the file system is none that it reads from directly: choose a path on ext4 or XFS on a local "
             "drive, or the "
             "bare device";
    case cufile::kDeviceNotSupported: return "this GPU cannot be written by drives: see gdscheck -p";
    case cufile::kNvfsDriverError:
    case cufile::kNvfsSetupError: return "its kernel driver failed: see cufile.log and dmesg";
    case cufile::kCudaDriverError: return "the CUDA driver failed";
    case cufile::kInvalidMappingSize:
      return "it is more than the GPU's window on the bus (BAR1, see nvidia-smi -q) takes";
    case cufile::kInvalidFileType: return "it is no file that it can read: name a file or a block device";
    case cufile::kInvalidFileOpenFlag:
    case cufile::kDioNotSet: return "it was not opened with O_DIRECT: set direct = \"on\"";
    case cufile::kPermissionDenied:
      return "this process may not use it: let it have /dev/nvidia-fs* (in a container: --device)";
    case cufile::kIoDisabled: return "its configuration (/etc/cufile.json) forbids it";
    default: return "see cufile.log";
  }
}

}  // namespace

std::string error_text(const cufile::Answer& answer, const std::string& doing) {
  const std::string cuda =
      answer.error == cufile::kCudaDriverError ? format_text(" (CUDA error {})", answer.cuda_error) : "";
  return format_text("{}: cuFile's error {}{}, {}", doing, answer.error, cuda, meaning(answer.error));
}

}  // namespace kelvin::hbm
