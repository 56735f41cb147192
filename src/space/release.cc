// release, drop, reclaim: see core.h.
#include "space/core.h"

namespace kelvin {

void Core::release(Hold* hold, const Hints& hints, std::span<const RetainRange> ranges) noexcept {
  const TierIndex tier = hold->tier;
  if (!ranges.empty()) static_cast<void>(keep_ranges(*hold, ranges));
  // Said while the pins still hold: no event of a copy follows its drop.
  if (!closed()) record_holds(*hold, EventKind::kRelease, hints);
  if (!closed() && mover_->in_use(*hold)) {
    part(hold);
    return;
  }
  let_go(*hold, residency_->slots(tier));
  if (!closed()) kick(tier);
  holds_->give(hold);
}

void Core::abandon(Hold* hold) noexcept {
  std::uint32_t loading = Hold::kLoading;
  if (hold->state.compare_exchange_strong(loading, Hold::kAbandoned, std::memory_order_acq_rel)) return;
  release(hold, hold->hints);
}

Status Core::drop(std::span<const BlockKey> keys, TierIndex tier) noexcept {
  if (closed()) return Status(Code::kUnavailable, "drop: the space is closed");
  if (tier && !has_tier(tier)) return Status(Code::kInvalid, "drop: no such tier");
  bool all = true;
  Table& table = residency_->table();
  for (std::size_t i = keys.size(); i-- > 0;) {  // deepest first: children before their parents
    const BlockId block = table.guard(keys[i]);
    if (!block) continue;
    for (std::uint8_t t = 0; t < topology_->tiers(); ++t) {
      if (tier && tier != TierIndex(t)) continue;
      if (!table.record(block).copy(TierIndex(t))) continue;
      if (planner_->drop({&block, 1}, TierIndex(t), DropReason::kCaller) == 0) all = false;
    }
    table.unguard(block, [this](BlockId gone) { planner_->forgotten(gone); });
  }
  return all ? Status() : Status(Code::kBusy, "drop: some copies are leased, pinned or being moved");
}

Status Core::reclaim(TierIndex tier, std::span<const Slot> slots) noexcept {
  if (closed()) return Status(Code::kUnavailable, "reclaim: the space is closed");
  if (!has_tier(tier) || !topology_->tier(tier).info().adopted) {
    return Status(Code::kInvalid, "reclaim: not an adopted tier");
  }
  const SlotMap& map = residency_->slots(tier);
  for (const Slot slot : slots) {
    if (slot.value >= map.size()) return Status(Code::kInvalid, "reclaim: no such slot");
    const SlotWord word = map.word(slot);
    if (word.state() == SlotState::kFree) continue;
    const BlockId block = word.block();
    if (word.state() != SlotState::kResident || planner_->drop({&block, 1}, tier, DropReason::kEngine) == 0) {
      return Status(Code::kBusy, "reclaim: a slot is leased or being moved");
    }
  }
  return Status();
}

}  // namespace kelvin
