// Table: keys to records; parents, ghosts, guards and the end of records. The index beneath it is in
// table_index_test.cc, copies and pins in table_residency_test.cc, threads in table_threads_test.cc.
#include "table/table.h"

#include <gtest/gtest.h>

#include <vector>

#include "core_parts.h"

namespace kelvin {
namespace {

using testing::kFirst;
using testing::kSecond;
using testing::made;

constexpr BlockId kRoot{};

BlockKey key_of(std::uint64_t n) { return {n * 0x9E3779B97F4A7C15, ~n}; }

// A table whose records come and go one by one.
constexpr std::uint32_t kAll = (1u << kMaxTiers) - 1;  // every tier is online

class TableTest : public ::testing::Test {
 protected:
  void begin(std::uint32_t capacity) { table_ = made(Table::make(capacity, 1)); }

  // A new block with one copy; no id if it was refused or known.
  BlockId add(const BlockKey& key, BlockId parent = kRoot, std::uint32_t depth = 0) {
    const auto offer = table_->offer(key, parent, depth, kFirst, Slot(1));
    return offer.ok() && !offer->known ? offer->block : BlockId{};
  }
  // Blocks that build on one another, their keys key_of(first ...).
  std::vector<BlockId> add_chain(std::uint64_t first, std::uint32_t blocks) {
    std::vector<BlockId> ids;
    for (std::uint32_t i = 0; i < blocks; ++i)
      ids.push_back(add(key_of(first + i), i == 0 ? kRoot : ids.back(), i));
    return ids;
  }
  void detach(BlockId block, TierIndex tier = kFirst) {
    table_->detach(block, tier, [this](BlockId gone) { gone_.push_back(gone); });
  }
  void unguard(BlockId block) {
    table_->unguard(block, [this](BlockId gone) { gone_.push_back(gone); });
  }
  std::uint32_t children(BlockId block) { return table_->record(block).children.load(); }

