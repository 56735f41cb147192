// CudaQueue: copies in every way and direction, checksums, records. On the pretended driver and on a GPU.
#include "tiers/hbm/cuda/cuda_queue.h"

#include "checksum/crc32c.h"
#include "tests/cuda_fixture.h"

namespace kelvin::hbm {
namespace {

constexpr Way kAllWays[] = {Way::kPlain, Way::kBatch, Way::kKernel};

class CudaQueueTest : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (device_ == nullptr) return;  // skipped
    queue_ = open_queue();
    memory_ = allocate(kBytes);
    source_ = random_bytes(kBytes, 1);
    target_ = Bytes(kBytes);
    ASSERT_TRUE(device_->register_host(range_of(source_), &why_).ok()) << why_;
    ASSERT_TRUE(device_->register_host(range_of(target_), &why_).ok()) << why_;
  }
  void TearDown() override {
    if (device_ == nullptr) return;
    queue_.reset();
    memory_.reset();
    device_->unregister_host(range_of(source_));
    device_->unregister_host(range_of(target_));
  }

  // As many pieces of so many bytes as given, spread over both sides in different orders, and their mirror.
  struct Pieces {
    std::vector<Piece> in, out;
  };
  Pieces pieces(std::size_t count, std::uint64_t bytes, std::uint64_t stride) {
    Pieces made;
    for (std::size_t i = 0; i < count; ++i) {
      std::byte* const device = memory_->base() + (count - 1 - i) * stride;
      made.in.push_back({.from = source_.data() + i * stride, .to = device, .bytes = bytes});
      made.out.push_back({.from = device, .to = target_.data() + i * stride, .bytes = bytes});
    }
    return made;
  }

  void expect_round_trip(const Pieces& pieces, Way way) {
    std::ranges::fill(target_, std::byte{0});
    ASSERT_TRUE(queue_->copy(Direction::kFromHost, way, pieces.in).ok());
    ASSERT_TRUE(queue_->copy(Direction::kToHost, way, pieces.out).ok());
    ASSERT_TRUE(finish(*device_, *queue_).ok());
    for (std::size_t i = 0; i < pieces.in.size(); ++i) {
      ASSERT_EQ(std::memcmp(pieces.in[i].from, pieces.out[i].to, pieces.in[i].bytes), 0) << "piece " << i;
    }
    const auto copied = [](const Pieces& p) {
      std::uint64_t bytes = 0;
      for (const Piece& piece : p.out) bytes += piece.bytes;
      return bytes;
    };
    const auto zeros = static_cast<std::uint64_t>(std::ranges::count(target_, std::byte{0}));
    EXPECT_GE(zeros, kBytes - copied(pieces)) << "bytes between the pieces were written";
  }

  static constexpr std::uint64_t kBytes = std::uint64_t{6} << 20;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Memory> memory_;
  Bytes source_, target_;
};

TEST_P(CudaQueueTest, CopiesPiecesOfAnySizeEveryWay) {
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    SCOPED_TRACE(static_cast<int>(way));
    expect_round_trip(pieces(1, kBytes, 0), way);
    expect_round_trip(pieces(64, 32 << 10, 64 << 10), way);
    expect_round_trip(pieces(1500, 4096, 4096), way);
    expect_round_trip(pieces(5, 1, 4096), way);
    expect_round_trip(pieces(7, 4097, 8192), way);
    expect_round_trip(pieces(100, 12345, 20001), way);  // nothing is aligned
  }
}

TEST_P(CudaQueueTest, LeavesOutPiecesWithoutBytes) {
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    Pieces some = pieces(4, 4096, 8192);
    some.in[1].bytes = some.out[1].bytes = 0;
    expect_round_trip(some, way);
    EXPECT_TRUE(queue_->copy(Direction::kFromHost, way, {}).ok());
  }
}

