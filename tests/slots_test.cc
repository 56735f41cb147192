// Slots: the word of each, its transitions, and the list of the free ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "core_parts.h"
#include "slots/slot_map.h"

namespace kelvin {
namespace {

using testing::made;
using enum SlotState;

constexpr std::array kStates = {kFree, kHeld, kFilling, kResident, kDropping, kBad, kKept};
constexpr BlockId kBlock{7};
constexpr BlockId kOther{8};

Slot take_one(SlotMap& map) {
  Slot slot;
  return map.take_held({&slot, 1}) == 1 ? slot : Slot{};
}

// A slot of an owned map of eight, brought into `state` (kResident: without pins).
Slot slot_in(SlotMap& map, SlotState state) {
  if (state == kHeld) return take_one(map);
  const Slot slot = map.take_filling(kBlock, 3);
  if (state == kFree) map.free({&slot, 1});
  if (state == kBad) map.quarantine(slot);
  if (state == kResident || state == kDropping || state == kKept) map.filled(slot, kBlock, 0);
  if (state == kDropping || state == kKept) map.start_drop(slot, kBlock);
  if (state == kKept) map.keep(slot);
  EXPECT_EQ(map.word(slot).state(), state);
  return slot;
}

TEST(SlotWord, KeepsStateBlockAndPinsApart) {
  for (const SlotState state : kStates) {
    for (const std::uint32_t pins : {0u, 1u, 0x5A5A5Au, SlotWord::kMaxPins}) {
      for (const BlockId block : {BlockId(0), BlockId(0xA5A5A5A5), BlockId{}}) {
        const SlotWord word = SlotWord::make(state, block, pins);
        EXPECT_EQ(word.state(), state);
        EXPECT_EQ(word.pins(), pins);
        EXPECT_EQ(word.block(), block);
      }
    }
  }
  EXPECT_EQ(SlotWord{0}.state(), kFree) << "fresh memory is free slots";
}

TEST(SlotWord, MayBecomeWhatItsStateMachineSaysAndNothingElse) {
  const std::set<std::pair<SlotState, SlotState>> legal = {
      {kFree, kHeld},     {kFree, kFilling},  {kHeld, kResident}, {kHeld, kFree},    {kFilling, kResident},
      {kFilling, kFree},  {kFilling, kBad},   {kDropping, kFree}, {kDropping, kBad}, {kResident, kDropping},
      {kDropping, kKept}, {kKept, kResident}, {kKept, kFree}};
  for (const SlotState from : kStates) {
    for (const SlotState to : kStates) {
      EXPECT_EQ(may_become(from, to), legal.contains({from, to}))
          << static_cast<int>(from) << " -> " << static_cast<int>(to);
    }
  }
}

TEST(SlotMap, TakesEachSlotOnceAndTheLowestFirst) {
  auto map = made(SlotMap::make(200, false));
  EXPECT_EQ(map->free_count(), 200u);
  std::vector<Slot> slots(8);
  ASSERT_EQ(map->take_held(slots), 8u);
  for (std::size_t i = 1; i < slots.size(); ++i) EXPECT_EQ(slots[i].value, slots[0].value + i);
  std::vector<Slot> rest(200);
  EXPECT_EQ(map->take_held(rest), 192u) << "fewer than asked for: there are no more";
  rest.resize(192);
  rest.insert(rest.end(), slots.begin(), slots.end());
  std::sort(rest.begin(), rest.end());
  for (std::uint32_t i = 0; i < 200; ++i) EXPECT_EQ(rest[i], Slot(i));
  EXPECT_EQ(map->free_count(), 0u);
  EXPECT_FALSE(map->take_filling(kBlock, 0));
}

TEST(SlotMap, APublishedSlotIsResidentAndPinnedOnce) {
  auto map = made(SlotMap::make(8, false));
  const Slot slot = take_one(*map);
  EXPECT_EQ(map->word(slot).state(), kHeld);
  map->publish(slot, kBlock);
  EXPECT_EQ(map->word(slot).state(), kResident);
  EXPECT_EQ(map->word(slot).block(), kBlock);
  EXPECT_EQ(map->word(slot).pins(), 1u);
}

TEST(SlotMap, AFillingSlotNamesItsMoveAndIsFilledWithAsManyPinsAsWaited) {
  auto map = made(SlotMap::make(8, false));
  const Slot slot = map->take_filling(kBlock, 4711);
  EXPECT_EQ(map->word(slot).state(), kFilling);
  EXPECT_EQ(map->word(slot).block(), kBlock);
  EXPECT_EQ(map->word(slot).pins(), 4711u);
  map->filled(slot, kBlock, 3);
  EXPECT_EQ(map->word(slot).state(), kResident);
  EXPECT_EQ(map->word(slot).pins(), 3u);
}

TEST(SlotMap, PinsAreCountedAndKeepTheCopy) {
  auto map = made(SlotMap::make(8, false));
  const Slot slot = slot_in(*map, kResident);
  for (std::uint32_t pins = 1; pins <= 5; ++pins) {
    EXPECT_TRUE(map->pin(slot, kBlock));
    EXPECT_EQ(map->word(slot).pins(), pins);
  }
  for (std::uint32_t pins = 5; pins-- > 0;) {
    EXPECT_FALSE(map->start_drop(slot, kBlock));
    map->unpin(slot);
    EXPECT_EQ(map->word(slot).pins(), pins);
  }
  EXPECT_EQ(map->word(slot).state(), kResident) << "unpinned is not dropped";
  EXPECT_TRUE(map->start_drop(slot, kBlock));
}

TEST(SlotMap, APinTooManyIsRefused) {
  auto map = made(SlotMap::make(8, false));
  const Slot slot = map->take_filling(kBlock, 0);
  map->filled(slot, kBlock, SlotWord::kMaxPins - 1);
  EXPECT_TRUE(map->pin(slot, kBlock));
  EXPECT_FALSE(map->pin(slot, kBlock));
  EXPECT_EQ(map->word(slot).state(), kResident) << "the count did not run over into the state";
  EXPECT_EQ(map->word(slot).pins(), SlotWord::kMaxPins);
}

TEST(SlotMap, OnlyAResidentCopyOfThisBlockIsPinnedOrDropped) {
  for (const SlotState state : kStates) {
    auto map = made(SlotMap::make(8, false));
    const Slot slot = slot_in(*map, state);
    const SlotWord before = map->word(slot);
    EXPECT_FALSE(map->pin(slot, kOther));
    EXPECT_FALSE(map->start_drop(slot, kOther));
    if (state == kResident) continue;
    EXPECT_FALSE(map->pin(slot, kBlock)) << static_cast<int>(state);
    EXPECT_FALSE(map->start_drop(slot, kBlock)) << static_cast<int>(state);
    EXPECT_EQ(map->word(slot).bits, before.bits);
  }
}

TEST(SlotMap, SlotsGivenBackAreTakenAgain) {
  auto map = made(SlotMap::make(8, false));
  for (const SlotState state : {kHeld, kFilling, kDropping}) {
    for (int i = 0; i < 100; ++i) {
      const Slot slot = slot_in(*map, state);
      EXPECT_EQ(map->free_count(), 7u);
      map->free({&slot, 1});
      EXPECT_EQ(map->word(slot).state(), kFree);
    }
    EXPECT_EQ(map->free_count(), 8u);
  }
}

// Lists a block for every slot until it is asked to forget it.
struct ListsAll final : Ledger {
  std::set<Slot> forgotten;
  std::size_t recall(std::uint32_t& /*first*/, std::span<Remembered> /*out*/) const noexcept override {
    return 0;
  }
  void forget(std::span<const Slot> slots) noexcept override { forgotten.insert(slots.begin(), slots.end()); }
};

TEST(SlotMap, WhatALedgerMayListIsKeptUntilItIsRestoredOrGivenUp) {
  ListsAll ledger;
  auto map = made(SlotMap::make(8, false, &ledger));
  EXPECT_EQ(map->free_count(), 0u);
  EXPECT_FALSE(take_one(*map)) << "nobody takes a slot before somebody asked the ledger";
  EXPECT_TRUE(map->restore(Slot(5), kBlock));
  EXPECT_FALSE(map->restore(Slot(5), kOther)) << "it has its block";
  EXPECT_FALSE(map->restore(Slot(8), kBlock)) << "there is no such slot";
  EXPECT_TRUE(map->pin(Slot(5), kBlock));
  EXPECT_EQ(map->give_up(Slot(6), 100), 2u);
  EXPECT_EQ(map->give_up(Slot(0), 8), 5u) << "all but the one that was restored";
  EXPECT_EQ(ledger.forgotten.size(), 7u);
  EXPECT_FALSE(ledger.forgotten.contains(Slot(5)));
  EXPECT_EQ(map->free_count(), 7u);
  EXPECT_FALSE(map->restore(Slot(1), kBlock)) << "it is free";
}

TEST(SlotMap, TheLedgerForgetsWhatIsFreedAndNotWhatIsKept) {
  ListsAll ledger;
  auto map = made(SlotMap::make(8, false, &ledger));
  map->give_up(Slot(0), 8);
  ledger.forgotten.clear();
  const Slot kept = slot_in(*map, kKept);
  EXPECT_TRUE(ledger.forgotten.empty());
  EXPECT_EQ(map->free_count(), 7u);
  const Slot freed = slot_in(*map, kFree);
  EXPECT_EQ(ledger.forgotten, std::set<Slot>{freed});
  EXPECT_TRUE(map->restore(kept, kBlock));
}

TEST(SlotMap, QuarantinedSlotsNeverComeBack) {
  auto map = made(SlotMap::make(8, false));
  std::vector<Slot> bad;
  for (int i = 0; i < 3; ++i) {
    const Slot slot = slot_in(*map, i == 0 ? kDropping : kFilling);
    map->quarantine(slot);
    bad.push_back(slot);
  }
  EXPECT_EQ(map->quarantined(), 3u);
  std::vector<Slot> all(8);
  ASSERT_EQ(map->take_held(all), 5u);
  all.resize(5);
  for (const Slot slot : bad) EXPECT_EQ(std::count(all.begin(), all.end(), slot), 0);
}

TEST(SlotMap, AdoptedSlotsAreThoseTheEngineNames) {
  auto map = made(SlotMap::make(4, true));
  EXPECT_EQ(map->free_count(), 4u);
  Slot any;
  EXPECT_EQ(map->take_held({&any, 1}), 0u);
  EXPECT_FALSE(map->take_filling(kBlock, 0));
  EXPECT_TRUE(map->claim_held(Slot(2)));
  EXPECT_TRUE(map->claim_filling(Slot(0), kBlock, 1));
  EXPECT_EQ(map->free_count(), 2u);
  EXPECT_FALSE(map->claim_held(Slot(2))) << "held";
  EXPECT_FALSE(map->claim_filling(Slot(0), kBlock, 1)) << "being filled";
  EXPECT_FALSE(map->claim_held(Slot(4))) << "not there";
  EXPECT_FALSE(map->claim_held(Slot{})) << "none";
  const std::array<Slot, 2> back = {Slot(2), Slot(0)};
  map->free(back);
  EXPECT_EQ(map->free_count(), 4u);
  EXPECT_TRUE(map->claim_filling(Slot(2), kBlock, 1));
}

TEST(SlotMap, SlotsOfAnOwnedTierCannotBeNamed) {
  auto map = made(SlotMap::make(4, false));
  EXPECT_FALSE(map->claim_held(Slot(0)));
  EXPECT_FALSE(map->claim_filling(Slot(0), kBlock, 1));
  EXPECT_EQ(map->free_count(), 4u);
}

TEST(SlotMap, IllegalTransitionsAreCaughtWhereAssertsAreOn) {
#ifdef NDEBUG
  GTEST_SKIP() << "this build has no asserts; they are on with CMAKE_BUILD_TYPE=Debug";
#else
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto map = made(SlotMap::make(8, false));
  const Slot resident = slot_in(*map, kResident);
  const Slot held = slot_in(*map, kHeld);
  EXPECT_DEATH(map->free({&resident, 1}), "may_become");
  EXPECT_DEATH(map->publish(resident, kBlock), "may_become");
  EXPECT_DEATH(map->quarantine(held), "may_become");
  EXPECT_DEATH(map->unpin(resident), "pins");
  map->free({&held, 1});
  EXPECT_DEATH(map->free({&held, 1}), "may_become");
#endif
}

TEST(FreeList, TakesBatchesAcrossItsShardsAndHoldsAllIndicesFromOneThread) {
  for (const std::uint32_t size : {0u, 1u, 2u, 3u, 5u, 64u, 1001u}) {
    auto list = made(FreeList::make(size));
    EXPECT_EQ(list->count(), size);
    for (int round = 0; round < 3; ++round) {
      std::vector<std::uint32_t> all(size + 10);
      ASSERT_EQ(list->take(all), size);
      EXPECT_EQ(list->count(), 0u);
      all.resize(size);
      list->give(all);  // more than the shard of this thread can hold
      EXPECT_EQ(list->count(), size);
      std::sort(all.begin(), all.end());
      for (std::uint32_t i = 0; i < size; ++i) ASSERT_EQ(all[i], i);
    }
  }
}

TEST(FreeList, MayStartEmpty) {
  auto list = made(FreeList::make(4, false));
  std::uint32_t index = 0;
  EXPECT_EQ(list->take({&index, 1}), 0u);
  const std::array<std::uint32_t, 2> two = {3, 1};
  list->give(two);
  EXPECT_EQ(list->count(), 2u);
}

TEST(FreeList, ThreadsNeverHoldTheSameIndex) {
  constexpr std::uint32_t kSize = 8;
  auto list = made(FreeList::make(kSize));
  std::array<std::atomic<int>, kSize> holders{};
  std::atomic<int> shared{0};
  std::latch all_here(6);
  const auto work = [&](std::size_t batch) {
    std::vector<std::uint32_t> mine(batch);
    all_here.arrive_and_wait();
    for (int i = 0; i < 20'000; ++i) {
      const std::size_t got = list->take(mine);
      for (std::size_t k = 0; k < got; ++k) shared += holders[mine[k]].fetch_add(1);
      for (std::size_t k = 0; k < got; ++k) --holders[mine[k]];
      list->give(std::span(mine).first(got));
    }
  };
  std::vector<std::thread> threads;
  for (const std::size_t batch : {1u, 2u, 3u, 4u, 5u, 8u}) threads.emplace_back(work, batch);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 0);
  EXPECT_EQ(list->count(), kSize);
}

// The bytes of a slot are plain memory here: a pin that did not keep them would be a data race as well.
TEST(SlotMap, WhoPinnedACopySeesItsBytesUntilTheUnpin) {
  constexpr std::uint32_t kRounds = 400;
  auto map = made(SlotMap::make(1, false));
  std::uint32_t bytes = 0;
  std::atomic<std::uint32_t> newest{0};
  std::atomic<std::uint32_t> wrong{0};
  std::atomic<std::uint32_t> read{0};
  std::atomic<bool> end{false};
  const auto reader = [&] {
    while (!end) {
      const std::uint32_t block = newest;
      if (!map->pin(Slot(0), BlockId(block))) continue;
      if (bytes != block) ++wrong;
      ++read;
      map->unpin(Slot(0));
      if (read % 4 == 0) std::this_thread::yield();  // moments without any pin
    }
  };
  std::array<std::thread, 2> readers = {std::thread(reader), std::thread(reader)};
  for (std::uint32_t block = 1; block <= kRounds; ++block) {
    const Slot slot = map->take_filling(BlockId(block), 0);
    bytes = block;
    map->filled(slot, BlockId(block), 0);
    newest = block;
    const std::uint32_t seen = read;
    while (block % 32 == 0 && read == seen) std::this_thread::yield();
    while (!map->start_drop(slot, BlockId(block))) std::this_thread::yield();
    map->free({&slot, 1});
  }
  end = true;
  for (std::thread& thread : readers) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(map->free_count(), 1u);
}

}  // namespace
}  // namespace kelvin
