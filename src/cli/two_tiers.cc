// See two_tiers.h.
#include "cli/two_tiers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/gen_random.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr std::uint64_t kMostBlocks = 4096;
constexpr std::uint64_t kHeadroomBytes = 4 << 20;  // what a tier keeps of its capacity for itself

Status said(Status status, std::string_view doing, std::string* why) {
  *why = fmt::format("{}: {}", doing, status.message());
  return status;
}

bool declares(const TierConfig& tier, std::string_view option) {
  const TierFactory* factory = find_tier_factory(tier.kind);
  return factory != nullptr &&
         std::ranges::find(factory->options, option, &OptionSpec::name) != factory->options.end();
}

// A path beside the one given, on its drive even where that is a link to another. Empty: `why` says what is
// wrong.
std::string scratch_beside(const std::string& path, std::string* why) {
  std::error_code error;
  const std::filesystem::file_status found = std::filesystem::status(path, error);
  if (std::filesystem::exists(found) && !std::filesystem::is_regular_file(found)) {
    *why = fmt::format(
        "'{}' is no regular file, and measuring would write over it: measure on a file of that drive", path);
    return {};
  }
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  std::string scratch = fmt::format("{}.bench-{}", error ? path : real.string(), ::getpid());
  if (!std::filesystem::exists(std::filesystem::symlink_status(scratch, error))) return scratch;
  *why = fmt::format("'{}' is in the way of a scratch file: remove it", scratch);
  return {};
}

// Each path of a list, on a line of its own, becomes a scratch file beside it.
Status move_to_scratch(Option& paths, std::vector<std::unique_ptr<ScratchFile>>& files, std::string* why) {
  std::string moved;
  std::string_view rest = paths.value;
  while (!rest.empty()) {
    const std::string path(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), path.size() + 1));
    std::string scratch = scratch_beside(path, why);
    if (scratch.empty()) return {Code::kUnsupported, "measuring"};
    moved += (moved.empty() ? "" : "\n") + scratch;
    files.push_back(std::make_unique<ScratchFile>(std::move(scratch)));
  }
  paths.value = moved;
  return {};
}

// The tier as it is in the config, on scratch space, with nothing that moves blocks unasked.
Status prepare(TierConfig& tier, std::uint64_t blocks, std::uint64_t block_bytes,
               std::vector<std::unique_ptr<ScratchFile>>& files, std::string* why) {
  if (tier.kind == "adopted") tier = {.name = tier.name, .kind = "dram", .options = {}};
  tier.capacity_bytes = blocks * block_bytes;
  tier.free_ahead = 0;
  tier.write_budget = 0;
  tier.placement = "keep";
  const auto path = std::ranges::find(tier.options, std::string_view("path"), &Option::name);
  if (path == tier.options.end()) return {};
  tier.capacity_bytes += std::max(block_bytes, kHeadroomBytes);
  // A drive that has written every part of the file once is as fast as it will be in service.
  if (declares(tier, "prewrite")) {
    std::erase_if(tier.options, [](const Option& option) { return option.name == "prewrite"; });
    tier.options.push_back({"prewrite", "true"});
  }
  return move_to_scratch(*std::ranges::find(tier.options, std::string_view("path"), &Option::name), files,
                         why);
}

std::uint64_t blocks_of(const Config& config, std::size_t tier, std::uint64_t bytes) {
  const std::uint64_t own = config.tiers[tier].capacity_bytes;  // 0: the engine's memory
  return (own == 0 ? bytes : std::min(own, bytes)) / config.space.block_bytes;
}

}  // namespace

ScratchFile::~ScratchFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

