// The link between a block file and host memory, over both of its queues.
#include "tiers/nvme/nvme_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "checksum/crc32c.h"
#include "counted_new.h"
#include "nvme_fixture.h"
#include "tiers/nvme/nvme.h"

namespace kelvin::nvme {
namespace {

using ::testing::StartsWith;

constexpr std::uint32_t kSlots = 24;

struct Mode {
  const char* name;
  QueueKind queue;
  bool single_issuer;
};

class NvmeLinkTest : public ::testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    if (GetParam().queue != QueueKind::kUring) return;
    std::string why;
    if (!has_uring(&why)) GTEST_SKIP() << why;
  }

  void make(std::uint64_t block_bytes, LinkSettings settings = {}, std::uint32_t segments = 1) {
    settings.queue = GetParam().queue;
    block_bytes_ = block_bytes;
    file_ = open_tier(path(), block_bytes, kSlots, settings);
    ASSERT_NE(file_, nullptr);
    memory_ = std::make_unique<AlignedTier>(kSlots, block_bytes, segments);
    writer_ = connect(*memory_, *file_);
    reader_ = connect(*file_, *memory_);
    ASSERT_NE(writer_, nullptr);
    ASSERT_NE(reader_, nullptr);
  }
  std::unique_ptr<Link> connect(const Tier& from, const Tier& to) const {
    std::string why;
    auto link = kNvmeLink.connect(
        {.from = from, .to = to, .clock = {}, .single_issuer = GetParam().single_issuer}, &why);
    EXPECT_TRUE(link.ok()) << why;
    return link.ok() ? std::move(link).value() : nullptr;
  }
  std::string path() const { return directory_.file("blocks"); }

  // Calls `use` for each piece of a block in memory, in order.
  template <class F>
  void each_segment(std::uint32_t slot, F use) const {
    for (std::uint32_t s = 0; s < memory_->info().segments; ++s) {
      use(memory_->address(Slot(slot), s).pointer, memory_->info().segment_bytes);
    }
  }
  // The bytes of block `seed`: any two differ everywhere.
  void fill(std::uint32_t slot, std::uint64_t seed) const {
    std::mt19937_64 random(seed);
    each_segment(slot, [&](std::byte* at, std::uint64_t bytes) {
      for (std::uint64_t i = 0; i < bytes; i += sizeof(std::uint64_t)) {
        const std::uint64_t word = random();
        std::memcpy(at + i, &word, sizeof word);
      }
    });
  }
  void wipe(std::uint32_t slot) const {
    each_segment(slot, [](std::byte* at, std::uint64_t bytes) { std::memset(at, 0xEE, bytes); });
  }
  std::uint32_t checksum(std::uint32_t slot) const {
    std::uint32_t crc = 0;
    each_segment(slot, [&](std::byte* at, std::uint64_t bytes) { crc = crc32c(at, bytes, crc); });
    return crc;
  }

