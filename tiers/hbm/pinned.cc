// See pinned.h.
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {

Result<Pinned> Pinned::make(Device& device, std::uint64_t bytes, std::string* why) {
  constexpr std::uint64_t kPage = 4096;
  Pinned pinned;
  auto memory = HugeArray<std::byte>::make((bytes + kPage - 1) / kPage * kPage);
  if (!memory.ok()) {
    *why = "no host memory for a buffer beside " + device.properties().name;
    return memory.status();
  }
  pinned.memory_ = std::move(*memory);
  pinned.base_ = pinned.memory_.data();
  if (const Status status = device.register_host(pinned.range(), why); !status.ok()) return status;
  pinned.device_ = &device;
  return pinned;
}

Pinned::~Pinned() {
  if (device_ != nullptr) device_->unregister_host(range());
}

}  // namespace kelvin::hbm
