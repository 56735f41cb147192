// What lies on the medium: golden bytes, geometry, and that every flipped bit is seen.
#include <gtest/gtest.h>

#include <cstring>

#include "tiers/nvme/format.h"
#include "tiers/nvme/slot_table.h"

namespace kelvin::nvme {
namespace {

template <class T>
std::string hex_of(const T& value, std::size_t first, std::size_t count) {
  std::string text;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  for (std::size_t i = first; i < first + count; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Uuid some_uuid() {
  Uuid uuid;
  for (std::size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::uint8_t>(0xA0 + i);
  return uuid;
}

Superblock some_superblock() {
  Superblock page;
  page.uuid = some_uuid();
  page.set = some_uuid();
  page.epoch = 7;
  page.layout = 0x1122'3344'5566'7788;
  page.block_bytes = 65536;
  page.block_tokens = 16;
  page.slots = 1000;
  page.table_offset = kTableOffset;
  page.data_offset = page.geometry().data_offset();
  page.owner = 42;
  std::memcpy(page.model.data(), "llama", 5);
  page.checksum = superblock_checksum(page);
  return page;
}

Record some_record(std::uint32_t slot) {
  Record record;
  record.key = {0x0102'0304'0506'0708, 0x090A'0B0C'0D0E'0F10};
  record.parent = {0x1112'1314'1516'1718, 0x191A'1B1C'1D1E'1F20};
  record.layout = 0x1122'3344'5566'7788;
  record.generation = 5;
  record.length = 65536;
  record.payload_checksum = 0xDEAD'BEEF;
  record.place = Record::kHasParent | 3;
  record.checksum = record_checksum(record, slot, some_uuid());
  return record;
}

// Both sums were computed by another implementation of crc32c.
TEST(NvmeFormat, ASuperblockHasTheseBytes) {
  const Superblock page = some_superblock();
  EXPECT_EQ(hex_of(page, 0, 112),
            "4b454c56494e424b"
            "02000000"
            "00000000"  // magic, version, flags
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"  // uuid, set
            "00000000"
            "01000000"
            "0700000000000000"  // member, members, epoch
            "8877665544332211"
            "0000010000000000"
            "10000000"
            "e8030000"  // layout, blocks, slots
            "0010100000000000"
            "0000200000000000"
            "2a000000"
            "a31b9ea0");
}

TEST(NvmeFormat, ARecordHasTheseBytes) {
  EXPECT_EQ(hex_of(some_record(9), 0, 64),
            "0807060504030201"
            "100f0e0d0c0b0a09"
            "1817161514131211"
            "201f1e1d1c1b1a19"  // key, parent
            "8877665544332211"
            "0500000000000000"
            "00000100"
            "efbeadde"
            "03000100"
            "6a64eab6");
}

TEST(NvmeFormat, EveryFlippedBitOfASuperblockIsSeen) {
  Superblock page = some_superblock();
  auto* bytes = reinterpret_cast<std::uint8_t*>(&page);
  for (std::size_t bit = 0; bit < 8 * sizeof page; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    ASSERT_NE(examine(page), PageState::kGood) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_EQ(examine(page), PageState::kGood);
}

TEST(NvmeFormat, EveryFlippedBitOfARecordAndAnyOtherPlaceIsSeen) {
  Record record = some_record(9);
  auto* bytes = reinterpret_cast<std::uint8_t*>(&record);
  for (std::size_t bit = 0; bit < 8 * sizeof record; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    ASSERT_NE(record.checksum, record_checksum(record, 9, some_uuid())) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_EQ(record.checksum, record_checksum(record, 9, some_uuid()));
  EXPECT_NE(record.checksum, record_checksum(record, 10, some_uuid())) << "misdirected";
  Uuid other = some_uuid();
  other[15] ^= 1;
  EXPECT_NE(record.checksum, record_checksum(record, 9, other)) << "of an earlier format";
}

TEST(NvmeFormat, SuperblocksWhoseFieldsContradictEachOtherAreSeen) {
  EXPECT_TRUE(consistent(some_superblock()));
  const auto broken = [](auto&& change) {
    Superblock page = some_superblock();
    change(page);
    return !consistent(page);
  };
  EXPECT_TRUE(broken([](Superblock& p) { p.block_bytes = 0; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.block_bytes = 1000; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.block_bytes = 1ULL << 40; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.slots = 0; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.members = 0; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.member = 1; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.table_offset = 0; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.data_offset += kPageBytes; }));
  EXPECT_TRUE(broken([](Superblock& p) { p.flags = Superblock::kScratch; }));
}

TEST(NvmeFormat, GeometryFillsTheCapacityAndNeverExceedsIt) {
  for (const std::uint64_t block : {4096ULL, 65536ULL, 2ULL << 20}) {
    for (std::uint64_t capacity = 0; capacity < 300ULL << 20; capacity += (3ULL << 20) + 4096) {
      const Geometry g = Geometry::fit(capacity, block, false);
      if (g.slots == 0) {
        EXPECT_LT(capacity, kDataAlignment + block);
        continue;
      }
      EXPECT_LE(g.bytes(), capacity);
      const Geometry more{block, g.slots + 1, false};
      EXPECT_GT(more.bytes(), capacity) << capacity << " with blocks of " << block;
      EXPECT_GE(g.data_offset(), kTableOffset + g.table_bytes());
      EXPECT_EQ(g.data_offset() % kDataAlignment, 0u);
      EXPECT_GE(g.table_bytes(), g.slots * sizeof(Record));
    }
  }
}

class SlotTableTest : public ::testing::Test {
 protected:
  void SetUp() override { table_ = std::move(SlotTable::make(some_superblock())).value(); }
  static Copy copy_of(std::uint64_t n) {
    Copy copy;
    copy.key = {n, n};
    copy.depth = 70'000;
    return copy;
  }
  struct alignas(kPageBytes) Page {
    std::array<std::byte, kPageBytes> bytes{};
  };
  std::unique_ptr<SlotTable> table_;
};

TEST_F(SlotTableTest, WhatIsPutIsGotUntilItIsCleared) {
  Record record;
  EXPECT_FALSE(table_->get(3, &record));
  table_->put(3, copy_of(1), 77);
  ASSERT_TRUE(table_->get(3, &record));
  const Remembered entry = to_remembered(record, Slot(3));
  EXPECT_EQ(entry.key, (BlockKey{1, 1}));
  EXPECT_EQ(entry.checksum, 77u);
  EXPECT_EQ(entry.depth, 65535u) << "saturated";
  EXPECT_FALSE(entry.has_parent);
  EXPECT_TRUE(table_->clear(3));
  EXPECT_FALSE(table_->clear(3));
  EXPECT_FALSE(table_->get(3, &record));
}

TEST_F(SlotTableTest, LaterRecordsHaveLargerGenerationsAlsoAfterLoading) {
  table_->put(0, copy_of(1), 0);
  table_->put(999, copy_of(2), 0);
  auto again = std::move(SlotTable::make(some_superblock())).value();
  std::memcpy(again->pages().data(), table_->pages().data(), table_->pages().size());
  EXPECT_EQ(again->verify().used, 2u);
  again->put(5, copy_of(3), 0);
  Record old;
  Record young;
  ASSERT_TRUE(again->get(999, &old));
  ASSERT_TRUE(again->get(5, &young));
  EXPECT_GT(young.generation, old.generation);
}

TEST_F(SlotTableTest, APageIsDirtyUntilAWriteThatBeganLaterHasSucceeded) {
  Page page;
  EXPECT_EQ(table_->next_dirty(0), SlotTable::kNone);
  table_->put(64, copy_of(1), 0);
  EXPECT_EQ(table_->next_dirty(0), 1u);
  ASSERT_TRUE(table_->begin_page(1, page.bytes));
  EXPECT_EQ(table_->next_dirty(0), SlotTable::kNone);
  EXPECT_FALSE(table_->begin_page(1, page.bytes)) << "one writer at a time";
  table_->put(65, copy_of(2), 0);
  EXPECT_EQ(table_->next_dirty(0), SlotTable::kNone) << "somebody writes it";
  table_->end_page(1, true);
  EXPECT_EQ(table_->next_dirty(0), 1u) << "changed meanwhile";
  ASSERT_TRUE(table_->begin_page(1, page.bytes));
  table_->end_page(1, false);
  EXPECT_EQ(table_->next_dirty(0), 1u) << "the write failed";
  ASSERT_TRUE(table_->begin_page(1, page.bytes));
  table_->end_page(1, true);
  EXPECT_EQ(table_->next_dirty(0), SlotTable::kNone);
}

TEST_F(SlotTableTest, DamagedRecordsAreCountedAndTakenOut) {
  table_->put(1, copy_of(1), 0);
  table_->put(2, copy_of(2), 0);
  table_->pages()[2 * sizeof(Record) + 20] ^= std::byte{1};
  const SlotTable::Found found = table_->verify();
  EXPECT_EQ(found.used, 1u);
  EXPECT_EQ(found.damaged, 1u);
  Record record;
  EXPECT_FALSE(table_->get(2, &record));
}

}  // namespace
}  // namespace kelvin::nvme
