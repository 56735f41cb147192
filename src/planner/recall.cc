// See recall.h.
#include "planner/recall.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace kelvin {
namespace {

constexpr std::uint32_t kSlotsAStep = 32'768;  // looked at
constexpr std::size_t kEntriesAStep = 1024;
constexpr std::size_t kBatch = 256;
constexpr std::size_t kAhead = 8;  // entries whose cache lines are on their way

}  // namespace

Recall::Recall(Residency& residency, TierIndex tier, const Ledger& ledger)
    : residency_(residency),
      tier_(tier),
      ledger_(ledger),
      entered_(residency.table().capacity()),
      orphans_(residency.table().capacity()) {
  entries_.reserve(residency.slots(tier).size());
  turns_.reserve(residency.slots(tier).size());
  placed_.reserve(kEntriesAStep);
}

std::span<const BlockId> Recall::step(const Forgotten& forgotten) noexcept {
  placed_.clear();
  switch (phase_) {
    case Phase::kCollect: collect(); break;
    case Phase::kEnter: enter_some(forgotten); break;
    case Phase::kPlace: place_some(forgotten); break;
    case Phase::kGiveUp: give_up_some(); break;
    case Phase::kFinished: break;
  }
  return placed_;
}

void Recall::end(const Forgotten& forgotten) noexcept {
  const std::span<const Turn> all(turns_);
  std::span<const Turn> guarded;
  if (phase_ == Phase::kEnter) guarded = all.first(next_);
  if (phase_ == Phase::kPlace) guarded = all.subspan(next_);
  for (const Turn& turn : guarded) {
    if (const BlockId block = entries_[turn.entry].block) residency_.table().unguard(block, forgotten);
  }
  phase_ = Phase::kFinished;
}

void Recall::collect() noexcept {
  const SlotMap& slots = residency_.slots(tier_);
  const std::uint32_t last = next_slot_ + std::min(kSlotsAStep, slots.size() - next_slot_);
  std::array<Remembered, kBatch> batch;
  while (next_slot_ < last) {
    const std::size_t n = ledger_.recall(next_slot_, batch);
    for (const Remembered& what : std::span(batch).first(n)) {
      // Another slot's entry is that of a copy made since the tier is in use.
      if (slots.word(what.slot).state() == SlotState::kKept) entries_.push_back({what, BlockId{}});
    }
  }
  if (next_slot_ < slots.size()) return;
  take_turns_by_prefix();
  phase_ = Phase::kEnter;
}

// The less deep first; among equals, of which few can have one key, the newest.
void Recall::take_turns_by_prefix() noexcept {
  constexpr int kAgeBits = 48;
  constexpr std::uint64_t kAges = (std::uint64_t{1} << kAgeBits) - 1;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const Remembered& what = entries_[i].what;
    const std::uint64_t depth = std::min(what.depth, BlockRecord::kMaxDepth);
    turns_.push_back({depth << kAgeBits | (kAges - std::min(what.written, kAges)), i});
  }
  std::ranges::sort(turns_, {}, &Turn::rank);
}

// Where turns jump about in memory, what they need is on its way.
void Recall::prefetch(std::size_t i) noexcept {
  if (i + 2 * kAhead < turns_.size()) __builtin_prefetch(&turn(i + 2 * kAhead), 1);
  if (i + kAhead >= turns_.size()) return;
  const Entry& ahead = turn(i + kAhead);
  if (phase_ == Phase::kEnter) {
    residency_.table().prefetch(ahead.what.key);
    residency_.table().prefetch(ahead.what.parent);
  } else if (ahead.block) {
    __builtin_prefetch(&residency_.table().record(ahead.block), 1);
  }
}

void Recall::enter_some(const Forgotten& forgotten) noexcept {
  Table& table = residency_.table();
  const std::size_t last = std::min(turns_.size(), next_ + kEntriesAStep);
  for (; next_ < last; ++next_) {
    prefetch(next_);
    Entry& entry = turn(next_);
    const BlockId parent = entry.what.has_parent ? table.guard(entry.what.parent) : BlockId{};
    if (!enter(entry, parent) && entry.block) {
      table.unguard(entry.block, forgotten);
      entry.block = BlockId{};
    }
    if (parent) table.unguard(parent, forgotten);
  }
  if (next_ < turns_.size()) return;
  take_turns_by_age();
  next_ = 0;
  phase_ = Phase::kPlace;
}

bool Recall::enter(Entry& entry, BlockId parent) noexcept {
  const auto offer = residency_.table().enter(entry.what.key, parent, entry.what.depth);
  if (!offer.ok()) return false;  // the table is smaller than it was, or full
  entry.block = offer->block;
  if (entered_[entry.block.value]) return false;  // a newer slot has it
  entered_[entry.block.value] = true;
  if (parent ? orphans_[parent.value] : entry.what.depth != 0) orphans_[entry.block.value] = true;
  return true;
}

void Recall::take_turns_by_age() noexcept {
  for (Turn& turn : turns_) {
    const Entry& entry = entries_[turn.entry];
    turn.rank = entry.block && !orphans_[entry.block.value] ? entry.what.written : 0;
  }
  std::ranges::sort(turns_, {}, &Turn::rank);
}

void Recall::place_some(const Forgotten& forgotten) noexcept {
  Table& table = residency_.table();
  const std::size_t last = std::min(turns_.size(), next_ + kEntriesAStep);
  for (; next_ < last; ++next_) {
    prefetch(next_);
    const Entry& entry = turn(next_);
    if (!entry.block) continue;
    if (place(entry)) placed_.push_back(entry.block);
    table.unguard(entry.block, forgotten);
  }
  if (next_ < turns_.size()) return;
  next_slot_ = residency_.slots(tier_).size();
  phase_ = Phase::kGiveUp;
}

bool Recall::place(const Entry& entry) noexcept {
  if (!add_copy(entry)) return false;
  BlockRecord& record = residency_.table().record(entry.block);
  record.checksum.store(entry.what.checksum, std::memory_order_relaxed);
  record.state.fetch_or(BlockRecord::kChecksumKnown, std::memory_order_release);
  [[maybe_unused]] const bool was_kept = residency_.slots(tier_).restore(entry.what.slot, entry.block);
  assert(was_kept);
  return true;
}

// Where the block has copies, their bytes have to be the same. They stay what they are meanwhile: copies are
// dropped under the planner's lock alone.
bool Recall::add_copy(const Entry& entry) noexcept {
  Table& table = residency_.table();
  const Slot slot = entry.what.slot;
  if (table.revive(entry.block, tier_, slot, residency_.online_mask())) return true;
  const BlockRecord& record = table.record(entry.block);
  const bool known = (record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0;
  const bool same = known && record.checksum.load(std::memory_order_relaxed) == entry.what.checksum;
  return same && table.attach(entry.block, tier_, slot);
}

// From the last one on: low slots are taken first.
void Recall::give_up_some() noexcept {
  const std::uint32_t count = std::min(kSlotsAStep, next_slot_);
  next_slot_ -= count;
  residency_.slots(tier_).give_up(Slot(next_slot_), count);
  if (next_slot_ == 0) phase_ = Phase::kFinished;
}

}  // namespace kelvin
