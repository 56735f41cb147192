// See discards.h.
#include "mover/discards.h"

#include <algorithm>
#include <span>

#include "kelvin/policy.h"

namespace kelvin {

Discards::Discards(Residency& residency, Topology& topology) : residency_(residency) {
  for (std::uint8_t t = 0; t < residency.tiers(); ++t) {
    const TierInfo& info = topology.tier(TierIndex(t)).info();
    if (info.discarder == nullptr || info.adopted) continue;
    none_ = false;
    Tier& tier = tiers_[t];
    tier.discarder = info.discarder;
    tier.least = static_cast<std::uint32_t>((kRunBytes + info.slot_bytes - 1) / info.slot_bytes);
    tier.most = std::max(tier.least, static_cast<std::uint32_t>(kMostBytes / info.slot_bytes));
    tier.taken.resize(tier.most);
    tier.named.reserve(tier.most);
  }
}

void Discards::step(std::uint64_t now_ns) noexcept {
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    Tier& tier = tiers_[t];
    if (tier.discarder == nullptr || now_ns < tier.due_ns) continue;
    SlotMap& slots = residency_.slots(TierIndex(t));
    tier.due_ns = now_ns + kLookNs;
    if (tier.under_way) {
      if (!tier.discarder->over()) continue;
      finish(tier, slots);
    }
    if (residency_.online(TierIndex(t))) look(tier, slots, now_ns);
  }
}

// Goes on with the pass, up to the end of a run that is worth discarding.
void Discards::look(Tier& tier, SlotMap& slots, std::uint64_t now_ns) noexcept {
  const std::uint32_t end = tier.next + std::min(slots.size() - tier.next, kSlotsAStep);
  while (tier.next < end) {
    const bool aged = slots.mark_aged(Slot(tier.next)) == FreeMark::kAged;
    if (aged && tier.run < tier.most) {
      ++tier.run;
      ++tier.next;
      continue;
    }
    if (tier.run >= tier.least) return begin(tier, slots);
    if (!aged) ++tier.next;
    tier.run = 0;
  }
  if (tier.next < slots.size()) return;
  if (tier.run >= tier.least) return begin(tier, slots);
  tier.next = 0;
  tier.run = 0;
  tier.due_ns = now_ns + kPauseNs;
}

// Those of the run that are free still.
void Discards::begin(Tier& tier, SlotMap& slots) noexcept {
  const std::uint32_t spare = slots.free_count() / 4;
  const std::uint32_t first = tier.next - tier.run;
  const std::uint32_t count = std::min(tier.run, spare);
  tier.run = 0;
  if (count < tier.least) return;
  tier.next = first + count;  // the pass goes on with the rest of the run
  const std::size_t taken = slots.take_among(first, first + count, {tier.taken.data(), count});
  tier.named.clear();
  for (const std::uint32_t slot : std::span(tier.taken).first(taken)) tier.named.emplace_back(slot);
  if (tier.discarder->begin(tier.named)) {
    tier.under_way = true;
  } else {
    slots.free_discarded(tier.named);  // its devices do not want to know: not to be asked again for these
  }
}

void Discards::finish(Tier& tier, SlotMap& slots) noexcept {
  slots.free_discarded(tier.named);
  tier.discarded.fetch_add(tier.named.size(), std::memory_order_relaxed);
  tier.under_way = false;
}

std::uint64_t Discards::due_ns() const noexcept {
  std::uint64_t due = Policy::kNever;
  for (const Tier& tier : tiers_) {
    if (tier.discarder != nullptr) due = std::min(due, tier.due_ns);
  }
  return due;
}

}  // namespace kelvin
