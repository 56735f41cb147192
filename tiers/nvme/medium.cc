// What all devices have in common: see medium.h.
#include "tiers/nvme/medium.h"

#include "base/format_text.h"
#include "tiers/nvme/errors.h"

namespace kelvin::nvme {

Status Medium::reserve(std::uint64_t bytes, bool /*prewrite*/, std::string* why) {
  if (bytes <= info().bytes) return {};
  return refuse({Code::kFull, "reserving room on a device", ENOSPC}, why,
                format_text("{}: has {}, and {} are needed: lower the capacity", info().path,
                            size_text(info().bytes), size_text(bytes)));
}

Status Medium::discard(std::span<const ByteRange> /*ranges*/) noexcept {
  return {Code::kUnsupported, "discarding bytes of a medium"};
}

}  // namespace kelvin::nvme
