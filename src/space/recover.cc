// Blocks that persistent tiers held before the space was opened: into the table, the slots and the policy.
//
//   1. What the tiers' ledgers say is collected, parents before children, of one key the newest first.
//   2. Each block gets a record, or a further copy in the one it has. What contradicts that is forgotten.
//   3. The policy hears of all copies in the order in which they were written, of orphans before all others:
//      what no prefix leads to is the first to go.
//
// Nothing is read but the ledgers: whether the bytes are right shows when a block is loaded, by its checksum.
#include <algorithm>
#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include "space/core.h"

namespace kelvin {
namespace {

constexpr std::size_t kBatch = 256;

struct Restored {
  std::uint64_t written = 0;  // Remembered's; 0: an orphan
  BlockId block;
};

std::vector<Remembered> collect(const Ledger& ledger, std::uint32_t slots) {
  std::vector<Remembered> all;
  std::array<Remembered, kBatch> batch;
  for (std::uint32_t next = 0; next < slots;) {
    const std::size_t n = ledger.recall(next, batch);
    all.insert(all.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(n));
  }
  std::ranges::sort(all, [](const Remembered& a, const Remembered& b) {
    return std::pair(a.depth, b.written) < std::pair(b.depth, a.written);
  });
  return all;
}

// One persistent tier's blocks, on their way into the table.
class Restorer {
 public:
  Restorer(Residency& residency, TierIndex tier, Ledger& ledger)
      : residency_(residency), tier_(tier), ledger_(ledger), orphans_(residency.table().capacity()) {}

  std::vector<Restored> run() {
    SlotMap& slots = residency_.slots(tier_);
    const std::vector<Remembered> all = collect(ledger_, slots.size());
    restored_.reserve(all.size());
    slots.withhold();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i + kAhead < all.size()) {
        residency_.table().prefetch(all[i + kAhead].key);
        residency_.table().prefetch(all[i + kAhead].parent);
      }
      if (!restore(all[i])) ledger_.forget({&all[i].slot, 1});
    }
    slots.give_rest();
    std::ranges::sort(restored_, {}, &Restored::written);
    return std::move(restored_);
  }

 private:
  static constexpr std::size_t kAhead = 8;

  bool restore(const Remembered& entry) {
    Table& table = residency_.table();
    const BlockId parent = entry.has_parent ? table.find(entry.parent) : BlockId{};
    const auto offer = table.offer(entry.key, parent, entry.depth, tier_, entry.slot);
    if (!offer.ok()) return false;  // the table is smaller than it was
    const BlockId block = offer->block;
    if (offer->known && !add_copy(block, entry)) return false;
    BlockRecord& record = table.record(block);
    record.checksum.store(entry.checksum, std::memory_order_relaxed);
    record.state.fetch_or(BlockRecord::kChecksumKnown, std::memory_order_release);
    [[maybe_unused]] const bool was_free = residency_.slots(tier_).restore(entry.slot, block);
    assert(was_free);
    if (parent ? orphans_[parent.value] : entry.depth != 0) orphans_[block.value] = true;
    restored_.push_back({orphans_[block.value] ? 0 : entry.written, block});
    return true;
  }

  // Another tier, or a newer slot of this one, holds the block already.
  bool add_copy(BlockId block, const Remembered& entry) {
    Table& table = residency_.table();
    const BlockRecord& record = table.record(block);
    const bool known = (record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0;
    const bool same = !known || record.checksum.load(std::memory_order_relaxed) == entry.checksum;
    const bool added = same && table.attach(block, tier_, entry.slot);
    table.unguard(block, [](BlockId) { assert(false); });  // it has a copy
    return added;
  }

  Residency& residency_;
  const TierIndex tier_;
  Ledger& ledger_;
  std::vector<bool> orphans_;  // by block: no prefix leads to it
  std::vector<Restored> restored_;
};

}  // namespace

// Precondition: nobody uses the space yet.
void Core::recover() {
  for (std::uint8_t t = 0; t < topology_->tiers(); ++t) {
    const TierIndex tier(t);
    Ledger* const ledger = topology_->tier(tier).info().ledger;
    if (ledger == nullptr) continue;
    const std::vector<Restored> restored = Restorer(*residency_, tier, *ledger).run();
    recovered_[t] = static_cast<std::uint32_t>(restored.size());
    std::array<Event, kBatch> events;
    for (std::size_t at = 0; at < restored.size(); at += kBatch) {
      const std::size_t n = std::min(kBatch, restored.size() - at);
      for (std::size_t i = 0; i < n; ++i) {
        events[i].kind = EventKind::kArrive;
        events[i].tier = tier;
        events[i].block = restored[at + i].block;
        events[i].time_ns = now();
      }
      planner_->record({events.data(), n});
    }
  }
}

}  // namespace kelvin
