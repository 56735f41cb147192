// publish: see core.h.
#include <algorithm>

#include "checksum/crc32c.h"
#include "space/core.h"
#include "space/event_batch.h"

namespace kelvin {
namespace {

constexpr std::size_t kAhead = 8;  // offers whose cache lines are on their way

}  // namespace

// The crc32c of a slot in host memory; false where the slot is not in host memory.
static bool slot_checksum(const Tier& tier, Slot slot, std::uint32_t* checksum) noexcept {
  const TierInfo& info = tier.info();
  if (info.space != AddressSpace::kHost) return false;
  *checksum = 0;
  for (std::uint32_t s = 0; s < info.segments; ++s) {
    *checksum = crc32c(tier.address(slot, s).pointer, info.segment_bytes, *checksum);
  }
  return true;
}

// The key is known: use the copy that is there; else make this slot its copy, if the bytes are the same.
// Bytes that kernels still write stay where they are, and nobody looks at them.
void Core::meet_known(Hold& hold, HoldEntry& entry, const BlockKey& key) noexcept {
  duplicates_.fetch_add(1, std::memory_order_relaxed);
  SlotMap& slots = residency_->slots(hold.tier);
  Table& table = residency_->table();
  const bool written = hold.streams.written == 0;
  if (const Slot there = written ? residency_->pin(entry.block, key, hold.tier) : Slot{}) {
    slots.free({&entry.slot, 1});
    entry.slot = there;
    entry.kind = HoldEntry::Kind::kLeased;
    return;
  }
  const BlockRecord& record = table.record(entry.block);
  bool attached = table.revive(entry.block, hold.tier, entry.slot, residency_->online_mask());
  std::uint32_t checksum = 0;
  if (!attached && written &&
      (record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0 &&
      slot_checksum(topology_->tier(hold.tier), entry.slot, &checksum) &&
      checksum == record.checksum.load(std::memory_order_relaxed)) {
    attached = table.attach(entry.block, hold.tier, entry.slot);
  }
  if (!attached) {
    entry.kind = HoldEntry::Kind::kPrivate;  // on its way here, or computed with other rounding
    return;
  }
  slots.publish(entry.slot, entry.block);
  entry.kind = HoldEntry::Kind::kLeased;
  Event event = event_of(EventKind::kArrive, hold.tier, Hints{}, now());
  event.block = entry.block;
  planner_->record({&event, 1});
}

Status Core::may_publish(const Hold& hold, std::span<const BlockKey> chain,
                         std::size_t first) const noexcept {
  if (closed()) return Status(Code::kUnavailable, "publish: the space is closed");
  if (hold.published) return Status(Code::kMisuse, "publish: the lease holds published blocks");
  if (chain.size() != first + hold.entries.size()) {
    return Status(Code::kInvalid, "publish: the chain must end with the lease's last slot");
  }
  if (!residency_->online(hold.tier)) return Status(Code::kUnavailable, "publish: the tier is offline");
  return Status();
}

Status Core::publish(Hold& hold, std::span<const BlockKey> chain, std::size_t first, const Hints& hints,
                     std::span<const RetainRange> ranges) noexcept {
  if (const Status status = may_publish(hold, chain, first); !status.ok()) return status;
  return make_blocks(hold, chain, first, hints, ranges);
}

Status Core::make_blocks(Hold& hold, std::span<const BlockKey> chain, std::size_t first, const Hints& hints,
                         std::span<const RetainRange> ranges) noexcept {
  if (const Status status = keep_ranges(hold, ranges); !status.ok()) return status;
  hold.published = true;
  Table& table = residency_->table();
  for (std::size_t i = 0; i < std::min(kAhead, hold.entries.size()); ++i) table.prefetch(chain[first + i]);
  // The block before the one at hand, kept alive: by the lease's pin if new, else by a guard.
  BlockId parent = first > 0 ? table.guard(chain[first - 1]) : BlockId{};
  bool guarded = static_cast<bool>(parent);
  const auto let_parent_go = [&] {
    if (guarded) table.unguard(parent, [this](BlockId block) { planner_->forgotten(block); });
  };
  Event common = event_of(EventKind::kPublish, hold.tier, hints, now());
  common.tenant = tenant_index(hints.tenant) & kMaxTenants;
  EventBatch news(*planner_, common);
  Status status;
  for (std::size_t i = 0; i < hold.entries.size() && status.ok(); ++i) {
    if (i + kAhead < hold.entries.size()) table.prefetch(chain[first + i + kAhead]);
    HoldEntry& entry = hold.entries[i];
    const BlockKey& key = chain[first + i];
    const auto offer = table.offer(key, parent, static_cast<std::uint32_t>(first + i), hold.tier, entry.slot);
    let_parent_go();
    guarded = offer.ok() && offer->known;
    if (!offer.ok()) {
      status = offer.status();
      break;
    }
    entry.block = parent = offer->block;
    if (offer->known) {
      meet_known(hold, entry, key);
      continue;
    }
    residency_->slots(hold.tier).publish(entry.slot, entry.block);
    entry.kind = HoldEntry::Kind::kLeased;
    news.add(entry.block, hold.tier, ranges, i);
  }
  let_parent_go();
  published_.fetch_add(news.size(), std::memory_order_relaxed);
  return status;
}

}  // namespace kelvin