  // Waits on wake_fd and polls until `count` copies have completed; at most one completion for each tag.
  static std::map<std::uint64_t, Completion> complete(Link& link, std::size_t count, std::size_t batch = 8) {
    std::map<std::uint64_t, Completion> all;
    std::vector<Completion> done(batch);
    while (all.size() < count) {
      pollfd wake{link.info().wake_fd, POLLIN, 0};
      if (::poll(&wake, 1, 20'000) != 1) {
        ADD_FAILURE() << "wake_fd stayed silent with " << count - all.size() << " copies in flight";
        break;
      }
      const std::size_t n = link.poll(done);
      for (const Completion& c : std::span(done).first(n)) EXPECT_TRUE(all.emplace(c.tag, c).second);
    }
    return all;
  }
  static std::vector<Copy> copies(std::uint32_t count, std::uint32_t from_step = 1, bool checksum = true) {
    std::vector<Copy> list;
    for (std::uint32_t i = 0; i < count; ++i) {
      list.push_back({.tag = 100 + i,
                      .from = Slot(i * from_step % kSlots),
                      .to = Slot(i),
                      .checksum = checksum,
                      .key = {},
                      .parent = {}});
    }
    return list;
  }
  // Writes blocks 0 .. kSlots-1 to the slots of the same number, wipes memory, reads block 7 i into slot i.
  void round_trip() {
    std::vector<std::uint32_t> sums;
    for (std::uint32_t i = 0; i < kSlots; ++i) {
      fill(i, i);
      sums.push_back(checksum(i));
    }
    ASSERT_EQ(writer_->submit(copies(kSlots)), kSlots);
    for (const auto& [tag, c] : complete(*writer_, kSlots)) {
      EXPECT_TRUE(c.status.ok()) << c.status.message();
      EXPECT_EQ(c.checksum, sums[tag - 100]);
    }
    for (std::uint32_t i = 0; i < kSlots; ++i) wipe(i);
    ASSERT_EQ(reader_->submit(copies(kSlots, 7)), kSlots);
    for (const auto& [tag, c] : complete(*reader_, kSlots)) {
      EXPECT_TRUE(c.status.ok()) << c.status.message();
      EXPECT_EQ(c.checksum, sums[(tag - 100) * 7 % kSlots]);
      EXPECT_EQ(checksum(static_cast<std::uint32_t>(tag - 100)), c.checksum);
    }
  }

  ScratchDirectory directory_;
  std::uint64_t block_bytes_ = 0;
  std::unique_ptr<NvmeTier> file_;
  std::unique_ptr<AlignedTier> memory_;
  std::unique_ptr<Link> writer_;
  std::unique_ptr<Link> reader_;
};

TEST_P(NvmeLinkTest, BlocksComeBackAsTheyWereWritten) {
  make(64 * kKiB);
  round_trip();
}

TEST_P(NvmeLinkTest, LargeBlocksAreSplitIntoRequests) {
  make(516 * kKiB, {.request_bytes = 64 * kKiB});
  round_trip();
}

TEST_P(NvmeLinkTest, BlocksWithMorePiecesThanMayBeInFlightAreWholeAgain) {
  make(512 * kKiB, {.depth = 32, .request_bytes = 4 * kKiB});
  round_trip();
}

TEST_P(NvmeLinkTest, SegmentsOfAnEnginesMemoryAreGatheredAndScattered) {
  make(240 * kKiB, {.request_bytes = 64 * kKiB}, 12);
  round_trip();
}

TEST_P(NvmeLinkTest, ItDescribesItself) {
  make(64 * kKiB);
  EXPECT_EQ(writer_->info().name, "memory>nvme");
  EXPECT_EQ(reader_->info().name, "nvme>memory");
  EXPECT_EQ(reader_->info().from, file_.get());
  EXPECT_EQ(reader_->info().to, memory_.get());
  EXPECT_GE(reader_->info().wake_fd, 0);
  const std::string queue = static_cast<const NvmeLink&>(*reader_).queue_description();
  EXPECT_THAT(queue, StartsWith(GetParam().queue == QueueKind::kUring ? "io_uring" : "threads"));
}

TEST_P(NvmeLinkTest, ItTakesNoMoreThanItsDepth) {
  make(64 * kKiB, {.depth = 4});
  EXPECT_EQ(reader_->info().depth, 8u) << "as many again as the drive gets at once";
  EXPECT_EQ(writer_->info().depth, 12u) << "and as many whose records are being written";
  const std::vector<Copy> list = copies(14);
  EXPECT_EQ(writer_->submit(list), 12u);
  EXPECT_EQ(writer_->submit(list), 0u);
  EXPECT_EQ(complete(*writer_, 12).size(), 12u);
  EXPECT_EQ(writer_->submit(std::span(list).subspan(10)), 4u);
  EXPECT_EQ(complete(*writer_, 4).size(), 4u);
}

TEST_P(NvmeLinkTest, NoChecksumIsMadeUnlessAskedFor) {
  make(64 * kKiB);
  ASSERT_EQ(writer_->submit(copies(2, 1, false)), 2u);
  for (const auto& [tag, c] : complete(*writer_, 2)) EXPECT_EQ(c.checksum, 0u);
}

TEST_P(NvmeLinkTest, WakeFdStaysReadableWhileCompletionsAreLeft) {
  make(64 * kKiB);
  ASSERT_EQ(writer_->submit(copies(12)), 12u);
  EXPECT_EQ(complete(*writer_, 12, 1).size(), 12u);
}

TEST_P(NvmeLinkTest, WakeFdFallsSilentOnceThereIsNothingLeft) {
  make(64 * kKiB);
  ASSERT_EQ(writer_->submit(copies(12)), 12u);
  complete(*writer_, 12);
  // A last signal may still be under way.
  const auto silent = [&] {
    Completion none;
    EXPECT_EQ(writer_->poll({&none, 1}), 0u);
    pollfd wake{writer_->info().wake_fd, POLLIN, 0};
    return ::poll(&wake, 1, 10) == 0;
  };
  bool ever = false;
  for (int tries = 0; tries < 100 && !ever; ++tries) ever = silent();
  EXPECT_TRUE(ever);
}

TEST_P(NvmeLinkTest, AReadBeyondTheEndOfTheFileFails) {
  make(64 * kKiB, {.request_bytes = 32 * kKiB});
  ASSERT_EQ(writer_->submit(copies(kSlots)), kSlots);
  complete(*writer_, kSlots);
  // Cut inside the second block, at an odd byte: block 0 is whole, block 1 is not, the others are gone.
  ASSERT_EQ(::truncate(path().c_str(), static_cast<off_t>(kDataAlignment + 100 * kKiB + 77)), 0);
  ASSERT_EQ(reader_->submit(copies(kSlots)), kSlots);
  for (const auto& [tag, c] : complete(*reader_, kSlots)) {
    EXPECT_EQ(c.status.code(), tag == 100 ? Code::kOk : Code::kIo) << tag;
  }
}

TEST_P(NvmeLinkTest, AfterCancelAllEverythingCompletes) {
  make(512 * kKiB, {.request_bytes = 4 * kKiB});
  const std::vector<Copy> list = copies(kSlots);
  ASSERT_EQ(writer_->submit(list), kSlots);
  writer_->cancel_all();
  const auto all = complete(*writer_, kSlots);
  EXPECT_EQ(all.size(), kSlots);
  for (const auto& [tag, c] : all) {
    EXPECT_TRUE(c.status.ok() || c.status.code() == Code::kCanceled) << c.status.message();
  }
  ASSERT_EQ(writer_->submit(list), kSlots) << "it works on afterwards";
  for (const auto& [tag, c] : complete(*writer_, kSlots)) EXPECT_TRUE(c.status.ok()) << c.status.message();
}

TEST_P(NvmeLinkTest, DestructionWaitsForReadsInFlight) {
  make(512 * kKiB);
  ASSERT_EQ(writer_->submit(copies(kSlots)), kSlots);
  complete(*writer_, kSlots);
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(reader_->submit(copies(kSlots)), kSlots);
    reader_.reset();
    for (std::uint32_t i = 0; i < kSlots; ++i) wipe(i);
    const std::uint32_t wiped = checksum(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (std::uint32_t i = 0; i < kSlots; ++i) EXPECT_EQ(checksum(i), wiped) << "the drive wrote afterwards";
    reader_ = connect(*file_, *memory_);
  }
}

TEST_P(NvmeLinkTest, AnotherThreadMayOpenItAndDestroyItWithIoInFlight) {
  make(512 * kKiB);
  for (int round = 0; round < 3; ++round) {
    std::thread([&] { EXPECT_EQ(writer_->submit(copies(kSlots)), kSlots); }).join();
    writer_.reset();
    writer_ = connect(*memory_, *file_);
  }
  std::thread([&] {
    ASSERT_EQ(writer_->submit(copies(kSlots)), kSlots);
    for (const auto& [tag, c] : complete(*writer_, kSlots)) EXPECT_TRUE(c.status.ok()) << c.status.message();
  }).join();
}

TEST_P(NvmeLinkTest, TheFileIsFreeAsSoonAsTierAndLinksAreGone) {
  make(512 * kKiB);
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(writer_->submit(copies(kSlots)), kSlots);
    reader_.reset();
    writer_.reset();
    file_.reset();
    make(512 * kKiB);
  }
}

