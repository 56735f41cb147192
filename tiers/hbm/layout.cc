// See layout.h.
#include "tiers/hbm/layout.h"

#include "base/adopted_memory.h"
#include "base/format_text.h"

namespace kelvin::hbm {
namespace {

Status invalid(const TierContext& context, std::string* why, const std::string& text) {
  *why = format_text("tier '{}': {}", context.tier.name, text);
  return {Code::kInvalid, "opening an hbm tier"};
}

std::string outside(const AdoptedMemory& memory, const Device& device) {
  const std::uint64_t reach = (memory.slots - 1) * memory.stride_bytes + memory.segment_bytes;
  for (std::size_t g = 0; g < memory.bases.size(); ++g) {
    if (!device.holds(memory.bases[g], reach))
      return format_text(
          "segment {} of its slots (from {} on, {} bytes) is not memory of {}: name the device "
          "that the engine allocated it on, or check its bases, stride and slots",
          g, static_cast<const void*>(memory.bases[g]), reach, device.properties().name);
  }
  return {};
}

}  // namespace

Result<AdoptedMemory> own_layout(const TierContext& context, const HbmSettings& settings, std::string* why) {
  const std::uint64_t block = context.space.block_bytes;
  const std::uint64_t capacity = context.tier.capacity_bytes;
  if (capacity == 0) {
    return invalid(context, why,
                   "it has no capacity, and no memory of the engine came with it: set capacity, or give the "
                   "memory in Parts::adopted to Space::open");
  }
  if (block % settings.segments != 0) {
    return invalid(context, why,
                   format_text("a block of {} bytes ([space].block_bytes) has no {} equal segments: set "
                               "segments to a divisor",
                               block, settings.segments));
  }
  const std::uint64_t slots = capacity / block;
  if (slots == 0 || slots >= Slot::kNone) {
    return invalid(
        context, why,
        format_text("a capacity of {} bytes is {} blocks of {} bytes: give it at least one and fewer "
                    "than 2^32 - 1",
                    capacity, slots, block));
  }
  AdoptedMemory layout;
  layout.slots = static_cast<std::uint32_t>(slots);
  layout.segment_bytes = block / settings.segments;
  layout.stride_bytes = settings.segments_apart ? layout.segment_bytes : block;
  const std::uint64_t pitch = settings.segments_apart ? layout.segment_bytes * slots : layout.segment_bytes;
  for (std::uint32_t g = 0; g < settings.segments; ++g)
    layout.bases.push_back(reinterpret_cast<std::byte*>(g * pitch));
  return layout;
}

AdoptedMemory at(AdoptedMemory layout, std::byte* base) {
  for (std::byte*& segment : layout.bases) segment = base + reinterpret_cast<std::uintptr_t>(segment);
  return layout;
}

std::uint64_t arena_bytes(const AdoptedMemory& layout) noexcept {
  return layout.segment_bytes * layout.bases.size() * layout.slots;
}

Status check_adopted(const TierContext& context, const HbmSettings& settings, const Device& device,
                     std::string* why) {
  const AdoptedMemory& memory = *context.adopted;
  std::string fault = fault_of(memory, context.space.block_bytes, context.tier.capacity_bytes);
  if (fault.empty() && settings.segments != 1 && settings.segments != memory.bases.size()) {
    fault = format_text("it has {} segments, but segments = {}: leave the key out", memory.bases.size(),
                        settings.segments);
  }
  if (fault.empty() && settings.shared)
    fault = "it is the engine's, so Kelvin cannot share it: leave the key shared out";
  if (fault.empty() && memory.bases.size() > kMaxPieces)
    fault = format_text("{} segments are more than the {} of an hbm tier", memory.bases.size(), kMaxPieces);
  if (fault.empty() && settings.way == Way::kKernel &&
      (common_alignment(layout_of(memory)) % kKernelGrain != 0 || memory.segment_bytes % kKernelGrain != 0)) {
    fault = format_text(
        "copy = \"kernel\" needs addresses and segments that are multiples of {} bytes: align "
        "them, or set copy to auto",
        kKernelGrain);
  }
  if (fault.empty()) fault = outside(memory, device);
  if (fault.empty()) return {};
  return invalid(context, why, "its adopted memory (Parts::adopted) is wrong: " + fault);
}

}  // namespace kelvin::hbm
