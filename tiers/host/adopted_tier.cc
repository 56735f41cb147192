// See adopted_tier.h.
#include "tiers/host/adopted_tier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "tiers/host/ranges.h"

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

// What is wrong with the memory; empty if nothing is.
std::string fault_of(const AdoptedMemory& memory, std::uint64_t block_bytes, std::uint64_t capacity_bytes) {
  const std::size_t segments = memory.bases.size();
  if (segments == 0) return "no bases are given";
  if (memory.slots == 0 || memory.slots >= Slot::kNone)
    return fmt::format("{} slots cannot be", memory.slots);
  if (std::ranges::count(memory.bases, nullptr) > 0) return "a base is null";
  if (memory.segment_bytes == 0 || block_bytes % memory.segment_bytes != 0 ||
      block_bytes / memory.segment_bytes != segments) {
    return fmt::format("{} segments of {} bytes are not a block of {} bytes ([space].block_bytes)", segments,
                       memory.segment_bytes, block_bytes);
  }
  if (memory.stride_bytes < memory.segment_bytes) {
    return fmt::format("a stride of {} bytes is less than a segment of {}", memory.stride_bytes,
                       memory.segment_bytes);
  }
  if (!within_memory(memory)) return "bases and stride reach beyond the end of memory";
  if (segments_overlap({memory.bases, memory.stride_bytes, memory.segment_bytes, memory.slots})) {
    return "segments of different bases overlap";
  }
  if (capacity_bytes != 0 && capacity_bytes != memory.slots * block_bytes) {
    return fmt::format("[[tier]].capacity is {} bytes, but its {} slots are {}: leave the key out",
                       capacity_bytes, memory.slots, memory.slots * block_bytes);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<AdoptedTier>> AdoptedTier::open(const std::string& name, AdoptedMemory memory,
                                                       std::uint64_t block_bytes,
                                                       std::uint64_t capacity_bytes, std::string* why) {
  try {
    const std::string fault = fault_of(memory, block_bytes, capacity_bytes);
    if (fault.empty()) {
      return std::unique_ptr<AdoptedTier>(new AdoptedTier(name, std::move(memory), block_bytes));
    }
    if (why != nullptr)
      *why = fmt::format("tier '{}': its adopted memory (Parts::adopted) is wrong: {}", name, fault);
    return Status(Code::kInvalid, "adopting memory");
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "adopting memory");
  }
}

AdoptedTier::AdoptedTier(const std::string& name, AdoptedMemory memory, std::uint64_t block_bytes)
    : memory_(std::move(memory)) {
  const SlotLayout layout{memory_.bases, memory_.stride_bytes, memory_.segment_bytes, memory_.slots};
  info_.name = name;
  info_.kind = TierKind::kDram;
  info_.space = AddressSpace::kHost;
  info_.slots = memory_.slots;
  info_.slot_bytes = block_bytes;
  info_.segments = static_cast<std::uint32_t>(memory_.bases.size());
  info_.segment_bytes = memory_.segment_bytes;
  info_.alignment = common_alignment(layout);
  info_.adopted = true;
  info_.ranges = slot_ranges(layout);
}

Address AdoptedTier::address(Slot slot, std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment < info_.segments);
  return {.pointer = memory_.bases[segment] + slot.value * memory_.stride_bytes};
}

}  // namespace kelvin