TEST_P(NvmeLinkTest, AnOwnerKilledWithIoInFlightLeavesNothingInTheWay) {
  const pid_t child = ::fork();
  if (child == 0) {
    make(512 * kKiB);
    if (writer_ != nullptr) writer_->submit(copies(kSlots));
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  make(512 * kKiB);
  round_trip();
}

TEST_P(NvmeLinkTest, SubmitAndPollDoNotAllocate) {
  if (!testing::kAllocationsCounted) GTEST_SKIP() << "allocations cannot be counted under this sanitizer";
  make(64 * kKiB, {.request_bytes = 16 * kKiB});
  const std::vector<Copy> list = copies(kSlots);
  std::array<Completion, 8> done;
  const std::uint64_t before = testing::allocations();
  for (int round = 0; round < 3; ++round) {
    std::size_t completed = 0;
    for (std::size_t taken = writer_->submit(list); completed < taken;) {
      pollfd wake{writer_->info().wake_fd, POLLIN, 0};
      ASSERT_EQ(::poll(&wake, 1, 20'000), 1);
      completed += writer_->poll(done);
    }
  }
  EXPECT_EQ(testing::allocations(), before);
}

TEST_P(NvmeLinkTest, TiersThatItCannotJoinGetNoLink) {
  make(64 * kKiB);
  const AlignedTier other_size(2, 32 * kKiB);
  EXPECT_EQ(connect(*memory_, *memory_), nullptr);
  EXPECT_EQ(connect(*file_, *file_), nullptr);
  EXPECT_EQ(connect(*file_, other_size), nullptr);
  const AlignedTier loose(2, 64 * kKiB, 1, 512);
  const AlignedTier small_pieces(2, 64 * kKiB, 32);
  EXPECT_EQ(connect(*file_, loose) == nullptr, file_->direct());
  EXPECT_EQ(connect(small_pieces, *file_) == nullptr, file_->direct());
}

INSTANTIATE_TEST_SUITE_P(Queues, NvmeLinkTest,
                         ::testing::Values(Mode{"Uring", QueueKind::kUring, true},
                                           Mode{"UringOfSeveralThreads", QueueKind::kUring, false},
                                           Mode{"Threads", QueueKind::kThreads, true}),
                         [](const auto& mode) { return mode.param.name; });

}  // namespace
}  // namespace kelvin::nvme
