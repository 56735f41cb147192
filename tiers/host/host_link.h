// HostLink: copies blocks between host tiers with the caller's thread, past the caches, summing as it goes,
// by the instructions that prove to be the fastest between these two (copy_choice.h).
//
// Either side may consist of segments, of different sizes: the copy walks both layouts at once.
//
// Thread contract: that of Link.
// Invariants:
//   1. `submit` only queues; all copying is done in `poll`, oldest first.
//   2. Nothing allocates after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kelvin/link.h"
#include "tiers/host/copy_choice.h"

namespace kelvin {

class HostLink final : public Link {
 public:
  static constexpr std::uint32_t kDepth = 64;
  // One poll ends after the copy that reaches this many bytes (about 0.2 ms), so that whoever polls several
  // links in turn leaves none waiting behind a queue of memory copies.
  static constexpr std::uint64_t kBytesPerPoll = 4ULL << 20;

  // Whether the two can be joined: both in host memory, slots of the same size.
  static bool joins(const TierInfo& from, const TierInfo& to) noexcept;

  // Precondition: joins(from.info(), to.info()). Both tiers outlive the link.
  HostLink(const Tier& from, const Tier& to);

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

 private:
  Completion carry_out(const Copy& copy) noexcept;
  std::uint32_t carry_out(const Copy& copy, const crc::Kernel& kernel) const noexcept;  // its checksum

  LinkInfo info_;
  std::uint64_t slot_bytes_;
  std::uint64_t from_segment_bytes_;
  std::uint64_t to_segment_bytes_;
  CopyChoice choice_;

  // A ring: `queued_` copies from `first_` on, of which the first `canceled_` will not be carried out.
  std::array<Copy, kDepth> queue_;
  std::uint32_t first_ = 0;
  std::uint32_t queued_ = 0;
  std::uint32_t canceled_ = 0;
};

}  // namespace kelvin
