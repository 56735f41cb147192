// See nvme_tier.h and nvme.h.
#include "tiers/nvme/nvme_tier.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/stripe.h"

namespace kelvin::nvme {
namespace {

constexpr std::array kOptions = {
    OptionSpec{
        .name = "path",
        .type = OptionType::kTextList,
        .fallback = "",
        .reason =
            "where the blocks are: a file (made if absent), a block device, or an NVMe character device "
            "(`/dev/ng0n1`: commands past the kernel's block layer); several share the blocks evenly. What "
            "is not blank and not Kelvin's is refused"},
    OptionSpec{.name = "direct",
               .type = OptionType::kChoice,
               .fallback = "on",
               .reason =
                   "on: O_DIRECT or an error; auto: through the page cache where O_DIRECT is refused, which "
                   "costs memory beyond the tiers' capacities",
               .choices = "on|auto"},
    OptionSpec{.name = "io",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason = "io_uring, or a pool of threads where it is forbidden; auto tries io_uring first",
               .choices = "auto|uring|threads"},
    OptionSpec{
        .name = "queue_depth",
        .type = OptionType::kInteger,
        .fallback = "32",
        .reason =
            "blocks in flight in each direction at most; 8 to 32 keep a drive busy, more only add latency",
        .min = 1,
        .max = 1024},
    OptionSpec{
        .name = "queue_latency",
        .type = OptionType::kDuration,
        .fallback = "50ms",
        .reason = "fewer blocks are in flight where a request takes longer than this, as measured; 0 = never "
                  "fewer than queue_depth"},
    OptionSpec{.name = "io_bytes",
               .type = OptionType::kBytes,
               .fallback = "2MiB",
               .reason =
                   "larger blocks are split into requests of this size, in flight together; from 512KiB on "
                   "drives are as fast as they get, and fewer requests cost less CPU",
               .min = kPageBytes,
               .max = 256.0 * (1 << 20)},
    OptionSpec{.name = "poll",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason =
                   "ask the drive again and again instead of waiting for its interrupts, which keeps a core "
                   "busy while anything is in flight; devices with poll queues only"},
    OptionSpec{.name = "persist",
               .type = OptionType::kBoolean,
               .fallback = "true",
               .reason = "blocks are found again after a restart or a crash; false: the file is scratch"},
    OptionSpec{
        .name = "discard",
        .type = OptionType::kChoice,
        .fallback = "auto",
        .reason =
            "auto: devices that want to know (TRIM) are told which parts have held no block for a while; "
            "never a file, which would lose its reserved room",
        .choices = "auto|off"},
    OptionSpec{.name = "prewrite",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason =
                   "write zeros over the file when it is first made: first writes are then as fast as later "
                   "ones (1.5 times faster), for a slower first start and one write of wear"},
};

QueueKind queue_kind(const std::string& io) {
  if (io == "uring") return QueueKind::kUring;
  return io == "threads" ? QueueKind::kThreads : QueueKind::kAuto;
}

// Of each of `members` devices.
Result<Geometry> geometry_of(const TierContext& context, std::size_t members, bool scratch,
                             std::string* why) {
  const Status invalid(Code::kInvalid, "opening an nvme tier");
  const std::uint64_t block_bytes = context.space.block_bytes;
  if (block_bytes == 0 || block_bytes % kPageBytes != 0) {
    return refuse(invalid, why,
                  format_text("block_bytes = {} cannot lie on a drive: choose a multiple of {}", block_bytes,
                              kPageBytes));
  }
  const Geometry geometry = Geometry::fit(context.tier.capacity_bytes / members, block_bytes, scratch);
  if (geometry.slots != 0) return geometry;
  return refuse(invalid, why,
                format_text("tier '{}': capacity {} holds no block: {} needs {} of its own and {} a block",
                            context.tier.name, size_text(context.tier.capacity_bytes),
                            members == 1 ? "the file" : format_text("each of {} devices", members),
                            size_text(kDataAlignment), size_text(block_bytes)));
}

}  // namespace

NvmeTier::NvmeTier(std::string name, std::vector<std::unique_ptr<Volume>> volumes, const LinkSettings& links)
    : volumes_(std::move(volumes)), links_(links) {
  const Geometry& geometry = volumes_.front()->geometry();
  info_.name = std::move(name);
  info_.kind = TierKind::kNvme;
  info_.space = AddressSpace::kFile;
  info_.slots = geometry.slots * static_cast<std::uint32_t>(volumes_.size());
  info_.slot_bytes = geometry.block_bytes;
  info_.segment_bytes = geometry.block_bytes;
  info_.alignment = kPageBytes;
  info_.ledger = geometry.scratch ? nullptr : this;
  direct_ = std::ranges::any_of(volumes_, [](const auto& v) { return v->medium().info().direct; });
  const bool wants = std::ranges::any_of(volumes_, [](const auto& v) { return v->medium().info().discards; });
  if (links.discard && wants) discarder_ = std::make_unique<SlotDiscarder>(volumes_);
  info_.discarder = discarder_.get();
}

Result<std::unique_ptr<Tier>> NvmeTier::open(const TierContext& context, const Options& options,
                                             std::string* why) try {
  const SpaceConfig& space = context.space;
  const std::vector<std::string> paths = options.text_list("path");
  const auto geometry = geometry_of(context, paths.size(), !options.boolean("persist"), why);
  if (!geometry.ok()) return geometry.status();
  MediumConfig medium;
  medium.require_direct = options.text("direct") == "on";
  medium.poll = options.boolean("poll");
  VolumeConfig config;
  config.layout = make_layout(space.model, space.block_bytes, space.block_tokens);
  config.model = space.model;
  config.block_tokens = space.block_tokens;
  config.geometry = *geometry;

  LinkSettings links;
  links.queue = queue_kind(options.text("io"));
  links.depth = static_cast<std::uint32_t>(options.integer("queue_depth"));
  links.latency_ns = options.duration_ns("queue_latency");
  links.request_bytes = options.bytes("io_bytes") / kPageBytes * kPageBytes;
  links.poll = medium.poll;
  links.discard = options.text("discard") == "auto";

  auto volumes = open_stripe(paths, medium, config, options.boolean("prewrite"), why);
  if (!volumes.ok()) return volumes.status();
  return std::unique_ptr<Tier>(
      std::make_unique<NvmeTier>(context.tier.name, std::move(volumes).value(), links));
} catch (const std::bad_alloc&) {
  return refuse({Code::kFull, "opening an nvme tier"}, why, "not enough memory");
}

const NvmeTier* NvmeTier::of(const Tier& tier) noexcept { return dynamic_cast<const NvmeTier*>(&tier); }

bool NvmeTier::isolates(std::size_t volume) const noexcept {
  for (std::size_t i = 0; i < volumes_.size(); ++i) {
    if (i != volume && !volumes_[i]->health().lost()) return true;
  }
  return false;
}

Address NvmeTier::address(Slot slot, [[maybe_unused]] std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment == 0);
  const Place at = place(slot);
  const Volume& volume = *volumes_[at.volume];
  return {.space = AddressSpace::kFile,
          .device = volume.medium().info().fd,
          .offset = volume.geometry().offset(at.slot)};
}

std::size_t NvmeTier::recall(std::uint32_t& first, std::span<Remembered> out) const noexcept {
  std::size_t n = 0;
  for (; first < info_.slots && n < out.size(); ++first) {
    const Place at = place(Slot(first));
    Record record;
    if (volumes_[at.volume]->table()->get(at.slot, &record)) out[n++] = to_remembered(record, Slot(first));
  }
  return n;
}

void NvmeTier::forget(std::span<const Slot> slots) noexcept {
  for (const Slot slot : slots) {
    const Place at = place(slot);
    volumes_[at.volume]->table()->clear(at.slot);
  }
}

}  // namespace kelvin::nvme

namespace kelvin {

constexpr TierFactory kNvmeTier = {"nvme", nvme::kOptions, &nvme::NvmeTier::open};

}  // namespace kelvin
