// match, acquire, expect: see core.h.
#include <algorithm>
#include <bit>
#include <new>

#include "space/core.h"
#include "space/event_batch.h"

namespace kelvin {
namespace {

constexpr std::size_t kBatch = Residency::kLocateBatch;  // keys looked up before their slots are touched

}  // namespace

Match Core::match(std::span<const BlockKey> chain) const noexcept {
  Match match;
  std::array<TierIndex, kBatch> tiers;
  for (std::size_t first = 0; first < chain.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, chain.size() - first);
    const std::size_t known = residency_->locate(chain.subspan(first, count), tiers);
    for (std::size_t i = 0; i < known; ++i) ++match.in_tier[tiers[i].value];
    match.blocks += static_cast<std::uint32_t>(known);
    if (known < count) break;
  }
  const TierIndex near = residency_->first_online();
  for (auto t = static_cast<std::uint8_t>(near.value + 1); t < topology_->tiers(); ++t) {
    match.load_ns += topology_->move_ns(TierIndex(t), near, match.in_tier[t]);
  }
  match.recompute_ns =
      static_cast<std::uint64_t>(static_cast<double>(match.blocks) * config_.space.block_tokens * 1e9 /
                                 config_.space.prefill_tokens_per_second);
  return match;
}

// Pins the block where the hold wants it, or where it has to be loaded from. False: it has no copy any more.
bool Core::add_known(Hold& hold, const BlockKey& key, BlockId block, const AcquireOptions& options,
                     std::size_t i) noexcept {
  HoldEntry& entry = hold.entries.emplace_back();
  entry.block = block;
  entry.source = hold.tier;
  entry.kind = HoldEntry::Kind::kLeased;
  entry.slot = residency_->pin(block, key, hold.tier);
  if (entry.slot) return true;
  const bool has_room = !topology_->tier(hold.tier).info().adopted || !options.into.empty();
  const std::uint32_t readable = residency_->readable(block);
  if (!has_room && readable != 0) {
    hold.status = Status(Code::kInvalid, "acquire: blocks have to be loaded, but `into` names no slots");
  }
  for (std::uint32_t mask = has_room ? readable : 0; mask != 0; mask &= mask - 1) {
    const TierIndex from(static_cast<std::uint8_t>(std::countr_zero(mask)));
    entry.slot = residency_->pin(block, key, from);
    if (!entry.slot) continue;
    entry.source = from;
    // It may have arrived in the hold's tier since the first look: the mover finds that out.
    entry.kind = HoldEntry::Kind::kLoading;
    if (!options.into.empty()) entry.into = options.into[i];
    ++hold.pending;
    return true;
  }
  hold.entries.pop_back();
  return false;
}

// A hold on the longest known prefix: its copies in `tier`, or where they are to be loaded from.
Result<Hold*> Core::pin_known(std::span<const BlockKey> chain, TierIndex tier,
                              const AcquireOptions& options) noexcept {
  if (closed()) return Status(Code::kUnavailable, "acquire: the space is closed");
  if (!has_tier(tier)) return Status(Code::kInvalid, "acquire: no such tier");
  const bool adopted = topology_->tier(tier).info().adopted;
  if (!options.into.empty() && (!adopted || options.into.size() != chain.size())) {
    return Status(Code::kInvalid, "acquire: `into` names one slot of an adopted tier for each key");
  }
  Hold* hold = take_hold();
  if (hold == nullptr) return Status(Code::kBusy, "acquire: space.max_leases leases and tickets are alive");
  hold->tier = tier;
  hold->published = true;
  hold->hints = options.hints;
  std::array<std::uint32_t, kMaxTiers> found{};
  std::array<BlockId, kBatch> ids;
  for (std::size_t first = 0; first < chain.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, chain.size() - first);
    const std::size_t known = residency_->find_prefix(chain.subspan(first, count), ids);
    try {
      reserve_entries(*hold, std::bit_ceil(first + known));
    } catch (const std::bad_alloc&) {
      break;  // what is held so far is a prefix
    }
    std::size_t i = 0;
    while (i < known && add_known(*hold, chain[first + i], ids[i], options, first + i)) {
      ++found[hold->entries.back().source.value];
      ++i;
    }
    if (i < count) break;
  }
  for (std::size_t t = 0; t < found.size(); ++t) {
    if (found[t] != 0) hits_[t].fetch_add(found[t], std::memory_order_relaxed);
  }
  record_holds(*hold, EventKind::kHit, options.hints);
  return hold;
}

Result<Hold*> Core::acquire(std::span<const BlockKey> chain, TierIndex tier,
                            const AcquireOptions& options) noexcept {
  const auto hold = pin_known(chain, tier, options);
  if (!hold.ok()) return hold;
  Streams* const streams = topology_->tier(tier).info().streams;
  // What kernels still write is not there yet.
  const bool there =
      (*hold)->pending == 0 && (streams == nullptr || streams->open_mark(list_slots(**hold)) == 0);
  if (!there) return load_rest(*hold);
  (*hold)->state.store(Hold::kDone, std::memory_order_release);
  return hold;
}

Hold* Core::load_rest(Hold* hold) noexcept {
  hold->state.store(Hold::kLoading, std::memory_order_relaxed);
  mover_->load(hold);
  if (driver_ != nullptr) driver_->wake();
  return hold;
}

void Core::expect(std::span<const BlockKey> chain, std::chrono::nanoseconds ahead,
                  const Hints& hints) noexcept {
  if (closed()) return;
  const std::uint64_t when = now() + static_cast<std::uint64_t>(std::max<std::int64_t>(0, ahead.count()));
  Event event = event_of(EventKind::kExpect, kNoTier, hints, when);
  for (const BlockKey& key : chain) {
    // Guarded, so that the event cannot come after the block's kForget.
    event.block = residency_->table().guard(key);
    if (!event.block) break;
    event.tier = residency_->nearest(event.block);
    planner_->record({&event, 1});
    residency_->table().unguard(event.block, [this](BlockId block) { planner_->forgotten(block); });
  }
  if (driver_ != nullptr) driver_->wake();
}

// Deepest first: see EventKind::kRelease.
void Core::record_holds(const Hold& hold, EventKind kind, const Hints& hints) noexcept {
  EventBatch batch(*planner_, event_of(kind, hold.tier, hints, now()));
  const std::span<const RetainRange> ranges = hold.ranges;
  for (std::size_t i = hold.entries.size(); i-- > 0;) {
    const HoldEntry& entry = hold.entries[i];
    if (entry.kind == HoldEntry::Kind::kLeased) batch.add(entry.block, hold.tier, ranges, i);
    if (entry.kind == HoldEntry::Kind::kLoading) batch.add(entry.block, entry.source);
  }
}

}  // namespace kelvin
