// See pins.h.
#include "planner/pins.h"

#include <algorithm>
#include <new>

namespace kelvin {

Status Pins::open(std::uint32_t blocks, const std::array<std::uint32_t, kMaxTiers>& limit,
                  TierIndex last) noexcept {
  auto entries = HugeArray<Entry>::make(blocks);
  if (!entries.ok()) return entries.status();
  entries_ = std::move(entries).value();
  limit_ = limit;
  last_ = last;
  return Status();
}

bool Pins::fits() const noexcept {
  for (std::size_t t = 0; t < limit_.size(); ++t) {
    if (bound_[t] + (t == last_.value ? loose_ : 0) > limit_[t]) return false;
  }
  return loose_ == 0 || last_;
}

// What the counts would be, without changing anything. A block may stand in the range twice.
bool Pins::would_fit(std::span<const BlockId> blocks, TierIndex tier, std::size_t* added) noexcept {
  const auto bound = bound_;
  const std::uint32_t loose = loose_;
  for (const BlockId block : blocks) {
    Entry& entry = entries_[block.value];
    if (entry.counted != 0) continue;
    entry.counted = 1;
    if (entry.until_s != 0) --counter(tier_of(entry));
    if (entry.until_s == 0) ++*added;
    ++counter(tier);
  }
  for (const BlockId block : blocks) entries_[block.value].counted = 0;
  const bool good = fits();
  bound_ = bound;
  loose_ = loose;
  return good && list_.size() + *added <= kMostPins;
}

Status Pins::pin(std::span<const BlockId> blocks, TierIndex tier, std::uint64_t duration_s,
                 std::uint64_t now_ns) noexcept {
  end_old(now_ns);
  constexpr std::uint64_t kEnd = ~std::uint32_t{0};
  const std::uint64_t until_s = now_ns / 1'000'000'000 + 1 + std::min(duration_s, kEnd);
  std::size_t added = 0;
  if (!would_fit(blocks, tier, &added))
    return Status(Code::kFull, "pin: more blocks than the tier's pin_share allows; unpin others first");
  try {
    list_.reserve(list_.size() + added);
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "pin: no memory for the list of pins");
  }
  for (const BlockId block : blocks) set(block, tier, static_cast<std::uint32_t>(std::min(until_s, kEnd)));
  return Status();
}

void Pins::set(BlockId block, TierIndex tier, std::uint32_t until_s) noexcept {
  Entry& entry = entries_[block.value];
  if (entry.until_s == 0) {
    soonest_s_ = list_.empty() ? until_s : std::min(soonest_s_, until_s);
    entry.place = static_cast<std::uint32_t>(list_.size()) & (kMostPins - 1);
    list_.push_back(block);
  } else {
    --counter(tier_of(entry));
  }
  entry.until_s = std::max(entry.until_s, until_s);
  entry.tier = (tier ? tier.value : kLoose) & 15;
  ++counter(tier);
}

void Pins::unpin(BlockId block) noexcept {
  Entry& entry = entries_[block.value];
  if (entry.until_s == 0) return;
  --counter(tier_of(entry));
  const std::uint32_t place = entry.place;
  entry = {};
  const BlockId moved = list_.back();
  list_.pop_back();
  if (moved == block) return;
  list_[place] = moved;
  entries_[moved.value].place = place & (kMostPins - 1);
}

void Pins::end_old(std::uint64_t now_ns) noexcept {
  const std::uint64_t now_s = now_ns / 1'000'000'000;
  if (list_.empty() || now_s < soonest_s_) return;
  std::size_t kept = 0;
  std::uint32_t soonest = ~std::uint32_t{0};
  for (const BlockId block : list_) {
    Entry& entry = entries_[block.value];
    if (entry.until_s > now_s) {
      soonest = std::min(soonest, entry.until_s);
      entry.place = static_cast<std::uint32_t>(kept) & (kMostPins - 1);
      list_[kept++] = block;
      continue;
    }
    --counter(tier_of(entry));
    entry = {};
  }
  list_.resize(kept);
  soonest_s_ = soonest;
}

void Pins::end_in(TierIndex last) noexcept {
  last_ = last;
  for (std::size_t i = list_.size(); i-- > 0 && !fits();) {
    if (entries_[list_[i].value].tier == kLoose) unpin(list_[i]);
  }
}

std::uint32_t Pins::count(std::uint64_t now_ns) noexcept {
  end_old(now_ns);
  return static_cast<std::uint32_t>(list_.size());
}

}  // namespace kelvin