TEST_P(CudaQueueTest, CopiesWithinTheDevice) {
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    const std::uint64_t half = kBytes / 2;
    const Piece in{.from = source_.data(), .to = memory_->base(), .bytes = half};
    const Piece within{.from = memory_->base(), .to = memory_->base() + half, .bytes = half};
    const Piece out{.from = memory_->base() + half, .to = target_.data(), .bytes = half};
    std::ranges::fill(target_, std::byte{0});
    ASSERT_TRUE(queue_->copy(Direction::kFromHost, Way::kPlain, {&in, 1}).ok());
    ASSERT_TRUE(queue_->copy(Direction::kWithin, way, {&within, 1}).ok());
    ASSERT_TRUE(queue_->copy(Direction::kToHost, Way::kPlain, {&out, 1}).ok());
    ASSERT_TRUE(finish(*device_, *queue_).ok());
    EXPECT_EQ(std::memcmp(target_.data(), source_.data(), half), 0);
  }
}

TEST_P(CudaQueueTest, CutsPiecesWhereRegisteredRangesMeet) {
  Bytes both = random_bytes(8 << 20, 2);
  const HostRange first{both.data(), 4 << 20};
  const HostRange second{both.data() + (4 << 20), 4 << 20};
  ASSERT_TRUE(device_->register_host(first, &why_).ok()) << why_;
  ASSERT_TRUE(device_->register_host(second, &why_).ok()) << why_;
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    const Piece in{.from = both.data() + (3 << 20), .to = memory_->base(), .bytes = 2 << 20};
    const Piece out{.from = memory_->base(), .to = target_.data(), .bytes = 2 << 20};
    ASSERT_TRUE(queue_->copy(Direction::kFromHost, way, {&in, 1}).ok());
    ASSERT_TRUE(queue_->copy(Direction::kToHost, way, {&out, 1}).ok());
    ASSERT_TRUE(finish(*device_, *queue_).ok());
    EXPECT_EQ(std::memcmp(target_.data(), in.from, in.bytes), 0);
  }
  device_->unregister_host(first);
  device_->unregister_host(second);
}

TEST_P(CudaQueueTest, RefusesHostMemoryThatIsNotRegistered) {
  Bytes loose(4096);
  const Piece piece{.from = loose.data(), .to = memory_->base(), .bytes = loose.size()};
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    EXPECT_EQ(queue_->copy(Direction::kFromHost, way, {&piece, 1}).code(), Code::kMisuse);
  }
}

TEST_P(CudaQueueTest, ChecksumsAreThoseOfTheHost) {
  if (!device_->properties().checksums) GTEST_SKIP() << device_->properties().lacks;
  const Piece in{.from = source_.data(), .to = memory_->base(), .bytes = kBytes};
  ASSERT_TRUE(queue_->copy(Direction::kFromHost, Way::kPlain, {&in, 1}).ok());
  auto* const results = reinterpret_cast<std::uint32_t*>(target_.data());
  std::vector<std::uint32_t> expected;
  const auto add = [&](std::size_t count, std::uint64_t bytes, std::uint64_t stride) {
    std::vector<Extent> extents;
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < count; ++i) {
      extents.push_back({.at = memory_->base() + i * stride, .bytes = bytes});
      crc = crc32c(source_.data() + i * stride, bytes, crc);
    }
    ASSERT_TRUE(queue_->checksum(extents, results + expected.size()).ok());
    expected.push_back(crc);
  };
  add(1, 2 << 20, 0);
  add(64, 32 << 10, 64 << 10);
  add(512, 4096, 8192);
  add(1300, 1000, 4001);  // three lists, nothing aligned
  add(1, kBytes, 0);
  add(1, 1, 0);
  add(0, 0, 0);
  add(3, 0, 64);
  ASSERT_TRUE(finish(*device_, *queue_).ok());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(results[i], expected[i]) << i;
}

TEST_P(CudaQueueTest, ManyListsAreUsedInTurn) {
  if (!has(Way::kKernel)) GTEST_SKIP() << device_->properties().lacks;
  const Pieces some = pieces(512, 4096, 4096);
  for (int round = 0; round < 200; ++round) {
    Status status = queue_->copy(Direction::kFromHost, Way::kKernel, some.in);
    while (status.code() == Code::kBusy) {
      ASSERT_TRUE(finish(*device_, *queue_).ok());
      status = queue_->copy(Direction::kFromHost, Way::kKernel, some.in);
    }
    ASSERT_TRUE(status.ok());
  }
  ASSERT_TRUE(finish(*device_, *queue_).ok());  // or there may be no list free
  expect_round_trip(some, Way::kKernel);
}

