// See nvme_namespace.h. Field offsets are those of the NVM Express base specification 2.0, Identify.
#include "tiers/nvme/nvme_namespace.h"

#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/format_text.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {
namespace {

constexpr const char* kOpening = "opening an NVMe character device";
constexpr std::uint8_t kIdentify = 0x06;
constexpr std::uint32_t kOfNamespace = 0;
constexpr std::uint32_t kOfController = 1;
constexpr std::uint64_t kMostSectors = 1ULL << 16;  // of one command: its field has 16 bits
constexpr std::uint64_t kMostBytes = 4ULL << 20;    // more gains nothing

struct alignas(kPageBytes) IdentifyPage {
  std::array<std::uint8_t, kPageBytes> bytes{};

  template <class T>
  T at(std::size_t offset) const noexcept {
    T value;
    std::memcpy(&value, &bytes[offset], sizeof value);
    return value;
  }
};

// 0, or an errno.
int identify(int fd, std::uint32_t number, std::uint32_t what, IdentifyPage* page) noexcept {
  nvme_admin_cmd command{};
  command.opcode = kIdentify;
  command.nsid = what == kOfNamespace ? number : 0;
  command.addr = reinterpret_cast<std::uint64_t>(page->bytes.data());
  command.data_len = kPageBytes;
  command.cdw10 = what;
  const int status = ::ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
  if (status < 0) return errno;
  return status == 0 ? 0 : errno_of_nvme(status);
}

Status refused(const std::string& path, std::string* why, const std::string& what) {
  return refuse({Code::kUnsupported, kOpening}, why,
                format_text("{}: {}: use the block device beside it, or choose another", path, what));
}

}  // namespace

Result<NvmeNamespace> identify_namespace(int fd, const std::string& path, std::string* why) {
  const int number = ::ioctl(fd, NVME_IOCTL_ID);
  if (number <= 0) {
    return refuse({Code::kUnsupported, kOpening}, why,
                  path + ": is no namespace of an NVMe drive: name its device, as in /dev/ng0n1");
  }
  NvmeNamespace found;
  found.fd = fd;
  found.number = static_cast<std::uint32_t>(number);
  IdentifyPage space;
  IdentifyPage drive;
  int error = identify(fd, found.number, kOfNamespace, &space);
  if (error == 0) error = identify(fd, found.number, kOfController, &drive);
  if (error == EACCES || error == EPERM) {
    return refuse({Code::kInvalid, kOpening, error}, why,
                  path +
                      ": this process may not send commands to the drive: it needs CAP_SYS_ADMIN (run it as "
                      "root), or use the block device beside it");
  }
  if (error != 0) return refuse_io(error, "Identify", path, why);

  constexpr std::size_t kFormatInUse = 26;
  constexpr std::size_t kAttributes = 99;
  constexpr std::size_t kFormats = 128;
  constexpr std::size_t kMostTransfer = 77;
  const auto in_use = space.at<std::uint8_t>(kFormatInUse);
  const std::size_t format = kFormats + 4U * ((in_use & 0xFU) | ((in_use >> 1U) & 0x30U));
  const auto shift = space.at<std::uint8_t>(format + 2);
  if (space.at<std::uint16_t>(format) != 0) {
    return refused(path, why, "its sectors carry metadata of their own");
  }
  if (shift < 9 || (1ULL << std::min<unsigned>(shift, 63)) > kPageBytes) {
    return refused(path, why, format_text("its sectors are no part of {} bytes", kPageBytes));
  }
  if ((space.at<std::uint8_t>(kAttributes) & 1U) != 0) return refused(path, why, "it is write-protected");
  found.sector_shift = shift;
  found.bytes = (space.at<std::uint64_t>(0) << shift) / kPageBytes * kPageBytes;
  found.max_request_bytes = std::min(kMostBytes, kMostSectors << shift);
  // In units of the controller's smallest page, which is 4 KiB or more: the smallest is safe for all.
  const auto power = drive.at<std::uint8_t>(kMostTransfer);
  if (power != 0 && power < 20)
    found.max_request_bytes = std::min(found.max_request_bytes, kPageBytes << power);
  constexpr std::size_t kOptionalCommands = 520;
  constexpr unsigned kDatasetManagement = 1U << 2U;
  found.deallocates = (drive.at<std::uint16_t>(kOptionalCommands) & kDatasetManagement) != 0;
  return found;
}

