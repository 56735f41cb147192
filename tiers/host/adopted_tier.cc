// See adopted_tier.h.
#include "tiers/host/adopted_tier.h"

#include <cassert>
#include <new>
#include <utility>

#include "base/adopted_memory.h"
#include "base/format_text.h"

namespace kelvin {

Result<std::unique_ptr<AdoptedTier>> AdoptedTier::open(const std::string& name, AdoptedMemory memory,
                                                       std::uint64_t block_bytes,
                                                       std::uint64_t capacity_bytes, std::string* why) {
  try {
    const std::string fault = fault_of(memory, block_bytes, capacity_bytes);
    if (fault.empty()) {
      return std::unique_ptr<AdoptedTier>(new AdoptedTier(name, std::move(memory), block_bytes));
    }
    if (why != nullptr)
      *why = format_text("tier '{}': its adopted memory (Parts::adopted) is wrong: {}", name, fault);
    return Status(Code::kInvalid, "adopting memory");
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "adopting memory");
  }
}

AdoptedTier::AdoptedTier(const std::string& name, AdoptedMemory memory, std::uint64_t block_bytes)
    : memory_(std::move(memory)) {
  const SlotLayout layout = layout_of(memory_);
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
