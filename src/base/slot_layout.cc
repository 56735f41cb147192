// See slot_layout.h.
#include "base/slot_layout.h"

#include <algorithm>

namespace kelvin {
namespace {

std::uintptr_t number(const std::byte* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

// From the first byte of a base's first slot to the last of its last.
std::uint64_t reach(const SlotLayout& layout) noexcept {
  return (layout.slots - 1) * layout.stride_bytes + layout.segment_bytes;
}

// The slots of two bases are two combs of one pitch: they touch where some tooth of the first comes within a
// segment's length of the second's first tooth, and only the two teeth around it can.
bool combs_touch(const SlotLayout& layout, std::uintptr_t low, std::uintptr_t high) noexcept {
  const std::uint64_t distance = high - low;
  const std::uint64_t below = std::min<std::uint64_t>(distance / layout.stride_bytes, layout.slots - 1);
  const std::uint64_t above = std::min<std::uint64_t>(below + 1, layout.slots - 1);
  const auto near = [&](std::uint64_t tooth) {
    const std::uint64_t at = tooth * layout.stride_bytes;
    return (at > distance ? at - distance : distance - at) < layout.segment_bytes;
  };
  return near(below) || near(above);
}

// The end of a range that starts at `begin`, in a run of memory that ends at `end`: as far as allowed, at the
// first byte of some slot. No other segment is cut there, since segments do not overlap.
std::byte* cut(const SlotLayout& layout, std::span<std::byte* const> bases, std::byte* begin,
               std::byte* end) noexcept {
  if (static_cast<std::uint64_t>(end - begin) <= kMaxRangeBytes) return end;
  std::byte* const limit = begin + kMaxRangeBytes;
  std::byte* best = begin;
  for (std::byte* base : bases) {
    if (base > limit || base + reach(layout) < limit) continue;
    const std::uint64_t slot = std::min<std::uint64_t>(
        static_cast<std::uint64_t>(limit - base) / layout.stride_bytes, layout.slots - 1);
    best = std::max(best, base + slot * layout.stride_bytes);
  }
  return best > begin ? best : limit;
}

}  // namespace

bool segments_overlap(const SlotLayout& layout) noexcept {
  for (std::size_t a = 0; a < layout.bases.size(); ++a) {
    for (std::size_t b = a + 1; b < layout.bases.size(); ++b) {
      const std::uintptr_t one = number(layout.bases[a]);
      const std::uintptr_t other = number(layout.bases[b]);
      if (combs_touch(layout, std::min(one, other), std::max(one, other))) return true;
    }
  }
  return false;
}

std::vector<HostRange> slot_ranges(const SlotLayout& layout) {
  std::vector<std::byte*> bases(layout.bases.begin(), layout.bases.end());
  std::ranges::sort(bases);
  std::vector<HostRange> ranges;
  for (std::size_t first = 0; first < bases.size();) {
    // Bases whose slots interleave share one run of memory.
    std::byte* end = bases[first] + reach(layout);
    std::size_t last = first + 1;
    for (; last < bases.size() && bases[last] < end; ++last) end = bases[last] + reach(layout);
    const auto run = std::span(bases).subspan(first, last - first);
    for (std::byte* begin = bases[first]; begin < end;) {
      std::byte* const stop = cut(layout, run, begin, end);
      ranges.push_back({begin, static_cast<std::uint64_t>(stop - begin)});
      begin = stop;
    }
    first = last;
  }
  return ranges;
}

std::uint32_t common_alignment(const SlotLayout& layout) noexcept {
  constexpr std::uintptr_t kMost = 2U << 20;
  std::uintptr_t bits = kMost | (layout.slots > 1 ? layout.stride_bytes : 0);
  for (const std::byte* base : layout.bases) bits |= number(base);
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

}  // namespace kelvin