  std::unique_ptr<Table> table_;
  std::vector<BlockId> gone_;
};

TEST_F(TableTest, FindsWhatWasOfferedAndNothingElse) {
  constexpr std::uint32_t kBlocks = 60'000;
  begin(kBlocks);
  std::vector<BlockId> ids;
  for (std::uint64_t n = 0; n < kBlocks; ++n) ids.push_back(add(key_of(n)));
  EXPECT_EQ(table_->size(), kBlocks);
  std::uint32_t wrong = 0;
  for (std::uint64_t n = 0; n < kBlocks; ++n) {
    if (!ids[n] || table_->find(key_of(n)) != ids[n] || table_->record(ids[n]).key() != key_of(n)) ++wrong;
    if (table_->find(key_of(n + kBlocks))) ++wrong;
  }
  EXPECT_EQ(wrong, 0u);
}

TEST_F(TableTest, EveryBitOfAKeyCounts) {
  begin(300);
  const BlockKey key = key_of(1);
  add(key);
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_FALSE(table_->find({key.hi ^ (1ULL << bit), key.lo}));
    EXPECT_FALSE(table_->find({key.hi, key.lo ^ (1ULL << bit)}));
  }
  const BlockId zero = add({0, 0});
  const BlockId ones = add({~0ULL, ~0ULL});
  EXPECT_TRUE(zero);
  EXPECT_TRUE(ones);
  EXPECT_EQ(table_->find({0, 0}), zero);
  EXPECT_EQ(table_->find({~0ULL, ~0ULL}), ones);
}

TEST_F(TableTest, IsAsGoodAsNewHoweverOftenItWasFilledAndEmptied) {
  constexpr std::uint32_t kBlocks = 2000;
  begin(kBlocks);
  for (std::uint64_t round = 0; round < 30; ++round) {
    std::vector<BlockId> ids;
    for (std::uint64_t n = 0; n < kBlocks; ++n) {
      ids.push_back(add(key_of(round * kBlocks + n)));
      ASSERT_TRUE(ids.back()) << "round " << round;
    }
    ASSERT_FALSE(add(key_of(1'000'000))) << "full";
    int lost = 0;
    for (std::uint64_t n = 0; n < kBlocks; ++n)
      lost += table_->find(key_of(round * kBlocks + n)) != ids[n] ? 1 : 0;
    ASSERT_EQ(lost, 0);
    for (const BlockId id : ids) detach(id);
    int left = 0;
    for (std::uint64_t n = 0; n < kBlocks; ++n) left += table_->find(key_of(round * kBlocks + n)) ? 1 : 0;
    ASSERT_EQ(left, 0);
    ASSERT_EQ(table_->size(), 0u);
  }
  EXPECT_EQ(gone_.size(), 30u * kBlocks);
}

TEST_F(TableTest, AFullTableRefusesUntilARecordEnds) {
  begin(3);
  const auto chain = add_chain(0, 3);
  const auto refused = table_->offer(key_of(9), kRoot, 0, kFirst, Slot(1));
  EXPECT_EQ(refused.status().code(), Code::kFull);
  EXPECT_FALSE(table_->find(key_of(9)));
  EXPECT_EQ(table_->size(), 3u);
  detach(chain[2]);
  EXPECT_TRUE(add(key_of(9)));
}

TEST_F(TableTest, RecordsKnowTheirPlaceInThePrefix) {
  begin(10);
  const auto chain = add_chain(0, 3);
  const BlockId branch = add(key_of(7), chain[1], 2);
  EXPECT_EQ(table_->record(chain[0]).parent, BlockId::kNone);
  EXPECT_EQ(table_->record(chain[2]).parent, chain[1].value);
  EXPECT_EQ(table_->record(branch).parent, chain[1].value);
  EXPECT_EQ(table_->record(chain[2]).depth, 2u);
  EXPECT_EQ(children(chain[0]), 1u);
  EXPECT_EQ(children(chain[1]), 2u);
  EXPECT_EQ(children(chain[2]), 0u);
  detach(branch);
  EXPECT_EQ(children(chain[1]), 1u);
  const BlockId deep = add(key_of(8), kRoot, 1'000'000);
  EXPECT_EQ(table_->record(deep).depth, BlockRecord::kMaxDepth) << "depth saturates";
}

TEST_F(TableTest, AKnownKeyIsNotMadeAgainButGuarded) {
  begin(10);
  const BlockId block = add(key_of(1), kRoot, 5);
  const auto again = table_->offer(key_of(1), kRoot, 6, kSecond, Slot(3));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->known);
  EXPECT_EQ(again->block, block);
  EXPECT_EQ(table_->record(block).depth, 5u);
  EXPECT_EQ(table_->record(block).copy(kFirst), Slot(1));
  EXPECT_FALSE(table_->record(block).copy(kSecond));
  EXPECT_EQ(table_->size(), 1u);
  detach(block);
  EXPECT_EQ(table_->find(key_of(1)), block) << "guarded by the offer";
  unguard(block);
  EXPECT_FALSE(table_->find(key_of(1)));
  EXPECT_EQ(gone_, std::vector{block});
}

TEST_F(TableTest, AGuardedRecordEndsWithItsLastGuard) {
  begin(10);
  const BlockId block = add(key_of(1));
  EXPECT_EQ(table_->guard(key_of(1)), block);
  EXPECT_EQ(table_->guard(key_of(1)), block);
  EXPECT_FALSE(table_->guard(key_of(2))) << "unknown";
  detach(block);
  unguard(block);
  EXPECT_TRUE(gone_.empty());
  unguard(block);
  EXPECT_EQ(gone_, std::vector{block});
  EXPECT_EQ(table_->size(), 0u);
}

TEST_F(TableTest, ABlockLivesAsLongAsOneOfItsCopies) {
  begin(10);
  const BlockId block = add(key_of(1));
  EXPECT_FALSE(table_->attach(block, kFirst, Slot(5))) << "it has one there";
  EXPECT_EQ(table_->record(block).copy(kFirst), Slot(1));
  EXPECT_TRUE(table_->attach(block, kSecond, Slot(5)));
  detach(block, kFirst);
  EXPECT_EQ(table_->find(key_of(1)), block);
  EXPECT_FALSE(table_->record(block).copy(kFirst));
  EXPECT_EQ(table_->record(block).copy(kSecond), Slot(5));
  detach(block, kSecond);
  EXPECT_FALSE(table_->find(key_of(1)));
}

