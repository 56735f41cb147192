// Table and slots under threads: who looks up while others insert and erase reads the right bytes.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "core_parts.h"

namespace kelvin {
namespace {

using testing::kFirst;
using testing::PlainTier;

constexpr std::uint64_t kChains = 6;  // one a writer's, the others nobody's
constexpr std::uint64_t kWriters = 2;
constexpr std::uint32_t kLength = 12;

BlockKey key_of(std::uint64_t chain, std::uint64_t depth) { return {chain * 0x9E3779B97F4A7C15, depth}; }

// A small table, so that records, slots and places in buckets change hands all the time. The bytes of a slot
// are plain memory: a pin that did not keep them would be a data race as well.
class TableThreads : public ::testing::Test {
 protected:
  TableThreads() : tier_("a", kLength * (kChains + 1)), bytes_(tier_.info().slots) {
    const std::array<const TierInfo*, 1> infos = {&tier_.info()};
    residency_ = testing::make_residency(tier_.info().slots, infos);
  }

  BlockId insert(const BlockKey& key, BlockId parent, std::uint32_t depth) {
    SlotMap& slots = residency_->slots(kFirst);
    Slot slot;
    if (slots.take_held({&slot, 1}) == 0) return BlockId{};
    bytes_[slot.value] = key;
    const auto offer = residency_->table().offer(key, parent, depth, kFirst, slot);
    if (!offer.ok() || offer->known) return BlockId{};
    slots.publish(slot, offer->block);
    return offer->block;  // pinned
  }
  void unpin(BlockId block) {
    residency_->slots(kFirst).unpin(residency_->table().record(block).copy(kFirst));
  }

  // Whether it could be dropped; readers may have pinned it.
  bool erase(BlockId block, std::atomic<std::uint32_t>& forgotten) {
    SlotMap& slots = residency_->slots(kFirst);
    const Slot slot = residency_->table().record(block).copy(kFirst);
    if (!slots.start_drop(slot, block)) return false;
    residency_->table().detach(block, kFirst, [&](BlockId) { ++forgotten; });
    slots.free({&slot, 1});
    return true;
  }

  std::vector<BlockId> insert_chain(std::uint64_t chain) {
    std::vector<BlockId> ids;
    for (std::uint32_t i = 0; i < kLength; ++i)
      ids.push_back(insert(key_of(chain, i), i == 0 ? BlockId{} : ids.back(), i));
    return ids;
  }

  void read(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<BlockKey> keys(kLength);
    std::vector<BlockId> ids(kLength);
    do {
      const std::uint64_t chain = random() % kChains;
      for (std::uint64_t i = 0; i < kLength; ++i) keys[i] = key_of(chain, i);
      const std::size_t known = residency_->find_prefix(keys, ids);
      if (chain >= kWriters && known != kLength) ++missed_;
      for (std::size_t i = 0; i < known; ++i) {
        const Slot slot = residency_->pin(ids[i], keys[i], kFirst);
        if (!slot) continue;  // erased since
        if (bytes_[slot.value] != keys[i]) ++wrong_;
        if (chain < kWriters) ++read_;
        residency_->slots(kFirst).unpin(slot);
      }
    } while (!end_);
  }

  // Makes a chain and takes it apart again, from its end or (leaving ghosts) in any order.
  void write(std::uint64_t chain) {
    std::mt19937 random(static_cast<std::uint32_t>(chain));
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      std::vector<BlockId> ids = insert_chain(chain);
      for (const BlockId id : ids) {
        if (!id) return;
        unpin(id);
      }
      const std::uint32_t seen = read_;
      while (round % 50 == 0 && read_ == seen) std::this_thread::yield();
      while (!ids.empty()) {
        const std::size_t i = round % 2 == 0 ? ids.size() - 1 : random() % ids.size();
        if (erase(ids[i], forgotten_)) ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i));
      }
      ++rounds_;
    }
  }

  static constexpr std::uint32_t kRounds = 400;

  PlainTier tier_;
  std::vector<BlockKey> bytes_;
  std::unique_ptr<Residency> residency_;
  std::atomic<bool> end_{false};
  std::atomic<std::uint32_t> missed_{0}, wrong_{0}, read_{0}, forgotten_{0}, rounds_{0};
};

TEST_F(TableThreads, ReadersAreRightWhileWritersInsertAndErase) {
  for (std::uint64_t chain = kWriters; chain < kChains; ++chain) {
    for (const BlockId id : insert_chain(chain)) {
      ASSERT_TRUE(id);
      unpin(id);
    }
  }
  std::vector<std::thread> writers, readers;
  for (std::uint32_t i = 0; i < 3; ++i) readers.emplace_back([this, i] { read(i); });
  for (std::uint64_t chain = 0; chain < kWriters; ++chain)
    writers.emplace_back([this, chain] { write(chain); });
  for (std::thread& thread : writers) thread.join();
  end_ = true;
  for (std::thread& thread : readers) thread.join();
  EXPECT_EQ(wrong_, 0u);
  EXPECT_EQ(missed_, 0u) << "a key that stays is always found";
  EXPECT_EQ(rounds_, kWriters * kRounds) << "a writer found no slot or record";
  EXPECT_EQ(forgotten_, kWriters * kRounds * kLength);
  EXPECT_EQ(residency_->table().size(), (kChains - kWriters) * kLength);
}

TEST_F(TableThreads, OneOfManyThatLetARecordGoEndsIt) {
  constexpr std::uint64_t kBlocks = 1500;
  std::atomic<std::uint32_t> ended{0}, guarded{0};
  std::atomic<std::uint64_t> newest{0};
  const auto guard = [&] {
    while (newest <= kBlocks) {
      const BlockId block = residency_->table().guard(key_of(1, newest));
      if (!block) continue;
      ++guarded;
      residency_->table().unguard(block, [&](BlockId) { ++ended; });
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int i = 0; i < 3; ++i) threads.emplace_back(guard);
  for (std::uint64_t n = 1; n <= kBlocks; ++n) {
    const BlockId block = insert(key_of(1, n), BlockId{}, 0);
    EXPECT_TRUE(block);
    unpin(block);
    newest = n;
    const std::uint32_t seen = guarded;
    while (n % 100 == 0 && guarded == seen) std::this_thread::yield();
    EXPECT_TRUE(erase(block, ended));
  }
  newest = kBlocks + 1;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, kBlocks);
  EXPECT_EQ(residency_->table().size(), 0u);
}

// Two threads offer each key in the same moment.
TEST(TableOffers, OfTwoForOneKeyOneMakesTheBlock) {
  constexpr std::uint32_t kKeys = 1500;
  auto table = testing::made(Table::make(kKeys, 1));
  std::atomic<std::uint32_t> made{0}, known{0}, arrived{0};
  const auto offer_all = [&] {
    for (std::uint32_t n = 0; n < kKeys; ++n) {
      ++arrived;
      for (int spins = 0; arrived < 2 * (n + 1); ++spins) {
        if (spins > 200) std::this_thread::yield();
      }
      const auto offer = table->offer(key_of(99, n), BlockId{}, 0, kFirst, Slot(0));
      if (offer.ok()) ++(offer->known ? known : made);
    }
  };
  std::thread other(offer_all);
  offer_all();
  other.join();
  EXPECT_EQ(made, kKeys);
  EXPECT_EQ(known, kKeys);
  EXPECT_EQ(table->size(), kKeys);
}

}  // namespace
}  // namespace kelvin
