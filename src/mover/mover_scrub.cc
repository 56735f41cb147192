// Copies in tiers whose blocks outlive the process are read in quiet moments, only to verify them. See
// mover.h.
//
// A scrub is a move into a free slot of the nearest host memory that a link leads to, which goes free again:
// it takes the same way as a load, pins its source, waits for a device no longer than a load does, and drops
// what does not verify. It never waits in line: it sets out when nothing else is read from its tier, and one
// at a time.
#include <algorithm>

#include "mover/mover.h"

namespace kelvin {

void Mover::start_scrubs() noexcept {
  if (canceling_) return;
  std::uint64_t now = 0;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    Scrub& scrub = scrubs_[t];
    if (scrub.bytes_per_second == 0 || scrub.under_way) continue;
    if (now == 0) now = clock_();
    if (now < scrub.due_ns) continue;
    if (!start_scrub(TierIndex(t), scrub)) {
      scrub.due_ns = now + kScrubPauseNs;
      continue;
    }
    const double share = static_cast<double>(topology_.tier(TierIndex(t)).info().slot_bytes) /
                         static_cast<double>(scrub.bytes_per_second);
    const std::uint64_t since = now - std::min(now, kScrubLagNs);
    scrub.due_ns = std::max(scrub.due_ns, since) + static_cast<std::uint64_t>(share * 1e9);
  }
}

bool Mover::start_scrub(TierIndex tier, Scrub& scrub) noexcept {
  const Topology::Edge* edge = nullptr;
  for (std::uint8_t t = 0; t < tier.value && edge == nullptr; ++t) {
    if (topology_.tier(TierIndex(t)).info().space != AddressSpace::kHost) continue;
    edge = topology_.next_hop(tier, TierIndex(t));
    if (edge != nullptr && edge->to != TierIndex(t)) edge = nullptr;
  }
  if (edge == nullptr) return false;
  LinkState& link = links_[link_at_[tier.value][edge->to.value]];
  SlotMap& above = residency_.slots(edge->to);
  if (above.adopted() || above.free_count() == 0) return false;
  if (!usable(*edge, link.bit) || on_trial(link) || !nobody_reads(tier) || !may_load()) return false;
  const Slot source = pin_next(tier, scrub);
  if (!source) return false;
  const BlockId block = residency_.slots(tier).word(source).block();
  const std::uint32_t n = new_move();
  const Slot target = above.take_filling(block, n);
  if (!target) {
    residency_.slots(tier).unpin(source);
    free_moves_.push_back(n);
    return false;
  }
  ActiveMove& move = moves_[n];
  move.block = block;
  move.from = move.at = tier;
  move.to = move.next = edge->to;
  move.source = source;
  move.target = target;
  move.urgency = Urgency::kPrefetch;
  move.scrub = true;
  scrub.under_way = true;
  ++scrubbing_;
  stage(link, n, 0);
  submit_staged(link, 1);
  return true;
}

bool Mover::nobody_reads(TierIndex tier) const noexcept {
  return std::ranges::all_of(links_, [&](const LinkState& link) {
    return link.edge->from != tier ||
           (link.in_flight == 0 && std::ranges::all_of(link.queues, &MoveList::empty));
  });
}

// The next slot with a copy whose checksum is known; none: not among the next ones.
Slot Mover::pin_next(TierIndex tier, Scrub& scrub) noexcept {
  SlotMap& slots = residency_.slots(tier);
  for (std::uint32_t left = std::min(kScrubSlots, slots.size()); left > 0; --left) {
    const Slot slot(scrub.next);
    scrub.next = slot.value + 1 < slots.size() ? slot.value + 1 : 0;
    const SlotWord word = slots.word(slot);
    if (word.state() != SlotState::kResident || !slots.pin(slot, word.block())) continue;
    const BlockRecord& record = residency_.table().record(word.block());
    if ((record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0) return slot;
    slots.unpin(slot);
  }
  return Slot{};
}

void Mover::end_scrub(const ActiveMove& move, const Status& status) noexcept {
  Scrub& scrub = scrubs_[move.from.value];
  scrub.under_way = false;
  --scrubbing_;
  if (status.ok() || move.bad != 0) scrub.read.fetch_add(1, std::memory_order_relaxed);
  if (move.bad != 0) scrub.bad.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t Mover::scrub_due_ns() const noexcept {
  std::uint64_t due = Policy::kNever;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const Scrub& scrub = scrubs_[t];
    if (scrub.bytes_per_second != 0 && !scrub.under_way && residency_.online(TierIndex(t))) {
      due = std::min(due, scrub.due_ns);
    }
  }
  return due;
}

}  // namespace kelvin