TEST_F(TableTest, ABlockWithChildrenStaysAsAGhost) {
  begin(10);
  const auto chain = add_chain(0, 3);
  detach(chain[1]);
  EXPECT_EQ(table_->find(key_of(1)), chain[1]);
  EXPECT_TRUE(gone_.empty());
  EXPECT_EQ(table_->record(chain[2]).parent, chain[1].value);
}

TEST_F(TableTest, AGhostIsRevivedWithNewBytes) {
  begin(10);
  const auto chain = add_chain(0, 2);
  BlockRecord& record = table_->record(chain[0]);
  record.state |= BlockRecord::kChecksumKnown;
  EXPECT_FALSE(table_->revive(chain[0], kSecond, Slot(4), kAll)) << "not a ghost";
  EXPECT_NE(record.state & BlockRecord::kChecksumKnown, 0);
  detach(chain[0]);
  EXPECT_TRUE(table_->revive(chain[0], kSecond, Slot(4), kAll));
  EXPECT_EQ(record.copy(kSecond), Slot(4));
  EXPECT_EQ(record.state & BlockRecord::kChecksumKnown, 0) << "the checksum was that of other bytes";
  EXPECT_TRUE(record.holds(key_of(0)));
  EXPECT_FALSE(table_->revive(chain[0], kFirst, Slot(4), kAll));
}

TEST_F(TableTest, ABlockWhoseCopiesAreAllOfflineIsRevivedLikeAGhost) {
  begin(10);
  const auto chain = add_chain(0, 2);
  BlockRecord& record = table_->record(chain[0]);
  record.state |= BlockRecord::kChecksumKnown;
  const std::uint32_t without_first = kAll & ~(1u << kFirst.value);
  EXPECT_FALSE(table_->revive(chain[0], kFirst, Slot(4), without_first)) << "there it has one";
  EXPECT_TRUE(table_->revive(chain[0], kSecond, Slot(4), without_first));
  EXPECT_EQ(record.state & BlockRecord::kChecksumKnown, 0);
  EXPECT_EQ(record.copy(kSecond), Slot(4));
  detach(chain[0]);
  EXPECT_TRUE(record.holds(key_of(0))) << "the new copy keeps it";
}

TEST_F(TableTest, TheLastBlockTakesTheGhostsItKeptWithIt) {
  begin(10);
  const auto chain = add_chain(0, 5);
  detach(chain[1]);
  detach(chain[3]);
  detach(chain[2]);
  EXPECT_TRUE(gone_.empty());
  detach(chain[4]);
  EXPECT_EQ(gone_, (std::vector{chain[4], chain[3], chain[2], chain[1]})) << "children first";
  EXPECT_EQ(table_->find(key_of(0)), chain[0]) << "it has a copy";
  EXPECT_EQ(children(chain[0]), 0u);
  EXPECT_EQ(table_->size(), 1u);
  detach(chain[0]);
  EXPECT_EQ(table_->size(), 0u);
}

TEST_F(TableTest, AGhostStaysForItsOtherChildren) {
  begin(10);
  const auto chain = add_chain(0, 2);
  const BlockId branch = add(key_of(7), chain[0], 1);
  detach(chain[0]);
  detach(chain[1]);
  EXPECT_EQ(gone_, std::vector{chain[1]});
  EXPECT_EQ(table_->find(key_of(0)), chain[0]);
  detach(branch);
  EXPECT_EQ(gone_, (std::vector{chain[1], branch, chain[0]}));
}

TEST_F(TableTest, ARecordThatIsUsedAgainIsAnotherBlock) {
  begin(1);
  const BlockId first = add(key_of(1));
  table_->record(first).state |= BlockRecord::kChecksumKnown;
  const auto before = table_->record(first).state.load();
  detach(first);
  EXPECT_FALSE(table_->record(first).holds(key_of(1)));
  const BlockId second = add(key_of(1));
  EXPECT_EQ(second, first) << "there is one record only";
  EXPECT_NE(table_->record(second).state, before) << "a reader can tell them apart";
  EXPECT_EQ(table_->record(second).state & BlockRecord::kChecksumKnown, 0);
}

TEST_F(TableTest, TakesLessThan96BytesABlock) {
  begin(1'000'000);
  EXPECT_LT(table_->bytes(), 96u * 1'000'000u);
}

}  // namespace
}  // namespace kelvin