Result<std::unique_ptr<TwoTiers>> TwoTiers::open(const Config& config, std::size_t near, std::size_t far,
                                                 std::uint64_t bytes, std::string* why) try {
  std::unique_ptr<TwoTiers> tiers(new TwoTiers);
  Config pair = config;
  pair.tiers = {config.tiers[near], config.tiers[far]};
  pair.policy = {};
  pair.policy.name = "lru";
  tiers->block_bytes_ = config.space.block_bytes;
  const std::uint64_t blocks = std::clamp(
      std::min(blocks_of(config, near, bytes), blocks_of(config, far, bytes)), std::uint64_t{1}, kMostBlocks);
  for (TierConfig& tier : pair.tiers) {
    if (Status status = prepare(tier, blocks, pair.space.block_bytes, tiers->files_, why); !status.ok())
      return status;
  }
  Parts parts;
  parts.wrap_link = [&depths = tiers->depths_](std::unique_ptr<Link> link) {
    depths[link->info().name] = link->info().depth;
    return link;
  };
  auto space = Space::open(pair, why, std::move(parts));
  if (!space.ok()) return space.status();
  tiers->space_ = std::move(*space);
  const std::uint64_t slots =
      std::min(tiers->space_->tier_info(kNear)->slots, tiers->space_->tier_info(kFar)->slots);
  BlockKey parent{};
  for (std::uint32_t i = 0; i < std::min(blocks, slots); ++i) {
    parent = chain_key(parent, std::span(&i, 1));
    tiers->keys_.push_back(parent);
  }
  for (const TierIndex tier : {kNear, kFar}) {
    if (Status status = tiers->fill(tier, why); !status.ok()) return status;
  }
  return tiers;
} catch (const std::bad_alloc&) {
  *why = "out of memory while preparing a measurement";
  return Status(Code::kFull, "measuring");
}

std::uint32_t TwoTiers::depth(const std::string& link) const {
  const auto found = depths_.find(link);
  return found == depths_.end() ? 0 : found->second;
}

Result<Lease> TwoTiers::allocate(TierIndex tier, std::string* why) {
  // Waits: the tier's memory may still be being made ready.
  AllocateOptions options;
  options.when_full = WhenFull::kWait;
  options.timeout = kPatience;
  auto lease = space_->allocate(static_cast<std::uint32_t>(keys_.size()), tier, options);
  if (!lease.ok()) return said(lease.status(), "allocating", why);
  return lease;
}

// Memory that was never written to is one page of zeros in a cache: no copy of it is as slow as a real one.
Status TwoTiers::fill(TierIndex tier, std::string* why) {
  const TierInfo& info = *space_->tier_info(tier);
  const bool in_place = info.space == AddressSpace::kHost;
  if (!in_place && info.access == nullptr) return {};
  const auto lease = allocate(tier, why);
  if (!lease.ok()) return lease.status();
  Random random(tier.value);
  std::vector<std::byte> block(in_place ? 0 : block_bytes_);
  for (std::size_t i = 0; i < lease->size(); ++i) {
    std::byte* const bytes = in_place ? lease->address(i).pointer : block.data();
    for (std::uint64_t at = 0; at < block_bytes_; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = random.next();
      std::memcpy(bytes + at, &word, sizeof word);
    }
    if (in_place) continue;
    if (Status status = info.access->write(lease->slot(i), block); !status.ok())
      return said(status, "filling blocks", why);
  }
  return {};
}

Status TwoTiers::load(TierIndex tier, std::size_t count, std::string* why) {
  auto ticket = space_->acquire(std::span<const BlockKey>(keys_).first(count), tier);
  if (!ticket.ok()) return said(ticket.status(), "asking for blocks", why);
  if (Status status = ticket->wait(kPatience); !status.ok()) return said(status, "moving blocks", why);
  Lease lease = ticket->take();
  const bool all = lease.size() == count;
  if (Status status = lease.release(); !status.ok()) return said(status, "releasing blocks", why);
  return all ? Status()
             : said(Status(Code::kFull, "fewer blocks arrived than were sent"), "moving blocks", why);
}

Status TwoTiers::publish(std::string* why) {
  if (Status status = drop(kNoTier, why); !status.ok()) return status;
  auto lease = allocate(kNear, why);
  if (!lease.ok()) return lease.status();
  if (Status status = space_->publish(*lease, keys_, 0); !status.ok()) return said(status, "publishing", why);
  if (Status status = lease->release(); !status.ok()) return said(status, "releasing blocks", why);
  return {};
}

Status TwoTiers::drop(TierIndex tier, std::string* why) {
  // What was loaded is there a moment before its move has let go of where it came from.
  if (Status settled = space_->settle(kPatience); !settled.ok()) return said(settled, "dropping blocks", why);
  const Status status = space_->drop(keys_, tier);
  return status.ok() ? status : said(status, "dropping blocks", why);
}

}  // namespace kelvin::cli
