// What an errno of the drive means to the mover, and how it is told to a person.
//
// Thread contract: pure functions.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

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

}  // namespace kelvin::nvme
