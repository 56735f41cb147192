// What an errno of the drive means to the mover, and how it is told to a person.
//
// Thread contract: pure functions.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include "base/format_text.h"
#include "kelvin/status.h"

namespace kelvin::nvme {

// `error`: a positive errno.
inline Status io_status(int error, const char* context) noexcept {
  switch (error) {
    case ENXIO:
    case ENODEV:
    case ESHUTDOWN: return {Code::kUnavailable, context, error};
    case ENOSPC:
    case EDQUOT: return {Code::kFull, context, error};
    case ECANCELED: return {Code::kCanceled, context, error};
    default: return {Code::kIo, context, error};
  }
}

// "No space left on device (errno 28)". Allocates.
inline std::string error_text(int error) {
  return std::generic_category().message(error) + " (errno " + std::to_string(error) + ")";
}

// "2097152 bytes (2.0 MiB)". Allocates.
inline std::string size_text(std::uint64_t bytes) {
  return format_text("{} bytes ({:.1f} MiB)", bytes, static_cast<double>(bytes) / (1ULL << 20));
}

// Says why, and returns the status.
inline Status refuse(Status status, std::string* why, std::string text) {
  *why = std::move(text);
  return status;
}
inline Status refuse_io(int error, const char* context, const std::string& path, std::string* why) {
  return refuse(io_status(error, context), why,
                format_text("{}: {} failed: {}", path, context, error_text(error)));
}

// Says that errno kept an eventfd from being made.
inline Status no_event_fd(std::string* why) {
  const int error = errno;
  return refuse(
      {Code::kUnavailable, "making an eventfd", error}, why,
      "an eventfd cannot be had: " + error_text(error) + ": raise the limit of open files (ulimit -n)");
}

}  // namespace kelvin::nvme
