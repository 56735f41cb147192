// See residency.h.
#include "table/residency.h"

#include <bit>
#include <cassert>

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

std::uint32_t Residency::named(BlockId block) const noexcept {
  const BlockRecord& record = table_->record(block);
  std::uint32_t mask = 0;
  for (std::uint8_t t = 0; t < slots_.size(); ++t) {
    if (record.copy(TierIndex(t))) mask |= 1u << t;
  }
  return mask;
}

std::size_t Residency::locate(std::span<const BlockKey> keys, std::span<TierIndex> tiers) const noexcept {
  assert(keys.size() <= kLocateBatch && tiers.size() >= keys.size());
  std::array<BlockId, kLocateBatch> ids;
  const std::size_t known = table_->find_prefix(keys, ids);
  const std::uint32_t online = online_mask();
  for (std::size_t i = 0; i < known; ++i) {
    const std::uint32_t mask = named(ids[i]);
    const TierIndex first(static_cast<std::uint8_t>(std::countr_zero(mask)));
    tiers[i] = (mask & (mask - 1)) == 0 && (mask & online) != 0 ? first : kNoTier;
    if (tiers[i] || mask == 0) continue;
    if (const Slot slot = table_->record(ids[i]).copy(first)) slots_[first.value]->prefetch(slot);
  }
  for (std::size_t i = 0; i < known; ++i) {
    if (!tiers[i]) tiers[i] = nearest(ids[i]);
    if (!tiers[i]) return i;
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
