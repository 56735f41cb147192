// See buffer_map.h.
#include "tiers/nvme/buffer_map.h"

#include <algorithm>
#include <functional>

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kMaxPieceBytes = 1ULL << 30;  // the most that io_uring registers as one buffer

const std::byte* begin_of(const iovec& v) noexcept { return static_cast<const std::byte*>(v.iov_base); }
const std::byte* end_of(const iovec& v) noexcept { return begin_of(v) + v.iov_len; }

}  // namespace

BufferMap::BufferMap(std::span<const HostRange> ranges, std::uint64_t unit_bytes) {
  const std::uint64_t unit = unit_bytes == 0 || unit_bytes > kMaxPieceBytes ? 1 : unit_bytes;
  const std::uint64_t most = kMaxPieceBytes / unit * unit;
  for (const HostRange& range : ranges) {
    for (std::uint64_t at = 0; at < range.bytes; at += most) {
      pieces_.push_back({range.base + at, std::min(most, range.bytes - at)});
    }
  }
  std::ranges::sort(pieces_, std::less<>(), begin_of);
}

int BufferMap::find(const iovec& buffer) const noexcept {
  const auto after = std::ranges::upper_bound(pieces_, begin_of(buffer), std::less<>(), begin_of);
  if (after == pieces_.begin() || end_of(*(after - 1)) < end_of(buffer)) return -1;
  return static_cast<int>(after - 1 - pieces_.begin());
}

}  // namespace kelvin::nvme
