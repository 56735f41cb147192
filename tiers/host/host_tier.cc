// See host_tier.h.
#include "tiers/host/host_tier.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "base/slot_layout.h"

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
    return invalid(why, format_text("tier '{}': a capacity of {} bytes holds no block of {} bytes: raise "
                                    "[[tier]].capacity or lower [space].block_bytes",
                                    options.name, options.capacity_bytes, options.block_bytes));
  }
  if (slots >= Slot::kNone) {
    return invalid(why, format_text("tier '{}': {} slots are more than the {} a tier can have: lower "
                                    "[[tier]].capacity or raise [space].block_bytes",
                                    options.name, slots, Slot::kNone - 1));
  }
  return static_cast<std::uint32_t>(slots);
}

}  // namespace

Result<std::unique_ptr<HostTier>> HostTier::open(const HostTierOptions& options, std::string* why) {
  const std::vector<int>& nodes = options.placement.nodes;
  const auto make = [&](std::size_t i, std::uint64_t bytes, std::string* told) {
    ArenaOptions arena;
    arena.bytes = bytes;
    arena.huge_pages = options.huge_pages;
    arena.node = nodes.empty() ? -1 : nodes[i];
    arena.must_bind = options.placement.required;
    return Arena::map(arena, told);
  };
  return open(options, std::max<std::size_t>(nodes.size(), 1), make, why);
}

Result<std::unique_ptr<HostTier>> HostTier::open(const HostTierOptions& options, std::size_t arenas,
                                                 const MakeArena& make, std::string* why) {
  try {
    const auto counted = count_slots(options, why);
    if (!counted.ok()) return counted.status();
    const std::uint64_t stride = stride_of(options.block_bytes);
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(arenas, *counted));
    const std::uint32_t slots = *counted / n * n;
    std::string told;
    const auto fail = [&](const Status& status) {
      if (why != nullptr)
        *why = format_text("tier '{}': {}", options.name, told.empty() ? status.message() : told);
      return status;
    };
    std::vector<Arena> made;
    for (std::uint32_t i = 0; i < n; ++i) {
      auto arena = make(i, stride * (slots / n), &told);
      if (!arena.ok()) return fail(arena.status());
      made.push_back(std::move(*arena));
    }
    std::unique_ptr<HostTier> tier(new HostTier(options, std::move(made), stride, slots));
    if (const Status status = tier->make_ready(options, &told); !status.ok()) return fail(status);
    return tier;
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "opening a host tier");
  }
}

HostTier::HostTier(const HostTierOptions& options, std::vector<Arena> arenas, std::uint64_t stride_bytes,
                   std::uint32_t slots)
    : arenas_(std::move(arenas)), stride_bytes_(stride_bytes) {
  std::vector<std::byte*> bases;
  for (const Arena& arena : arenas_) bases.push_back(arena.base());
  const auto of_each = static_cast<std::uint32_t>(slots / arenas_.size());
  const SlotLayout layout{bases, stride_bytes, options.block_bytes, of_each};
  info_.name = options.name;
  info_.kind = options.kind;
  info_.space = AddressSpace::kHost;
  info_.slots = slots;
  info_.slot_bytes = options.block_bytes;
  info_.segments = 1;
  info_.segment_bytes = options.block_bytes;
  info_.alignment = common_alignment(layout);
  info_.ranges = slot_ranges(layout);
}

// Reserved pages of a node may be gone by the time that they are touched, which would kill the process: they
// are made ready at once, as is what is to be locked.
Status HostTier::make_ready(const HostTierOptions& options, std::string* why) {
  const bool several = memory_nodes().size() > 1;
  const bool reserved = std::ranges::any_of(arenas_, [&](const Arena& arena) {
    return several && arena.node() >= 0 &&
           (arena.pages() == PageKind::kHugetlb || arena.pages() == PageKind::kHugetlb1GiB);
  });
  if (!options.prefault && !options.mlock && !reserved) return {};
  grower_ = std::make_unique<Grower>(
      Grower::Plan{arenas_, info_.slots, stride_bytes_, options.mlock, options.name});
  if (const Status status = grower_->first(why); !status.ok()) return status;
  if (grower_->done()) {
    grower_.reset();
    return {};
  }
  info_.growth = &grower_->growth();
  return grower_->start();
}

Address HostTier::address(Slot slot, std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment == 0);
  static_cast<void>(segment);
  const auto n = static_cast<std::uint32_t>(arenas_.size());
  return {.pointer = arenas_[slot.value % n].base() + slot.value / n * stride_bytes_};
}

}  // namespace kelvin
