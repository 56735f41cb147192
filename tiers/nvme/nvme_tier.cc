// See nvme_tier.h and nvme.h.
#include "tiers/nvme/nvme_tier.h"

#include <array>
#include <cassert>
#include <new>
#include <utility>

#include "tiers/nvme/nvme.h"

namespace kelvin::nvme {
namespace {

constexpr std::array kOptions = {
    OptionSpec{
        .name = "path",
        .type = OptionType::kText,
        .fallback = "",
        .reason =
            "the file that holds the blocks; made if absent, reused if it is Kelvin's, refused otherwise"},
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
        .reason = "blocks in flight in each direction; 8 to 32 keep a drive busy, more only add latency",
        .min = 1,
        .max = 1024},
    OptionSpec{.name = "io_bytes",
               .type = OptionType::kBytes,
               .fallback = "2MiB",
               .reason =
                   "larger blocks are split into requests of this size, in flight together; from 512KiB on "
                   "drives are as fast as they get, and fewer requests cost less CPU",
               .min = kPageBytes,
               .max = 256.0 * (1 << 20)},
    OptionSpec{.name = "prewrite",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason =
                   "write zeros over the file when it is first made: first writes are then as fast as later "
                   "ones (1.5 times faster), for a slower first start and one write of wear"},
};

Status out_of_memory(std::string* why) {
  *why = "not enough memory";
  return {Code::kFull, "opening an nvme tier"};
}

QueueKind queue_kind(const std::string& io) {
  if (io == "uring") return QueueKind::kUring;
  return io == "threads" ? QueueKind::kThreads : QueueKind::kAuto;
}

}  // namespace

NvmeTier::NvmeTier(std::string name, std::unique_ptr<BlockFile> file, const LinkSettings& links)
    : file_(std::move(file)), links_(links) {
  info_.name = std::move(name);
  info_.kind = TierKind::kNvme;
  info_.space = AddressSpace::kFile;
  info_.slots = file_->slots();
  info_.slot_bytes = file_->block_bytes();
  info_.segment_bytes = file_->block_bytes();
  info_.alignment = kPageBytes;
}

Result<std::unique_ptr<Tier>> NvmeTier::open(const TierContext& context, const Options& options,
                                             std::string* why) {
  try {
    FileConfig config;
    config.path = options.text("path");
    config.capacity_bytes = context.tier.capacity_bytes;
    config.block_bytes = context.space.block_bytes;
    config.require_direct = options.text("direct") == "on";
    config.prewrite = options.boolean("prewrite");

    LinkSettings links;
    links.queue = queue_kind(options.text("io"));
    links.depth = static_cast<std::uint32_t>(options.integer("queue_depth"));
    links.request_bytes = options.bytes("io_bytes") / kPageBytes * kPageBytes;

    auto file = BlockFile::open(config, why);
    if (!file.ok()) return file.status();
    return std::unique_ptr<Tier>(
        std::make_unique<NvmeTier>(context.tier.name, std::move(file).value(), links));
  } catch (const std::bad_alloc&) {
    return out_of_memory(why);
  }
}

const NvmeTier* NvmeTier::of(const Tier& tier) noexcept { return dynamic_cast<const NvmeTier*>(&tier); }

Address NvmeTier::address(Slot slot, [[maybe_unused]] std::uint32_t segment) const noexcept {
  assert(slot.value < info_.slots && segment == 0);
  return {.space = AddressSpace::kFile, .device = file_->fd(), .offset = file_->offset(slot.value)};
}

}  // namespace kelvin::nvme

namespace kelvin {

constexpr TierFactory kNvmeTier = {"nvme", nvme::kOptions, &nvme::NvmeTier::open};

}  // namespace kelvin
