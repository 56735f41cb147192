// See host_tier.h.
#include "tiers/host/host_tier.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <new>
#include <utility>

#include "tiers/host/ranges.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kDirectIo = 4096;
constexpr std::uint64_t kLine = 64;

std::uint64_t stride_of(std::uint64_t block_bytes) noexcept {
  return block_bytes % kDirectIo == 0 ? block_bytes : (block_bytes + kLine - 1) / kLine * kLine;
}

Status invalid(std::string* why, std::string text) {
  if (why != nullptr) *why = std::move(text);
  return {Code::kInvalid, "opening a host tier"};
}

Result<std::uint32_t> count_slots(const HostTierOptions& options, std::string* why) {
  if (options.block_bytes == 0) return invalid(why, "[space].block_bytes is 0");
  // A block beyond the capacity is caught before its stride could overflow.
  const std::uint64_t slots = options.block_bytes > options.capacity_bytes
                                  ? 0
                                  : options.capacity_bytes / stride_of(options.block_bytes);
  if (slots == 0) {
    return invalid(why, fmt::format("tier '{}': a capacity of {} bytes holds no block of {} bytes: raise "
                                    "[[tier]].capacity or lower [space].block_bytes",
                                    options.name, options.capacity_bytes, options.block_bytes));
  }
  if (slots >= Slot::kNone) {
    return invalid(why, fmt::format("tier '{}': {} slots are more than the {} a tier can have: lower "
                                    "[[tier]].capacity or raise [space].block_bytes",
                                    options.name, slots, Slot::kNone - 1));
  }
  return static_cast<std::uint32_t>(slots);
}

}  // namespace

Result<std::unique_ptr<HostTier>> HostTier::open(const HostTierOptions& options, std::string* why) {
  try {
    const auto slots = count_slots(options, why);
    if (!slots.ok()) return slots.status();
    const std::uint64_t stride = stride_of(options.block_bytes);
    auto arena = Arena::map({stride * *slots, options.huge_pages, options.prefault, options.mlock}, why);
    if (!arena.ok()) {
      if (why != nullptr) *why = fmt::format("tier '{}': {}", options.name, *why);
      return arena.status();
    }
    return std::unique_ptr<HostTier>(new HostTier(options, std::move(*arena), stride, *slots));
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "opening a host tier");
  }
}

HostTier::HostTier(const HostTierOptions& options, Arena arena, std::uint64_t stride_bytes,
                   std::uint32_t slots)
    : arena_(std::move(arena)), stride_bytes_(stride_bytes) {
  const std::array bases = {arena_.base()};
  const SlotLayout layout{bases, stride_bytes, options.block_bytes, slots};
  info_.name = options.name;
  info_.kind = TierKind::kDram;
  info_.space = AddressSpace::kHost;
  info_.slots = slots;
  info_.slot_bytes = options.block_bytes;
  info_.segments = 1;
  info_.segment_bytes = options.block_bytes;
  info_.alignment = common_alignment(layout);
  info_.ranges = slot_ranges(layout);
}

Address HostTier::address(Slot slot, std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment == 0);
  static_cast<void>(segment);
  return {.pointer = arena_.base() + slot.value * stride_bytes_};
}

}  // namespace kelvin
