// See hbm_tier.h.
#include "tiers/hbm/hbm_tier.h"

#include <cassert>
#include <new>
#include <utility>

#include "base/adopted_memory.h"
#include "base/format_text.h"
#include "tiers/hbm/hbm.h"
#include "tiers/hbm/layout.h"

namespace kelvin::hbm {
namespace {

// The arena's memory, and the layout in it.
Result<std::unique_ptr<Memory>> take_arena(const TierContext& context, const HbmSettings& settings,
                                           Device& device, AdoptedMemory& layout, std::string* why) {
  auto own = own_layout(context, settings, why);
  if (!own.ok()) return own.status();
  std::string told;
  auto memory = device.allocate(arena_bytes(*own), settings.shared, &told);
  if (!memory.ok()) {
    *why =
        format_text("tier '{}': no {} bytes on {}: {}: lower its capacity, or leave the device more memory",
                    context.tier.name, arena_bytes(*own), device.properties().name,
                    told.empty() ? memory.status().message() : told);
    return memory.status();
  }
  layout = at(std::move(*own), (*memory)->base());
  return memory;
}

}  // namespace

Result<std::unique_ptr<HbmTier>> HbmTier::open(const TierContext& context, const HbmSettings& settings,
                                               std::string* why) {
  const auto name = [&] { *why = format_text("tier '{}': {}", context.tier.name, *why); };
  const auto device = open_device(settings.device, why);
  if (!device.ok()) {
    name();
    return device.status();
  }
  AdoptedMemory layout;
  std::unique_ptr<Memory> arena;
  // Before the arena, which may take all memory there is.
  static_cast<void>(calibration_of(**device));
  if (context.adopted != nullptr) {
    if (const Status s = check_adopted(context, settings, **device, why); !s.ok()) return s;
    layout = *context.adopted;
  } else {
    auto taken = take_arena(context, settings, **device, layout, why);
    if (!taken.ok()) return taken.status();
    arena = std::move(*taken);
  }
  std::unique_ptr<HbmTier> tier(new HbmTier(**device, settings, context, std::move(layout)));
  tier->arena_ = std::move(arena);
  Status status = tier->check_ways(why);
  if (status.ok()) status = tier->open_parts(context.space.max_leases, why);
  if (!status.ok()) {
    name();
    return status;
  }
  return tier;
}

HbmTier::HbmTier(Device& device, HbmSettings settings, const TierContext& context, AdoptedMemory layout)
    : device_(device),
      settings_(std::move(settings)),
      calibration_(calibration_of(device)),
      layout_(std::move(layout)) {
  info_.name = context.tier.name;
  info_.kind = TierKind::kHbm;
  info_.space = AddressSpace::kDevice;
  info_.slots = layout_.slots;
  info_.slot_bytes = context.space.block_bytes;
  info_.segments = static_cast<std::uint32_t>(layout_.bases.size());
  info_.segment_bytes = layout_.segment_bytes;
  info_.alignment = common_alignment(layout_of(layout_));
  info_.adopted = context.adopted != nullptr;
  info_.near_node = device.properties().numa_node;
}

HbmTier::~HbmTier() = default;

Status HbmTier::check_ways(std::string* why) const {
  const DeviceProperties& properties = device_.properties();
  if (settings_.way && (properties.ways >> static_cast<unsigned>(*settings_.way) & 1U) == 0) {
    *why = properties.name + " cannot copy the way that copy says (its driver is too old): set copy to auto";
    return {Code::kUnsupported, "opening an hbm tier"};
  }
  if (settings_.sums == SumPlace::kDevice && !properties.checksums) {
    *why = properties.name + " makes no checksums: set checksum to auto or host";
    return {Code::kUnsupported, "opening an hbm tier"};
  }
  if (settings_.way == Way::kKernel &&
      (info_.alignment % kKernelGrain != 0 || info_.segment_bytes % kKernelGrain != 0)) {
    *why = format_text(
        "copy = \"kernel\" needs segments of a multiple of {} bytes, and they have {}: set copy to auto",
        kKernelGrain, info_.segment_bytes);
    return {Code::kInvalid, "opening an hbm tier"};
  }
  return {};
}

Status HbmTier::open_parts(std::uint32_t words, std::string* why) {
  auto streams = SlotStreams::open(device_, info_.slots, words, why);
  if (!streams.ok()) return streams.status();
  streams_ = std::move(*streams);
  auto access = HbmAccess::open(*this, device_, *streams_, why);
  if (!access.ok()) return access.status();
  access_ = std::move(*access);
  registrations_ = std::make_unique<Registrations>(device_, settings_.pin_host);
  info_.streams = streams_.get();
  info_.access = access_.get();
  if (!settings_.shared) return {};
  const auto handle = arena_->share();
  if (!handle.ok()) {
    *why = device_.properties().name + " does not share memory between processes: leave the key shared out";
    return handle.status();
  }
  shared_ = Fd(*handle);
  info_.shared_fd = shared_.get();
  return {};
}

Address HbmTier::address(Slot slot, std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment < info_.segments);
  return {.space = AddressSpace::kDevice,
          .device = device_.properties().ordinal,
          .pointer = layout_.bases[segment] + slot.value * layout_.stride_bytes};
}

Way HbmTier::way(Direction direction, std::uint64_t piece_bytes, std::uint64_t pieces,
                 bool grained) const noexcept {
  if (!settings_.way) return calibration_.way(direction, piece_bytes, pieces, grained);
  return *settings_.way == Way::kKernel && !grained ? Way::kPlain : *settings_.way;
}

bool HbmTier::sums_on_device() const noexcept {
  if (settings_.sums != SumPlace::kMeasured) return settings_.sums == SumPlace::kDevice;
  return device_.properties().checksums && calibration_.sums_on_device();
}

namespace {

Result<std::unique_ptr<Tier>> open_hbm(const TierContext& context, const Options& options, std::string* why) {
  try {
    auto tier = HbmTier::open(context, read_settings(options), why);
    if (!tier.ok()) return tier.status();
    return std::unique_ptr<Tier>(std::move(*tier));
  } catch (const std::bad_alloc&) {
    *why = "no host memory for tier '" + context.tier.name + "'";
    return Status(Code::kFull, "opening an hbm tier");
  }
}

}  // namespace
}  // namespace kelvin::hbm

namespace kelvin {

constinit const TierFactory kHbmTier = {"hbm", hbm::kHbmOptions, hbm::open_hbm};

}  // namespace kelvin
