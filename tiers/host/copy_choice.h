// CopyChoice: which of the copies that this CPU can do is the fastest between two memories, found out on
// copies that have to be made anyway.
//
// What is fastest depends on the CPU and on both memories: wide stores may lower its clock, and far memory
// may want other ones than near memory. So each candidate carries out a few copies in turn, and the one whose
// best time is the shortest carries out those that follow; after many of these all are tried again, for a
// busy moment must not decide for good. Copies with and without a checksum are told apart.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. There is always a candidate; a portable one only where there is no other.
//   2. Nothing allocates after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "checksum/kernels.h"

namespace kelvin {

class CopyChoice {
 public:
  static constexpr std::uint32_t kTries = 4;          // of each candidate
  static constexpr std::uint32_t kCopies = 1u << 16;  // before all are tried again

  // `kernels`: as crc::kernels(), of which those that are supported here become candidates.
  explicit CopyChoice(std::span<const crc::Kernel* const> kernels = crc::kernels()) noexcept;

  // The kernel for the next copy. All copies of one CopyChoice are of the same size.
  const crc::Kernel& next(bool checksum) const noexcept;
  // Whether that copy is to be timed.
  bool timed(bool checksum) const noexcept { return contest(checksum).tried < kTries * candidates_; }
  // One copy was made by next(); `ns`: how long it took, if it is timed.
  void made(bool checksum, std::uint64_t ns) noexcept;

 private:
  static constexpr std::size_t kMost = 4;

  struct Contest {
    std::uint32_t tried = 0;                // copies that were timed
    std::uint32_t since = 0;                // copies since then
    std::uint32_t best = 0;                 // of the candidates
    std::array<std::uint64_t, kMost> ns{};  // the shortest time of each
  };

  const Contest& contest(bool checksum) const noexcept { return contests_[checksum ? 1 : 0]; }

  std::uint32_t first_of_the_fast(const Contest& contest) const noexcept;

  std::array<const crc::Kernel*, kMost> kernels_{};
  std::uint32_t candidates_ = 0;
  std::array<Contest, 2> contests_{};
};

}  // namespace kelvin
