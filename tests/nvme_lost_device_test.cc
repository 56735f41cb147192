// A device of a striped tier dies: its slots are lost, those of the others go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "nvme_fixture.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint32_t kSlots = 64;
constexpr std::uint64_t kBlock = 64 * kKiB;

// What a drive answers from now on; 0: what the file says.
struct Trouble {
  int error = 0;
  std::uint64_t from = 0;  // requests that touch bytes in [from, to) only
  std::uint64_t to = ~std::uint64_t{0};
  std::uint64_t asked = 0;  // requests that came
};

class TroubledQueue final : public IoQueue {
 public:
  TroubledQueue(std::unique_ptr<IoQueue> queue, Trouble& trouble, const EventFd& wake)
      : queue_(std::move(queue)), trouble_(trouble), wake_(wake) {}

  std::size_t submit(std::span<const IoRequest> requests) noexcept override {
    for (const IoRequest& request : requests) {
      ++trouble_.asked;
      if (trouble_.error != 0 && request.offset >= trouble_.from && request.offset < trouble_.to) {
        failed_.push_back({request.tag, -trouble_.error});
        wake_.signal();
      } else if (queue_->submit({&request, 1}) != 1) {
        return static_cast<std::size_t>(&request - requests.data());
      }
    }
    return requests.size();
  }
  std::size_t reap(std::span<IoResult> results) noexcept override {
    std::size_t n = 0;
    for (; n < results.size() && !failed_.empty(); ++n) {
      results[n] = failed_.back();
      failed_.pop_back();
    }
    return n + queue_->reap(results.subspan(n));
  }
  void cancel() noexcept override { queue_->cancel(); }
  const char* description() const noexcept override { return queue_->description(); }

 private:
  std::unique_ptr<IoQueue> queue_;
  Trouble& trouble_;
  const EventFd& wake_;
  std::vector<IoResult> failed_;
};

class TroubledMedium final : public Medium {
 public:
  TroubledMedium(std::unique_ptr<Medium> medium, Trouble& trouble)
      : medium_(std::move(medium)), trouble_(trouble) {}

  const MediumInfo& info() const noexcept override { return medium_->info(); }
  Status reserve(std::uint64_t bytes, bool prewrite, std::string* why) override {
    return medium_->reserve(bytes, prewrite, why);
  }
  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override {
    return trouble_.error != 0 ? Status(Code::kIo, "reading") : medium_->read(offset, bytes);
  }
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override {
    return trouble_.error != 0 ? Status(Code::kIo, "writing") : medium_->write(offset, bytes);
  }
  Status flush() noexcept override { return medium_->flush(); }
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override {
    auto queue = medium_->open_queue(config, why);
    if (!queue.ok()) return queue;
    return Result<std::unique_ptr<IoQueue>>(
        std::make_unique<TroubledQueue>(std::move(queue).value(), trouble_, *config.wake));
  }

 private:
  std::unique_ptr<Medium> medium_;
  Trouble& trouble_;
};

