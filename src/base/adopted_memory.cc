// See adopted_memory.h.
#include "base/adopted_memory.h"

#include <algorithm>

#include "base/format_text.h"

namespace kelvin {
namespace {

// Whether every address of the layout is below the end of memory.
bool within_memory(const AdoptedMemory& memory) noexcept {
  constexpr std::uint64_t kEnd = 1ULL << 63;
  if (memory.stride_bytes > kEnd / memory.slots) return false;
  const std::uint64_t reach = (memory.slots - 1) * memory.stride_bytes + memory.segment_bytes;
  return std::ranges::all_of(memory.bases, [&](const std::byte* base) {
    const auto at = reinterpret_cast<std::uintptr_t>(base);
    return at < kEnd && reach < kEnd - at;
  });
}

}  // namespace

std::string fault_of(const AdoptedMemory& memory, std::uint64_t block_bytes, std::uint64_t capacity_bytes) {
  const std::size_t segments = memory.bases.size();
  if (segments == 0) return "no bases are given";
  if (memory.slots == 0 || memory.slots >= Slot::kNone)
    return format_text("{} slots cannot be", memory.slots);
  if (std::ranges::count(memory.bases, nullptr) > 0) return "a base is null";
  if (memory.segment_bytes == 0 || block_bytes % memory.segment_bytes != 0 ||
      block_bytes / memory.segment_bytes != segments) {
    return format_text("{} segments of {} bytes are not a block of {} bytes ([space].block_bytes)", segments,
                       memory.segment_bytes, block_bytes);
  }
  if (memory.stride_bytes < memory.segment_bytes) {
    return format_text("a stride of {} bytes is less than a segment of {}", memory.stride_bytes,
                       memory.segment_bytes);
  }
  if (!within_memory(memory)) return "bases and stride reach beyond the end of memory";
  if (segments_overlap(layout_of(memory))) {
    return "segments of different bases overlap";
  }
  if (capacity_bytes != 0 && capacity_bytes != memory.slots * block_bytes) {
    return format_text("[[tier]].capacity is {} bytes, but its {} slots are {}: leave the key out",
                       capacity_bytes, memory.slots, memory.slots * block_bytes);
  }
  return {};
}

}  // namespace kelvin
