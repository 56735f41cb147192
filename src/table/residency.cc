// See residency.h.
#include "table/residency.h"

namespace kelvin {

std::size_t Residency::find_prefix(std::span<const BlockKey> keys, std::span<BlockId> ids) const noexcept {
  const std::size_t known = table_->find_prefix(keys, ids);
  for (const BlockId id : ids.first(known)) {
    const BlockRecord& record = table_->record(id);
    for (std::uint8_t t = 0; t < slots_.size(); ++t) {
      const Slot slot = record.copy(TierIndex(t));
      if (!slot) continue;
      slots_[t]->prefetch(slot);
      break;  // the nearest is what is looked at first, and mostly last
    }
  }
  return known;
}

std::uint32_t Residency::readable(BlockId block) const noexcept {
  const BlockRecord& record = table_->record(block);
  std::uint32_t mask = 0;
  for (std::uint8_t t = 0; t < slots_.size(); ++t) {
    const Slot slot = record.copy(TierIndex(t));
    if (!slot) continue;
    const SlotWord word = slots_[t]->word(slot);
    if (word.state() == SlotState::kResident && word.block() == block) mask |= 1u << t;
  }
  return mask & online_mask();
}

TierIndex Residency::nearest(BlockId block) const noexcept {
  const BlockRecord& record = table_->record(block);
  const std::uint32_t online = online_mask();
  for (std::uint8_t t = 0; t < slots_.size(); ++t) {
    const Slot slot = record.copy(TierIndex(t));
    if (!slot || (online >> t & 1) == 0) continue;
    const SlotWord word = slots_[t]->word(slot);
    if (word.state() == SlotState::kResident && word.block() == block) return TierIndex(t);
  }
  return kNoTier;
}

Slot Residency::pin(BlockId block, const BlockKey& key, TierIndex tier) noexcept {
  if (!online(tier)) return Slot{};
  const Slot slot = table_->record(block).copy(tier);
  if (!slot || !slots_[tier.value]->pin(slot, block)) return Slot{};
  if (table_->record(block).holds(key)) return slot;
  slots_[tier.value]->unpin(slot);
  return Slot{};
}

BlockState Residency::state(BlockId block) const noexcept {
  const BlockRecord& record = table_->record(block);
  BlockState state;
  state.key = record.key();
  state.parent = BlockId(record.parent.load(std::memory_order_relaxed));
  state.depth = record.depth.load(std::memory_order_relaxed);
  state.children = record.children.load(std::memory_order_relaxed);
  for (std::uint8_t t = 0; t < slots_.size(); ++t) {
    const Slot slot = record.copy(TierIndex(t));
    if (!slot) continue;
    const SlotWord word = slots_[t]->word(slot);
    if (word.state() != SlotState::kResident || word.block() != block) continue;
    state.tiers |= 1u << t;
    if (word.pins() != 0) state.leased |= 1u << t;
  }
  state.tiers &= online_mask();
  return state;
}

}  // namespace kelvin
