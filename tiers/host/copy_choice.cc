// See copy_choice.h.
#include "tiers/host/copy_choice.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace kelvin {

CopyChoice::CopyChoice(std::span<const crc::Kernel* const> kernels) noexcept {
  for (const crc::Kernel* kernel : kernels.first(kernels.size() - 1)) {
    if (candidates_ < kMost && kernel->supported()) kernels_[candidates_++] = kernel;
  }
  if (candidates_ == 0) kernels_[candidates_++] = kernels.back();
  for (Contest& contest : contests_) contest.ns.fill(std::numeric_limits<std::uint64_t>::max());
}

const crc::Kernel& CopyChoice::next(bool checksum) const noexcept {
  const Contest& now = contest(checksum);
  return *kernels_[timed(checksum) ? now.tried % candidates_ : now.best];
}

// Nearly as fast is no reason to prefer a kernel to one that is listed before it: times vary by as much.
std::uint32_t CopyChoice::first_of_the_fast(const Contest& contest) const noexcept {
  const auto first = contest.ns.begin();
  const std::uint64_t shortest = *std::min_element(first, first + candidates_);
  std::uint32_t best = 0;
  while (contest.ns[best] - shortest > shortest / 16) ++best;
  return best;
}

void CopyChoice::made(bool checksum, std::uint64_t ns) noexcept {
  Contest& now = contests_[checksum ? 1 : 0];
  if (timed(checksum)) {
    std::uint64_t& shortest = now.ns[now.tried % candidates_];
    shortest = std::min(shortest, ns);
    ++now.tried;
    now.best = first_of_the_fast(now);
  } else if (candidates_ > 1 && ++now.since == kCopies) {
    now = Contest();
    now.ns.fill(std::numeric_limits<std::uint64_t>::max());
  }
}

}  // namespace kelvin
