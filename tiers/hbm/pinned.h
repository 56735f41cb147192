// Pinned: a little host memory that a device can copy from and to from the start, until it goes.
//
// Thread contract: none of its own. It ends before its device, and after everything that uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/huge_array.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class Pinned {
 public:
  Pinned() noexcept = default;
  Pinned(Pinned&& other) noexcept
      : device_(std::exchange(other.device_, nullptr)),
        memory_(std::move(other.memory_)),
        base_(std::exchange(other.base_, nullptr)) {}
  Pinned& operator=(Pinned&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(memory_, other.memory_);
    std::swap(base_, other.base_);
    return *this;
  }
  ~Pinned();

  // All zero, at a multiple of 4 KiB. As Device::register_host; kFull: no memory.
  static Result<Pinned> make(Device& device, std::uint64_t bytes, std::string* why);

  std::byte* base() const noexcept { return base_; }
  std::uint64_t bytes() const noexcept { return memory_.size(); }

 private:
  HostRange range() const noexcept { return {base_, memory_.size()}; }

  Device* device_ = nullptr;
  HugeArray<std::byte> memory_;
  std::byte* base_ = nullptr;  // of memory_
};

}  // namespace kelvin::hbm
