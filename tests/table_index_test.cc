// Index: crowded buckets, full shards, and look-ups of whole prefixes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "core_parts.h"
#include "table/index.h"
#include "table/table.h"

namespace kelvin {
namespace {

using testing::kFirst;
using testing::made;

BlockKey key_of(std::uint64_t n) { return {n * 0x9E3779B97F4A7C15, ~n}; }

TEST(Bucket, KeepsTagsAndIdsOfAllEntriesApart) {
  Bucket bucket{};
  bucket.set_overflow(0xFFFF'FFFF);
  for (unsigned e = 0; e < Bucket::kEntries; ++e) {
    bucket.set_id(e, 0xABCD0000 + e);
    bucket.set_tag(e, static_cast<std::uint16_t>(e % 2 == 0 ? 0xFFFF : 0x8000 + e));
  }
  for (unsigned e = 0; e < Bucket::kEntries; ++e) {
    EXPECT_EQ(bucket.id(e), 0xABCD0000 + e);
    EXPECT_EQ(bucket.tag(e), e % 2 == 0 ? 0xFFFF : 0x8000 + e);
  }
  EXPECT_EQ(bucket.overflow(), 0xFFFF'FFFF);
  bucket.set_overflow(1);
  EXPECT_EQ(bucket.overflow(), 1u);
  EXPECT_EQ(bucket.tag(0), 0xFFFF);
}

// A wrong candidate is only slow; a missed one is a block lost.
TEST(Bucket, NeverMissesAnEntryWithTheTagAskedFor) {
  std::mt19937 random(1);
  constexpr std::array<std::uint16_t, 6> kTags = {0, 1, 2, 0x7FFF, 0x8000, 0xFFFF};  // where borrows go wrong
  for (int round = 0; round < 2000; ++round) {
    Bucket bucket{};
    bucket.set_overflow(round % 3 == 0 ? 0 : static_cast<std::uint32_t>(random()));
    for (unsigned e = 0; e < Bucket::kEntries; ++e) bucket.set_tag(e, kTags[random() % kTags.size()]);
    for (const std::uint16_t tag : kTags) {
      const unsigned candidates = bucket.candidates(tag);
      EXPECT_LT(candidates, 1u << Bucket::kEntries);
      for (unsigned e = 0; e < Bucket::kEntries; ++e) {
        if (bucket.tag(e) != tag) continue;
        EXPECT_NE(candidates >> e & 1, 0u) << "entry " << e << " with tag " << tag;
      }
    }
  }
}

// The smallest index: eight buckets, so that eighty keys crowd into each other's.
class CrowdedIndex : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kRoom = 80;

  CrowdedIndex()
      : records_(made(HugeArray<BlockRecord>::make(kRoom + 1))), index_(made(Index::make(1, 5, &records_))) {}

  bool insert(std::uint64_t n, std::uint32_t id) {
    BlockRecord& record = records_[id];
    record.key_hi = key_of(n).hi;
    record.key_lo = key_of(n).lo;
    record.state = static_cast<std::uint16_t>((record.state + BlockRecord::kGeneration) | BlockRecord::kLive);
    return index_.insert(key_of(n), BlockId(id));
  }
  void erase(std::uint64_t n, std::uint32_t id) {
    index_.erase(key_of(n), BlockId(id));
    records_[id].state &= static_cast<std::uint16_t>(~BlockRecord::kLive);
  }

  HugeArray<BlockRecord> records_;
  Index index_;
};

TEST_F(CrowdedIndex, TakesAKeyForEachPlaceAndRefusesTheNext) {
  for (std::uint32_t n = 0; n < kRoom; ++n) ASSERT_TRUE(insert(n, n));
  EXPECT_FALSE(insert(kRoom, kRoom));
  for (std::uint32_t n = 0; n < kRoom; ++n) EXPECT_EQ(index_.find(key_of(n)), BlockId(n));
  EXPECT_FALSE(index_.find(key_of(kRoom)));
}

TEST_F(CrowdedIndex, ErasingOneKeyHidesNoOther) {
  std::mt19937 random(2);
  std::vector<std::uint64_t> in_use(kRoom, 0);  // by id, 0: none
  std::uint64_t next = 1;
  for (int step = 0; step < 20'000; ++step) {
    const auto id = static_cast<std::uint32_t>(random() % kRoom);
    if (in_use[id] == 0) {
      ASSERT_TRUE(insert(next, id)) << "there is a place for each id";
      in_use[id] = next++;
    } else {
      erase(in_use[id], id);
      EXPECT_FALSE(index_.find(key_of(in_use[id])));
      in_use[id] = 0;
    }
    if (step % 16 != 0) continue;
    for (std::uint32_t i = 0; i < kRoom; ++i) {
      if (in_use[i] == 0) continue;
      ASSERT_EQ(index_.find(key_of(in_use[i])), BlockId(i)) << "step " << step;
    }
  }
}

TEST(Index, KeysThatPileUpInOneShardAreRefusedAndTheRecordIsGivenBack) {
  constexpr std::uint32_t kBlocks = 1u << 16;  // four shards
  constexpr std::uint64_t kSeed = 9;
  auto table = made(Table::make(kBlocks, kSeed));
  const auto no_records = made(HugeArray<BlockRecord>::make(kBlocks));
  Index twin = made(Index::make(kBlocks, kSeed, &no_records));  // hashes as the table's does
  const Index::Shard* crowded = &twin.shard_of(key_of(0));
  Status refused;
  BlockKey refused_key;
  std::vector<BlockKey> taken;
  for (std::uint64_t n = 0; refused.ok() && n < 8 * kBlocks; ++n) {
    if (&twin.shard_of(key_of(n)) != crowded) continue;
    const auto offer = table->offer(key_of(n), BlockId{}, 0, kFirst, Slot(0));
    refused = offer.status();
    refused_key = key_of(n);
    if (offer.ok()) taken.push_back(key_of(n));
  }
  EXPECT_EQ(refused.code(), Code::kFull);
  EXPECT_GT(taken.size(), kBlocks / 4) << "more than the shard's share";
  EXPECT_LT(taken.size(), kBlocks);
  EXPECT_EQ(table->size(), taken.size());
  EXPECT_FALSE(table->find(refused_key));
  EXPECT_EQ(std::count_if(taken.begin(), taken.end(), [&](const auto& key) { return !table->find(key); }), 0);
  const BlockId last = table->find(taken.back());
  table->detach(last, kFirst, [](BlockId) {});
  EXPECT_TRUE(table->offer(refused_key, BlockId{}, 0, kFirst, Slot(0)).ok());
}

TEST(Index, ANewSeedPutsKeysElsewhere) {
  const auto records = made(HugeArray<BlockRecord>::make(1));
  Index one = made(Index::make(1u << 18, 1, &records));
  Index two = made(Index::make(1u << 18, 2, &records));
  const auto number = [](Index& index, std::uint64_t n) {
    return &index.shard_of(key_of(n)) - &index.shard_of(key_of(0));
  };
  int moved = 0;
  for (std::uint64_t n = 1; n < 1000; ++n) moved += number(one, n) != number(two, n) ? 1 : 0;
  EXPECT_GT(moved, 500);
}

std::size_t naive_prefix(const Table& table, const std::vector<BlockKey>& keys, std::vector<BlockId>& ids) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ids[i] = table.find(keys[i]);
    if (!ids[i]) return i;
  }
  return keys.size();
}

TEST(Index, APrefixIsFoundAsKeyByKey) {
  constexpr std::uint32_t kBlocks = 5000;
  auto table = made(Table::make(kBlocks, 3));
  for (std::uint64_t n = 0; n < kBlocks; ++n)
    ASSERT_TRUE(table->offer(key_of(n), BlockId{}, 0, kFirst, Slot(0)).ok());
  std::mt19937 random(4);
  for (const std::size_t size : {0u, 1u, 2u, 31u, 32u, 33u, 63u, 64u, 65u, 95u, 96u, 97u, 128u, 500u}) {
    for (int round = 0; round < 40; ++round) {
      std::vector<BlockKey> keys(size);
      for (BlockKey& key : keys) key = key_of(random() % kBlocks);
      // None missing, or one, or several.
      for (int missing = round % 4; missing > 0 && size > 0; --missing)
        keys[random() % size] = key_of(kBlocks + random());
      std::vector<BlockId> expected(size), ids(size + 3);
      const std::size_t known = naive_prefix(*table, keys, expected);
      ASSERT_EQ(table->find_prefix(keys, ids), known) << "of " << size;
      for (std::size_t i = 0; i < known; ++i) ASSERT_EQ(ids[i], expected[i]);
    }
  }
}

// One unknown key in ten thousand looks, by its tag, like a block that is there.
TEST(Index, APrefixDoesNotBeginWithABlockThatOnlyLooksAlike) {
  constexpr std::uint32_t kBlocks = 5000;
  auto table = made(Table::make(kBlocks, 3));
  for (std::uint64_t n = 0; n < kBlocks; ++n)
    ASSERT_TRUE(table->offer(key_of(n), BlockId{}, 0, kFirst, Slot(0)).ok());
  std::size_t found = 0;
  for (std::uint64_t n = kBlocks; n < kBlocks + 200'000; ++n) {
    const BlockKey key = key_of(n);
    BlockId id;
    found += table->find_prefix({&key, 1}, {&id, 1});
  }
  EXPECT_EQ(found, 0u);
}

}  // namespace
}  // namespace kelvin