TEST_P(CudaQueueTest, AQueueGoesOnAfterTheRecordOfAnother) {
  const auto other = open_queue();
  const Piece in{.from = source_.data(), .to = memory_->base(), .bytes = kBytes};
  const Piece out{.from = memory_->base(), .to = target_.data(), .bytes = kBytes};
  ASSERT_TRUE(queue_->copy(Direction::kFromHost, Way::kPlain, {&in, 1}).ok());
  const auto record = queue_->record();
  ASSERT_TRUE(record.ok());
  ASSERT_TRUE(other->after(*record).ok());
  ASSERT_TRUE(other->copy(Direction::kToHost, Way::kPlain, {&out, 1}).ok());
  ASSERT_TRUE(finish(*device_, *other).ok());
  EXPECT_EQ(target_, source_);
  EXPECT_TRUE(device_->passed(*record).ok()) << "the other queue has gone on";
  device_->give_back(*record);
}

TEST_P(CudaQueueTest, ARecordThatWasGivenBackIsNone) {
  const auto record = queue_->record();
  ASSERT_TRUE(record.ok());
  ASSERT_TRUE(finish(*device_, *record).ok());
  device_->give_back(*record);
  EXPECT_EQ(device_->passed(*record).code(), Code::kMisuse);
  EXPECT_EQ(queue_->after(*record).code(), Code::kMisuse);
}

TEST_P(CudaQueueTest, RecordZeroSaysWhetherTheDeviceIsThere) { EXPECT_TRUE(device_->passed(0).ok()); }

TEST_P(CudaQueueTest, SaysWhenTooManyRecordsAreOpen) {
  std::vector<Record> open;
  auto record = queue_->record();
  for (; record.ok(); record = queue_->record()) open.push_back(*record);
  EXPECT_EQ(record.status().code(), Code::kBusy);
  EXPECT_EQ(open.size(), Records::kCount);
  for (const Record each : open) device_->give_back(each);
  EXPECT_TRUE(finish(*device_, *queue_).ok());
}

TEST_P(CudaQueueTest, CopiesToAnotherGpu) {
  const auto other = open(1);
  if (other == nullptr) GTEST_SKIP() << "needs two GPUs: " << why_;
  auto there = other->allocate(kBytes, false, &why_);
  ASSERT_TRUE(there.ok()) << why_;
  auto back = other->open_queue(&why_);
  ASSERT_TRUE(back.ok()) << why_;
  for (const Way way : kAllWays) {
    if (!has(way)) continue;
    std::ranges::fill(target_, std::byte{0});
    const Piece in{.from = source_.data(), .to = memory_->base(), .bytes = kBytes};
    const Piece over{.from = memory_->base(), .to = (*there)->base(), .bytes = kBytes};
    const Piece out{.from = (*there)->base(), .to = target_.data(), .bytes = kBytes};
    ASSERT_TRUE(queue_->copy(Direction::kFromHost, Way::kPlain, {&in, 1}).ok());
    const Status status = queue_->copy(Direction::kToPeer, way, {&over, 1});
    if (status.code() == Code::kUnsupported) continue;  // not reached directly
    ASSERT_TRUE(status.ok());
    ASSERT_TRUE(finish(*device_, *queue_).ok());
    ASSERT_TRUE((*back)->copy(Direction::kToHost, Way::kPlain, {&out, 1}).ok());
    ASSERT_TRUE(finish(*other, **back).ok());
    EXPECT_EQ(target_, source_);
  }
  back->reset();
  there->reset();
}

INSTANTIATE_TEST_SUITE_P(Cuda, CudaQueueTest, ::testing::Values(KELVIN_FAKE_CUDA, kDriverLibrary),
                         driver_name);

}  // namespace
}  // namespace kelvin::hbm
