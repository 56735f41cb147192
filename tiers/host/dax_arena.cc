// See dax_arena.h.
#include "tiers/host/dax_arena.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/format_text.h"

namespace kelvin {
namespace {

Status fail(Code code, int error, std::string* why, std::string text) {
  *why = std::move(text);
  return {code, "mapping a DAX device", error};
}

std::string error_text(int error) { return std::generic_category().message(error); }

void unmap_and_close(std::byte* base, std::uint64_t bytes, int fd) noexcept {
  ::munmap(base, bytes);
  ::close(fd);
}

Status cannot_open(const DaxDevice& device, int error, std::string* why) {
  if (error == EACCES || error == EPERM) {
    return fail(
        Code::kUnavailable, error, why,
        format_text("{} may not be opened by this user: give it to them (`chown`, or a udev rule with "
                    "SUBSYSTEM==\"dax\"), and to the container (--device={})",
                    device.path(), device.path()));
  }
  return fail(Code::kUnavailable, error, why,
              format_text("{} cannot be opened ({}): see `daxctl list`", device.path(), error_text(error)));
}

}  // namespace

Result<Arena> map_dax(const DaxDevice& device, std::uint64_t bytes, std::string* why) {
  const std::uint64_t mapped = (bytes + device.align - 1) / device.align * device.align;
  if (mapped > device.bytes) {
    return fail(Code::kFull, ENOSPC, why,
                format_text("{} has {} bytes, and {} are asked for (in steps of {}): lower [[tier]].capacity",
                            device.path(), device.bytes, bytes, device.align));
  }
  const int fd = ::open(device.path().c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return cannot_open(device, errno, why);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(Code::kBusy, error, why,
                format_text("{} is in use by another tier or process: end it, or name another device",
                            device.path()));
  }
  void* const base = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    const int error = errno;
    ::close(fd);
    return fail(
        Code::kIo, error, why,
        format_text("{} cannot be mapped ({}): is it in mode devdax, and its alignment {}? See `daxctl "
                    "list`",
                    device.path(), error_text(error), device.align));
  }
  return Arena::take_over(static_cast<std::byte*>(base), mapped, PageKind::kDevice, -1, unmap_and_close, fd);
}

}  // namespace kelvin
