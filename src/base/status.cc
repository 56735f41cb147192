// Status::message: the one part of status.h that allocates.
//
// Thread contract: pure.
#include "kelvin/status.h"

#include <system_error>

namespace kelvin {

std::string Status::message() const {
  if (ok()) return code_name(code_);
  std::string text = code_name(code_);
  if (context_[0] != '\0') text.append(": ").append(context_);
  if (native_ == 0) return text;
  // A driver's code that is no errno still deserves to be seen, only without an invented name.
  const std::string name = native_ > 0 ? std::generic_category().message(native_) : std::string();
  if (name.empty() || name.starts_with("Unknown error")) {
    return text.append(" (code ").append(std::to_string(native_)).append(")");
  }
  return text.append(" (errno ").append(std::to_string(native_)).append(", ").append(name).append(")");
}

}  // namespace kelvin
