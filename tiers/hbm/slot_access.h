// HbmAccess: blocks of an hbm tier for the host, one call at a time, over a queue and a buffer of its own.
//
// Thread contract: any thread; calls wait for each other.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/thread_annotations.h"
#include "kelvin/tier.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/pieces.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {

class SlotStreams;

class HbmAccess final : public SlotAccess {
 public:
  // The tier outlives it, and `streams` does.
  static Result<std::unique_ptr<HbmAccess>> open(const Tier& tier, Device& device, SlotStreams& streams,
                                                 std::string* why);

  Status read(Slot slot, std::span<std::byte> block) noexcept override;
  Status write(Slot slot, std::span<const std::byte> block) noexcept override;
  Status checksums(std::span<const Slot> slots, std::span<std::uint32_t> results) noexcept override;

 private:
  static constexpr std::uint64_t kBufferBytes = 2 << 20;
  static constexpr std::size_t kSums = 512;  // slots whose checksums are made at a time

  HbmAccess(const Tier& tier, Device& device, SlotStreams& streams) noexcept
      : tier_(tier), device_(device), streams_(streams) {}

  // Bytes [begin, end) of the block, between the slot and the buffer. Waits.
  Status transfer(Slot slot, Direction direction, std::uint64_t begin, std::uint64_t end) noexcept
      KELVIN_REQUIRES(mu_);
  Status put_pieces(Direction direction) noexcept KELVIN_REQUIRES(mu_);
  Status put_checksum(Slot slot, std::uint32_t* result) noexcept KELVIN_REQUIRES(mu_);
  Status sum_on_host(Slot slot, std::uint32_t& result) noexcept KELVIN_REQUIRES(mu_);
  Status wait() noexcept KELVIN_REQUIRES(mu_);
  template <class Put>
  Status when_there_is_room(Put&& put) noexcept KELVIN_REQUIRES(mu_);

  const Tier& tier_;
  Device& device_;
  SlotStreams& streams_;
  Mutex mu_;
  Pinned buffer_ KELVIN_GUARDED_BY(mu_);
  PieceList pieces_ KELVIN_GUARDED_BY(mu_);
  std::vector<Extent> extents_ KELVIN_GUARDED_BY(mu_);
  std::unique_ptr<Queue> queue_ KELVIN_GUARDED_BY(mu_);  // ends first
};

}  // namespace kelvin::hbm
