// Calibration: how fast a device copies in which way, for a few sizes and numbers of pieces, and where
// checksums are cheaper. Measured once for each device of a process.
//
// Thread contract: immutable once made; made by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class Calibration {
 public:
  // What is tried: pieces of these sizes, so many at a time, up to kMostBytes in all.
  static constexpr std::array<std::uint64_t, 5> kSizes = {4 << 10, 16 << 10, 64 << 10, 256 << 10, 2 << 20};
  static constexpr std::array<std::uint64_t, 4> kCounts = {1, 8, 64, 512};
  static constexpr std::uint64_t kMostBytes = 8 << 20;
  static constexpr std::size_t kDirections = 3;  // all but kToPeer, which counts as kWithin

  using Clock = std::function<std::uint64_t()>;  // nanoseconds; never goes back

  // What is likely where nothing can be measured.
  explicit Calibration(const DeviceProperties& properties) noexcept;
  // Copies on the device, for some tens of milliseconds. What cannot be measured (no memory is left, the
  // device fails) stays as it is likely. `clock`: what times are taken from; null: the machine's.
  void measure(Device& device, Clock clock = nullptr);

  // The fastest way for so many pieces of about this size. `grained`: the kernel can copy them.
  Way way(Direction direction, std::uint64_t piece_bytes, std::uint64_t pieces, bool grained) const noexcept;
  // What they take, by that way, alone on the device.
  std::uint64_t estimate_ns(Direction direction, std::uint64_t piece_bytes,
                            std::uint64_t pieces) const noexcept;
  // Whether checksums of what leaves the device are cheaper there than on the host.
  bool sums_on_device() const noexcept { return device_sum_ns_ < host_sum_ns_; }
  bool measured() const noexcept { return measured_; }

 private:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  struct Cell {
    std::array<std::uint64_t, kWays> ns{};  // the shortest time of each way; kNever: not to be had
  };
  using Table = std::array<std::array<Cell, kCounts.size()>, kSizes.size()>;
  class Bench;

  static std::size_t fastest(const Cell& cell, bool grained) noexcept;
  const Cell& cell(Direction direction, std::uint64_t piece_bytes, std::uint64_t pieces) const noexcept;

  std::array<Table, kDirections> tables_{};
  std::uint64_t device_sum_ns_ = kNever;  // of kMostBytes
  std::uint64_t host_sum_ns_ = 0;
  bool measured_ = false;
};

// The device's; measured by the first caller, for whom it takes a few tenths of a second at most.
const Calibration& calibration_of(Device& device);

}  // namespace kelvin::hbm
