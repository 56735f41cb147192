// What all devices have in common: see medium.h.
#include "tiers/nvme/medium.h"

#include <fmt/format.h>

#include "tiers/nvme/errors.h"

namespace kelvin::nvme {

Status Medium::reserve(std::uint64_t bytes, bool /*prewrite*/, std::string* why) {
  if (bytes <= info().bytes) return {};
  return refuse({Code::kFull, "reserving room on a device", ENOSPC}, why,
                fmt::format("{}: has {}, and {} are needed: lower the capacity", info().path,
                            size_text(info().bytes), size_text(bytes)));
}

}  // namespace kelvin::nvme
