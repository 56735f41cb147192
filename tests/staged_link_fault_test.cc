// StagedLink: a half of a copy fails, or all is to end: who is told what, and which slots are free again.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <set>

#include "staged_link_fixture.h"

namespace kelvin::testing {
namespace {

TEST_F(StagedCopies, KeepTheirStagingSlotUntilNoDeviceCanTouchIt) {
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  const std::uint32_t first = bring_halfway(0);
  const std::uint32_t second = staged(1);
  EXPECT_EQ(submit(4, 1), 0U) << "the copy out of it is under way";
  out_->land(first);
  to_staging_.fail(second, Status(Code::kIo, "reading", EIO));
  ASSERT_EQ(poll().size(), 2U);
  ASSERT_EQ(submit(4, 2), 2U);
  EXPECT_EQ((std::set{staged(4), staged(5)}), (std::set{first, second}));
}

TEST_F(StagedCopies, EndWithTheStatusOfTheHalfThatFailed) {
  open();
  ASSERT_EQ(submit(0, 3), 3U);
  const std::uint32_t late = bring_halfway(2);
  to_staging_.fail(staged(0), Status(Code::kIo, "reading", EIO), true);
  to_staging_.fail(staged(1), Status(Code::kUnavailable, "reading", ENODEV));
  from_staging_.fail(late, Status(Code::kFull, "writing", ENOSPC));
  const auto done = poll();
  ASSERT_EQ(done.size(), 3U);
  for (const Completion& completion : done) {
    const Code code = completion.status.code();
    EXPECT_EQ(completion.slot_only, completion.tag == 100);
    EXPECT_EQ(completion.failed, completion.tag == 102 ? Side::kTo : Side::kFrom);
    EXPECT_EQ(completion.checksum, 0U);
    EXPECT_EQ(code, completion.tag == 100   ? Code::kIo
                    : completion.tag == 101 ? Code::kUnavailable
                                            : Code::kFull);
  }
  EXPECT_TRUE(from_staging_.in_hand.empty()) << "what did not arrive is not passed on";
  EXPECT_EQ(submit(3, 4), 4U) << "and its slot serves others";
}

TEST_F(StagedCopies, EndSoonAfterACancelWhereverTheyAre) {
  from_staging_.depth = to_staging_.depth = 1;
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  const std::uint32_t leaving = bring_halfway(0);
  bring_halfway(1);  // waits to leave
  const std::uint32_t arriving = staged(2);
  link_->cancel_all();  // copy 3 waits to be read
  EXPECT_EQ(to_staging_.cancels, 1U);
  EXPECT_EQ(from_staging_.cancels, 1U);
  auto done = poll();
  ASSERT_EQ(done.size(), 2U) << "those that no device has in hand";
  for (const Completion& completion : done) {
    EXPECT_EQ(completion.status.code(), Code::kCanceled);
    EXPECT_EQ(completion.failed, Side::kUnknown);
  }
  EXPECT_EQ(submit(4, 4), 2U) << "the other two slots are in the devices' hands";
  in_->land(arriving);
  out_->land(leaving);
  done = poll();
  ASSERT_EQ(done.size(), 2U);
  for (const Completion& completion : done) {
    EXPECT_EQ(completion.status.code(), completion.tag == 100 ? Code::kOk : Code::kCanceled);
  }
  EXPECT_TRUE(slot_holds(*gpu_, Slot(40), 0));
  bring_halfway(4);
  EXPECT_EQ(from_staging_.in_hand.size(), 1U) << "what came after the cancel goes on";
}

TEST_F(StagedCopies, BlameNobodyWhereNothingFailed) {
  open();
  ASSERT_EQ(submit(0, 2), 2U);
  out_->land(bring_halfway(1));
  to_staging_.fail(staged(0), Status(Code::kCanceled, "reading"));
  const auto done = poll();
  ASSERT_EQ(done.size(), 2U);
  for (const Completion& completion : done) EXPECT_EQ(completion.failed, Side::kUnknown);
}

// The scripted links write to their targets as they end: into staging slots that must still be there.
TEST_F(StagedCopies, MayBeInFlightAtTheEnd) {
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  bring_halfway(0);
  link_.reset();
  EXPECT_TRUE(to_staging_.ended);
  EXPECT_TRUE(from_staging_.ended);
  EXPECT_TRUE(slot_holds(*gpu_, Slot(40), 0));
}

TEST_F(StagedCopies, AreReportedAsFarAsThereIsRoom) {
  open();
  ASSERT_EQ(submit(0, 4), 4U);
  link_->cancel_all();
  for (std::uint32_t n = 0; n < kStaging; ++n) to_staging_.fail(n, Status(Code::kCanceled, "reading"));
  EXPECT_TRUE(poll(0).empty());
  EXPECT_EQ(poll(3).size(), 3U);
  EXPECT_EQ(poll(3).size(), 1U);
}

}  // namespace
}  // namespace kelvin::testing
