// Status, Result and StrongId: the words every call answers with.
#include "kelvin/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>

#include "kelvin/block.h"

namespace kelvin {
namespace {

TEST(Status, IsOkByDefaultAndSaysNothingMore) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.message(), "ok");
}

TEST(Status, MessageNamesCodeContextAndErrno) {
  EXPECT_EQ(Status(Code::kFull, "allocating slots").message(), "full: allocating slots");
  EXPECT_EQ(Status(Code::kCorrupt, "reading a block from nvme", EIO).message(),
            "corrupt: reading a block from nvme (errno 5, Input/output error)");
}

TEST(Status, MessageShowsADriversCodeWithoutInventingAName) {
  EXPECT_EQ(Status(Code::kUnavailable, "asking the driver", 70000).message(),
            "unavailable: asking the driver (code 70000)");
  EXPECT_EQ(Status(Code::kUnavailable, "asking the driver", -3).message(),
            "unavailable: asking the driver (code -3)");
}

TEST(Status, MessageWithoutContextIsTheCode) {
  EXPECT_EQ(Status(Code::kTimeout, "").message(), "timeout");
  EXPECT_EQ(Status(Code::kIo, "", ENOSPC).message(), "I/O error (errno 28, No space left on device)");
}

TEST(Status, EveryCodeHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(Code::kUnsupported); ++code) {
    names.insert(code_name(static_cast<Code>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::kUnsupported) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(Result, HoldsAValueExactlyWhenItsStatusIsOk) {
  Result<std::string> good(std::string("text"));
  EXPECT_TRUE(good.ok());
  EXPECT_TRUE(good.status().ok());
  EXPECT_EQ(*good, "text");
  EXPECT_EQ(good->size(), 4u);

  const Result<std::string> bad(Status(Code::kNotFound, "looking", ENOENT));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), Code::kNotFound);
  EXPECT_EQ(bad.status().native(), ENOENT);
  EXPECT_STREQ(bad.status().context(), "looking");
}

TEST(Result, GivesAMoveOnlyValueAway) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 7);
}

TEST(Result, OfAnIntegerIsNotMistakenForAStatus) {
  const Result<std::uint64_t> result(std::uint64_t{0});
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(*result, 0u);
}

TEST(StrongId, IsNoneUntilGivenANumber) {
  EXPECT_FALSE(Slot());
  EXPECT_TRUE(Slot(0));
  EXPECT_EQ(Slot().value, 0xFFFF'FFFFu);
  EXPECT_EQ(kNoTier, TierIndex(255));
}

TEST(StrongId, OfOneKindIsNeverAnotherKind) {
  EXPECT_FALSE((std::is_convertible_v<BlockId, Slot>));
  EXPECT_FALSE((std::is_constructible_v<Slot, BlockId>));
  EXPECT_FALSE((std::is_convertible_v<std::uint32_t, Slot>));
}

TEST(StrongId, IsOrderedByItsNumberWithNoneLast) {
  EXPECT_LT(Slot(1), Slot(2));
  EXPECT_LT(Slot(2), Slot());
}

TEST(BlockKey, IsOrderedByItsHighHalfFirstAndCanBeHashed) {
  EXPECT_LT((BlockKey{.hi = 1, .lo = 9}), (BlockKey{.hi = 2, .lo = 0}));
  std::unordered_set<BlockKey> keys = {{.hi = 1, .lo = 2}, {.hi = 2, .lo = 1}, {.hi = 1, .lo = 2}};
  EXPECT_EQ(keys.size(), 2u);
}

}  // namespace
}  // namespace kelvin