int run_nvme(const NvmeNamespace& on, NvmeOpcode opcode, std::uint64_t offset, void* memory,
             std::size_t bytes) noexcept {
  for (std::size_t done = 0; done < bytes || bytes == 0;) {
    const std::uint64_t part = std::min<std::uint64_t>(on.max_request_bytes, bytes - done);
    nvme_passthru_cmd64 command{};
    command.opcode = static_cast<std::uint8_t>(opcode);
    command.nsid = on.number;
    if (part != 0) {
      const std::uint64_t sector = (offset + done) >> on.sector_shift;
      command.addr = reinterpret_cast<std::uint64_t>(static_cast<std::byte*>(memory) + done);
      command.data_len = static_cast<std::uint32_t>(part);
      command.cdw10 = static_cast<std::uint32_t>(sector);
      command.cdw11 = static_cast<std::uint32_t>(sector >> 32U);
      command.cdw12 = static_cast<std::uint32_t>((part >> on.sector_shift) - 1);
    }
    const int status = ::ioctl(on.fd, NVME_IOCTL_IO64_CMD, &command);
    if (status < 0 && errno == EINTR) continue;
    if (status != 0) return status < 0 ? errno : errno_of_nvme(status);
    if (bytes == 0) return 0;
    done += part;
  }
  return 0;
}

int deallocate_nvme(const NvmeNamespace& on, std::span<const ByteRange> ranges) noexcept {
  struct Range {
    std::uint32_t attributes;
    std::uint32_t sectors;
    std::uint64_t sector;
  };
  static_assert(sizeof(Range) == 16);
  constexpr std::uint32_t kDeallocate = 1U << 2U;
  constexpr std::uint64_t kMostRangeBytes = 1ULL << 30;  // its field has 32 bits
  alignas(kPageBytes) std::array<Range, kPageBytes / sizeof(Range)> list;
  for (std::uint64_t done = 0; !ranges.empty();) {
    std::uint32_t count = 0;
    while (count < list.size() && !ranges.empty()) {
      const std::uint64_t part = std::min(ranges.front().bytes - done, kMostRangeBytes);
      list[count++] = {0, static_cast<std::uint32_t>(part >> on.sector_shift),
                       (ranges.front().offset + done) >> on.sector_shift};
      done += part;
      if (done < ranges.front().bytes) continue;
      ranges = ranges.subspan(1);
      done = 0;
    }
    nvme_passthru_cmd64 command{};
    command.opcode = static_cast<std::uint8_t>(NvmeOpcode::kManageDataset);
    command.nsid = on.number;
    command.addr = reinterpret_cast<std::uint64_t>(list.data());
    command.data_len = count * static_cast<std::uint32_t>(sizeof(Range));
    command.cdw10 = count - 1;
    command.cdw11 = kDeallocate;
    int status = 0;
    do {
      status = ::ioctl(on.fd, NVME_IOCTL_IO64_CMD, &command);
    } while (status < 0 && errno == EINTR);
    if (status != 0) return status < 0 ? errno : errno_of_nvme(status);
  }
  return 0;
}

int errno_of_nvme(int status) noexcept {
  constexpr int kCode = 0x7FF;  // without "more" and "do not retry"
  switch (status & kCode) {
    case 0x01: return EOPNOTSUPP;  // invalid opcode
    case 0x02: return EINVAL;      // invalid field
    case 0x0B: return ENODEV;      // no such namespace
    case 0x20: return EROFS;       // write-protected
    case 0x81: return ENOSPC;      // capacity exceeded
    case 0x371: return EAGAIN;     // taken back by the kernel: the drive was reset
    default: return EIO;
  }
}

}  // namespace kelvin::nvme
