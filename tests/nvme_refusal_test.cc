// A kernel that takes no entries for a while, because it is short of memory: what waits in the ring can be
// canceled, and the queue goes on afterwards.
#include <gtest/gtest.h>
#include <liburing.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>

#include "base/fd.h"
#include "nvme_fixture.h"
#include "tiers/nvme/io_queue.h"

namespace {
thread_local bool refuses = false;
}

// Stands before that of liburing, for this program.
extern "C" int io_uring_submit(io_uring* ring) {
  return refuses ? -EAGAIN : io_uring_submit_and_wait(ring, 0);
}

namespace kelvin::nvme {
namespace {

constexpr std::uint32_t kCapacity = 8;

class NvmeRefusal : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string why;
    if (!has_uring(&why)) GTEST_SKIP() << why;
    fd_ = Fd(::open(directory_.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_GE(fd_.get(), 0);
    ASSERT_EQ(::ftruncate(fd_.get(), kCapacity * kPageBytes), 0);
    auto queue = open_uring_queue(fd_.get(),
                                  {.capacity = kCapacity, .wake = &wake_, .single_issuer = GetParam()}, &why);
    ASSERT_TRUE(queue.ok()) << why;
    queue_ = std::move(queue).value();
    for (std::uint32_t i = 0; i < kCapacity; ++i) {
      std::memset(pages_[i].bytes.data(), static_cast<int>(i + 1), kPageBytes);
      vectors_[i] = {pages_[i].bytes.data(), kPageBytes};
    }
  }
  void TearDown() override { refuses = false; }

  std::size_t write(std::uint32_t first, std::uint32_t count) {
    std::array<IoRequest, kCapacity> requests;
    for (std::uint32_t i = 0; i < count; ++i) {
      requests[i] = {.tag = first + i,
                     .write = true,
                     .offset = (first + i) * kPageBytes,
                     .vectors = &vectors_[first + i],
                     .vector_count = 1};
    }
    return queue_->submit(std::span(requests).first(count));
  }
  // By tag, once `count` have come.
  std::map<std::uint64_t, std::int32_t> reap(std::size_t count) {
    std::map<std::uint64_t, std::int32_t> results;
    std::array<IoResult, kCapacity> batch;
    for (std::size_t seen = 0; seen < count;) {
      const std::size_t n = queue_->reap(batch);
      for (const IoResult& result : std::span(batch).first(n)) results[result.tag] = result.result;
      seen += n;
    }
    return results;
  }
  int written(std::uint32_t page) const {
    char byte = 0;
    EXPECT_EQ(::pread(fd_.get(), &byte, 1, static_cast<off_t>(page * kPageBytes)), 1);
    return byte;
  }

  struct alignas(kPageBytes) Page {
    std::array<std::byte, kPageBytes> bytes;
  };
  ScratchDirectory directory_;
  Fd fd_;
  EventFd wake_;
  std::array<Page, kCapacity> pages_;
  std::array<iovec, kCapacity> vectors_;
  std::unique_ptr<IoQueue> queue_;
};
INSTANTIATE_TEST_SUITE_P(Issuer, NvmeRefusal, ::testing::Values(true, false),
                         [](const auto& mode) { return mode.param ? "Single" : "Any"; });

TEST_P(NvmeRefusal, WhatTheKernelDoesNotTakeIsTakenLater) {
  refuses = true;
  ASSERT_EQ(write(0, 4), 4u);
  std::array<IoResult, kCapacity> none;
  EXPECT_EQ(queue_->reap(none), 0u);
  refuses = false;
  for (const auto& [tag, result] : reap(4)) EXPECT_EQ(result, static_cast<int>(kPageBytes)) << tag;
}

TEST_P(NvmeRefusal, WhatWasNotTakenIsCanceledAndNeverWritten) {
  ASSERT_EQ(write(0, 2), 2u);
  for (const auto& [tag, result] : reap(2)) EXPECT_EQ(result, static_cast<int>(kPageBytes)) << tag;
  refuses = true;
  ASSERT_EQ(write(2, 4), 4u);
  queue_->cancel();
  refuses = false;
  const auto results = reap(4);
  ASSERT_EQ(results.size(), 4u);
  for (const auto& [tag, result] : results) {
    EXPECT_GE(tag, 2u);
    EXPECT_EQ(result, -ECANCELED) << tag;
    EXPECT_EQ(written(static_cast<std::uint32_t>(tag)), 0);
  }
}

TEST_P(NvmeRefusal, TheQueueServesOnAfterIt) {
  for (int round = 0; round < 5; ++round) {
    refuses = true;
    ASSERT_EQ(write(0, kCapacity), kCapacity);
    EXPECT_EQ(write(0, 1), 0u) << "it is full";
    queue_->cancel();
    queue_->cancel();
    refuses = false;
    for (const auto& [tag, result] : reap(kCapacity)) EXPECT_EQ(result, -ECANCELED) << tag;
  }
  ASSERT_EQ(write(0, kCapacity), kCapacity);
  for (const auto& [tag, result] : reap(kCapacity)) EXPECT_EQ(result, static_cast<int>(kPageBytes)) << tag;
  for (std::uint32_t i = 0; i < kCapacity; ++i) EXPECT_EQ(written(i), static_cast<int>(i + 1));
}

}  // namespace
}  // namespace kelvin::nvme