class NvmeLostDevice : public ::testing::Test {
 protected:
  void make(std::uint32_t devices) {
    std::vector<std::unique_ptr<Volume>> volumes;
    VolumeConfig config = volume_config(kBlock, kSlots / devices);
    config.members = devices;
    for (config.member = 0; config.member < devices; ++config.member) {
      std::string why;
      auto file = FileMedium::open(
          {.path = directory_.file(std::to_string(config.member)), .require_direct = false}, &why);
      ASSERT_TRUE(file.ok()) << why;
      ASSERT_TRUE((*file)->reserve(config.geometry.bytes(), false, &why).ok()) << why;
      auto medium = std::make_unique<TroubledMedium>(std::move(file).value(), trouble_[config.member]);
      auto volume = Volume::open(std::move(medium), config, Content::kNothing, &why);
      ASSERT_TRUE(volume.ok()) << why;
      volumes.push_back(std::move(volume).value());
    }
    drives_ = std::make_unique<NvmeTier>("nvme", std::move(volumes), LinkSettings{});
    memory_ = std::make_unique<AlignedTier>(kSlots, kBlock);
    std::memset(memory_->address(Slot(0), 0).pointer, 7, kSlots * kBlock);
    writer_ = open_link(*memory_, *drives_);
    reader_ = open_link(*drives_, *memory_);
  }
  // Copies all slots by turns of `batch`; how each of them ended.
  static std::vector<Completion> copy_all(Link& link, std::uint32_t batch = 16) {
    std::vector<Completion> ends(kSlots);
    for (std::uint32_t first = 0; first < kSlots; first += batch) {
      std::vector<Copy> copies;
      for (std::uint32_t s = first; s < first + batch; ++s) {
        copies.push_back({.tag = s, .from = Slot(s), .to = Slot(s), .key = {s, 1}, .parent = {}});
      }
      EXPECT_EQ(link.submit(copies), batch);
      for (std::uint32_t ended = 0; ended < batch;) {
        pollfd wake{link.info().wake_fd, POLLIN, 0};
        if (::poll(&wake, 1, 20'000) != 1) {
          ADD_FAILURE() << "wake_fd stayed silent";
          return ends;
        }
        std::array<Completion, 8> done;
        const std::size_t n = link.poll(done);
        for (const Completion& c : std::span(done).first(n)) ends[c.tag] = c;
        ended += static_cast<std::uint32_t>(n);
      }
    }
    return ends;
  }
  static bool fine(const Completion& c) { return c.status.ok(); }
  static bool confined(const Completion& c) { return c.status.code() == Code::kIo && c.slot_only; }

  ScratchDirectory directory_;
  std::array<Trouble, 2> trouble_;
  std::unique_ptr<NvmeTier> drives_;
  std::unique_ptr<AlignedTier> memory_;
  std::unique_ptr<Link> writer_;
  std::unique_ptr<Link> reader_;
};

TEST_F(NvmeLostDevice, TakesOnlyItsSlotsWithIt) {
  for (const int error : {ENODEV, EIO}) {
    SCOPED_TRACE(error);
    trouble_ = {};
    reader_.reset();
    writer_.reset();
    drives_.reset();
    make(2);
    for (const Completion& c : copy_all(*writer_)) ASSERT_TRUE(fine(c)) << c.status.message();
    trouble_[1].error = error;
    for (Link* link : {reader_.get(), writer_.get()}) {
      const auto ends = copy_all(*link);
      for (std::uint32_t s = 0; s < kSlots; ++s)
        EXPECT_TRUE(s % 2 == 0 ? fine(ends[s]) : confined(ends[s])) << s;
    }
  }
}

TEST_F(NvmeLostDevice, IsAskedNoMore) {
  make(2);
  trouble_[1].error = ENODEV;
  copy_all(*writer_);
  EXPECT_TRUE(drives_->volume(1).health().lost());
  EXPECT_FALSE(drives_->volume(0).health().lost());
  const std::uint64_t asked = trouble_[1].asked;
  EXPECT_LE(asked, 8u) << "those of the first batch";
  copy_all(*writer_);
  copy_all(*reader_);
  EXPECT_EQ(trouble_[1].asked, asked);
}

TEST_F(NvmeLostDevice, OneThatFailsOnEveryBlockIsLostAfterAWhile) {
  make(2);
  trouble_[1].error = EIO;
  copy_all(*writer_);
  EXPECT_TRUE(drives_->volume(1).health().lost());
  EXPECT_LE(trouble_[1].asked, 40u);
}

TEST_F(NvmeLostDevice, BadPlacesAloneAreNoLoss) {
  make(2);
  for (const Completion& c : copy_all(*writer_)) ASSERT_TRUE(fine(c));
  const Geometry& geometry = drives_->volume(1).geometry();
  trouble_[1] = {.error = EIO, .from = geometry.offset(3), .to = geometry.offset(5)};
  for (int round = 0; round < 30; ++round) {
    const auto ends = copy_all(*reader_);
    for (std::uint32_t s = 0; s < kSlots; ++s) {
      EXPECT_TRUE(s == 7 || s == 9 ? confined(ends[s]) : fine(ends[s])) << s;
    }
  }
  EXPECT_FALSE(drives_->volume(1).health().lost());
}

TEST_F(NvmeLostDevice, WithTheLastOneTheTierIsGone) {
  make(2);
  trouble_[0].error = ENODEV;
  trouble_[1].error = ENODEV;
  copy_all(*writer_);
  for (const Completion& c : copy_all(*reader_)) {
    EXPECT_EQ(c.status.code(), Code::kUnavailable);
    EXPECT_FALSE(c.slot_only);
  }
}

TEST_F(NvmeLostDevice, AloneItIsTheTier) {
  make(1);
  trouble_[0].error = ENODEV;
  for (const Completion& c : copy_all(*writer_)) {
    EXPECT_EQ(c.status.code(), Code::kUnavailable);
    EXPECT_FALSE(c.slot_only);
  }
  trouble_[0].error = EIO;
  for (const Completion& c : copy_all(*reader_)) {
    EXPECT_EQ(c.status.code(), Code::kIo);
    EXPECT_FALSE(c.slot_only);
  }
  trouble_[0].error = 0;
  for (const Completion& c : copy_all(*writer_)) EXPECT_TRUE(fine(c)) << "the mover decides, not the lane";
}

}  // namespace
}  // namespace kelvin::nvme
