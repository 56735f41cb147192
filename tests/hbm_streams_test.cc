// SlotStreams: marks of the engine's streams, and which slots follow them.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "hbm_fixture.h"
#include "tiers/hbm/slot_streams.h"

namespace kelvin::hbm {
namespace {

using namespace std::chrono_literals;

// A stream on which the engine works until it is let go.
class Busy {
 public:
  explicit Busy(EmulatedDevice& device) : device_(device), stream_(device.make_stream()) { work(); }
  ~Busy() {
    go();
    device_.close_stream(stream_);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  Stream stream() const { return stream_; }
  void work() {
    device_.launch(stream_, [this] {
      while (!go_) std::this_thread::sleep_for(50us);
    });
  }
  void go() {
    go_ = true;
    device_.synchronize(stream_);
  }

 private:
  EmulatedDevice& device_;
  Stream stream_;
  std::atomic<bool> go_{false};
};

struct SlotStreamsTest : ::testing::Test {
  EmulatedDevice device{9};
  std::string why;
  std::unique_ptr<SlotStreams> streams = taken(SlotStreams::open(device, 64, 32, &why));

  std::uint64_t follow(Stream stream, std::vector<Slot> slots) const {
    const auto mark = streams->follow(stream, slots);
    EXPECT_TRUE(mark.ok()) << mark.status().message();
    return mark.ok() ? *mark : 0;
  }
  std::uint64_t open_mark(std::uint32_t slot) const {
    const Slot one(slot);
    return streams->open_mark({&one, 1});
  }
};

TEST_F(SlotStreamsTest, ASlotFollowsNothingAtFirst) {
  EXPECT_EQ(open_mark(0), 0U);
  EXPECT_EQ(streams->open_mark({}), 0U);
}

TEST_F(SlotStreamsTest, ASlotFollowsAStreamUntilItsWorkIsDone) {
  Busy busy(device);
  const std::uint64_t mark = follow(busy.stream(), {Slot(1), Slot(2)});
  EXPECT_EQ(streams->passed(mark).code(), Code::kBusy);
  EXPECT_EQ(open_mark(1), mark);
  EXPECT_EQ(open_mark(2), mark);
  EXPECT_EQ(open_mark(3), 0U);
  busy.go();
  EXPECT_TRUE(streams->passed(mark).ok());
  EXPECT_EQ(open_mark(1), 0U);
}

TEST_F(SlotStreamsTest, MarksRiseAndTheLargestOpenOneIsTold) {
  Busy first(device);
  Busy second(device);
  const std::uint64_t one = follow(first.stream(), {Slot(0)});
  const std::uint64_t two = follow(second.stream(), {Slot(1)});
  EXPECT_GT(two, one);
  const std::vector<Slot> both = {Slot(0), Slot(1)};
  EXPECT_EQ(streams->open_mark(both), two);
  second.go();
  EXPECT_EQ(streams->open_mark(both), one);
}

TEST_F(SlotStreamsTest, WhatASlotFollowedBeforeCountsAsWell) {
  Busy first(device);
  Busy second(device);
  follow(first.stream(), {Slot(0)});
  const std::uint64_t later = follow(second.stream(), {Slot(0)});
  second.go();
  EXPECT_EQ(streams->passed(later).code(), Code::kBusy) << "the first stream is at work";
  EXPECT_EQ(open_mark(0), later);
  first.go();
  EXPECT_TRUE(streams->passed(later).ok());
  EXPECT_EQ(open_mark(0), 0U);
}

TEST_F(SlotStreamsTest, AQueueWaitsForNothingElseThanWhatItsSlotsFollow) {
  Busy first(device);
  Busy second(device);
  follow(first.stream(), {Slot(0)});
  follow(second.stream(), {Slot(1)});
  const auto queue = taken(device.open_queue(&why));
  const Slot slot(1);
  ASSERT_TRUE(streams->order(*queue, {&slot, 1}).ok());
  const auto record = queue->record();
  EXPECT_EQ(device.passed(*record).code(), Code::kBusy);
  second.go();
  while (device.passed(*record).code() == Code::kBusy) std::this_thread::sleep_for(50us);
  EXPECT_TRUE(device.passed(*record).ok()) << "the first stream is none of its business";
  device.give_back(*record);
}

TEST_F(SlotStreamsTest, AStreamComesAfterWhatSlotsFollow) {
  Busy first(device);
  follow(first.stream(), {Slot(5)});
  const Stream second = device.make_stream();
  const Slot slot(5);
  ASSERT_TRUE(streams->precede(second, {&slot, 1}).ok());
  std::atomic<bool> ran{false};
  device.launch(second, [&] { ran = true; });
  std::this_thread::sleep_for(2ms);
  EXPECT_FALSE(ran);
  first.go();
  device.synchronize(second);
  EXPECT_TRUE(ran);
  device.close_stream(second);
}

TEST_F(SlotStreamsTest, TooManyOpenMarksAreRefusedUntilSomeAreDone) {
  Busy busy(device);
  for (std::uint32_t i = 0; i < SlotStreams::kMarks; ++i) follow(busy.stream(), {Slot(i % 64)});
  const Slot slot(0);
  EXPECT_EQ(streams->follow(busy.stream(), {&slot, 1}).status().code(), Code::kBusy);
  busy.go();
  EXPECT_TRUE(streams->follow(busy.stream(), {&slot, 1}).ok());
}

TEST_F(SlotStreamsTest, MarksAreNeverMixedUpWithThoseWhosePlaceTheyTake) {
  const Stream stream = device.make_stream();
  std::vector<std::uint64_t> marks;
  for (std::uint32_t i = 0; i < 3 * SlotStreams::kMarks; ++i) {
    marks.push_back(follow(stream, {Slot(i % 64)}));
    device.synchronize(stream);
  }
  for (const std::uint64_t mark : marks) EXPECT_TRUE(streams->passed(mark).ok());
  EXPECT_EQ(streams->passed(marks.back() + 1).code(), Code::kInvalid);
  device.close_stream(stream);
}

TEST_F(SlotStreamsTest, AStreamWaitsForAWord) {
  ASSERT_EQ(streams->words().size(), 32U);
  const Stream stream = device.make_stream();
  ASSERT_TRUE(streams->wait(stream, 31, 2).ok());
  std::atomic<bool> ran{false};
  device.launch(stream, [&] { ran = true; });
  streams->words()[31].store(1);
  std::this_thread::sleep_for(2ms);
  EXPECT_FALSE(ran);
  streams->words()[31].store(2);
  device.synchronize(stream);
  EXPECT_TRUE(ran);
  EXPECT_EQ(streams->wait(stream, 32, 0).code(), Code::kInvalid);
  device.close_stream(stream);
}

// The word lies in memory that goes with the tier: a stream that looked at it later would look at nothing.
TEST_F(SlotStreamsTest, AWordStaysAsLongAsAStreamMayWaitForIt) {
  Busy busy(device);
  for (const std::uint32_t value : {1U, 2U}) ASSERT_TRUE(streams->wait(busy.stream(), 3, value).ok());
  streams->words()[3].store(2);
  std::atomic<bool> closed{false};
  std::thread closing([&] {
    streams.reset();
    closed = true;
  });
  std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(closed);
  busy.go();
  closing.join();
}

TEST_F(SlotStreamsTest, StreamsWaitForAsManyWordsAsTheyPassAndNoMoreAtOnce) {
  streams = taken(SlotStreams::open(device, 1, 1000, &why));
  const Stream stream = device.make_stream();
  for (std::uint32_t word = 0; word < 1000; ++word) {
    ASSERT_TRUE(streams->wait(stream, word, 0).ok()) << word;
    device.synchronize(stream);
  }
  std::uint32_t waiting = 0;
  while (waiting < 1000 && streams->wait(stream, waiting, 1).ok()) ++waiting;
  EXPECT_EQ(waiting, 256U);
  EXPECT_TRUE(streams->wait(stream, 0, 1).ok()) << "once more for the same costs nothing";
  EXPECT_EQ(streams->wait(stream, 256, 1).code(), Code::kBusy);
  for (auto& word : streams->words()) word.store(1);
  device.synchronize(stream);
  EXPECT_TRUE(streams->wait(stream, 256, 1).ok());
  waiting = 0;
  while (streams->wait(stream, waiting, 2).ok()) ++waiting;
  device.lose();
  EXPECT_EQ(streams->wait(stream, waiting, 2).code(), Code::kUnavailable) << "and not kBusy";
  device.close_stream(stream);
}

// As launches, calls that put something on a full stream wait; those that make room on it must not.
TEST_F(SlotStreamsTest, AFullStreamHoldsUpNobodyElse) {
  const Stream stream = device.make_stream();
  const Slot slot(1);
  Busy other(device);
  const std::uint64_t mark = follow(other.stream(), {slot});
  ASSERT_TRUE(streams->wait(stream, 0, 1).ok());
  device.launch(stream, [] {});
  device.limit_streams(2);
  std::vector<std::thread> held;
  held.emplace_back([&] { EXPECT_TRUE(streams->follow(stream, {}).ok()); });
  held.emplace_back([&] { EXPECT_TRUE(streams->precede(stream, {&slot, 1}).ok()); });
  held.emplace_back([&] { EXPECT_TRUE(streams->wait(stream, 2, 0).ok()); });
  std::this_thread::sleep_for(5ms);
  auto asked = std::async(std::launch::async, [&] {
    EXPECT_EQ(open_mark(1), mark);
    other.go();  // what is held for precede passes meanwhile
    EXPECT_TRUE(streams->passed(mark).ok());
    EXPECT_NE(follow(other.stream(), {slot}), 0U);
  });
  EXPECT_EQ(asked.wait_for(10s), std::future_status::ready);
  streams->words()[0].store(1);
  for (std::thread& thread : held) thread.join();
  device.synchronize(stream);
  device.close_stream(stream);
}

TEST_F(SlotStreamsTest, ADeviceWithoutWordsSaysSo) {
  EmulatedDevice plain(10, {.waits_for_words = false});
  const auto other = taken(SlotStreams::open(plain, 1, 1, &why));
  EXPECT_EQ(other->wait(nullptr, 0, 0).code(), Code::kUnsupported);
}

TEST_F(SlotStreamsTest, ALostDeviceHasLostItsMarks) {
  Busy busy(device);
  const std::uint64_t mark = follow(busy.stream(), {Slot(0)});
  busy.go();
  EXPECT_TRUE(streams->passed(0).ok());
  device.lose();
  EXPECT_EQ(streams->passed(0).code(), Code::kUnavailable);
  EXPECT_EQ(streams->passed(mark).code(), Code::kUnavailable);
  const Slot slot(0);
  EXPECT_EQ(streams->follow(busy.stream(), {&slot, 1}).status().code(), Code::kUnavailable);
}

// Two streams and two threads follow and ask, while marks pass.
TEST_F(SlotStreamsTest, ThreadsMayDoAllOfThisAtOnce) {
  const auto use = [&](std::uint32_t seed) {
    const Stream stream = device.make_stream();
    for (std::uint32_t i = 0; i < 2000; ++i) {
      const std::vector<Slot> slots = {Slot((i * 7 + seed) % 64), Slot(i % 64)};
      const auto mark = streams->follow(stream, slots);
      if (mark.ok()) {
        EXPECT_NE(streams->passed(*mark).code(), Code::kInvalid);
      }
      static_cast<void>(streams->open_mark(slots));
      EXPECT_TRUE(streams->precede(stream, slots).ok());
    }
    device.synchronize(stream);
    device.close_stream(stream);
  };
  std::thread other(use, 3);
  use(0);
  other.join();
  for (std::uint32_t slot = 0; slot < 64; ++slot) EXPECT_EQ(open_mark(slot), 0U);
}

// On every device, with the default stream.
class StreamsOnADevice : public ::testing::TestWithParam<const char*> {};

TEST_P(StreamsOnADevice, MarksOfTheDefaultStreamPass) {
  std::string missing;
  Device* device = device_of(GetParam(), &missing);
  if (device == nullptr) GTEST_SKIP() << missing;
  const auto tier = open_tier({.slots = 8, .settings = on(GetParam())});
  ASSERT_NE(tier, nullptr);
  const Slot slot(3);
  const auto mark = tier->streams().follow(nullptr, {&slot, 1});
  ASSERT_TRUE(mark.ok()) << mark.status().message();
  Status status = tier->streams().passed(*mark);
  while (status.code() == Code::kBusy) {
    std::this_thread::sleep_for(50us);
    status = tier->streams().passed(*mark);
  }
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(tier->streams().open_mark({&slot, 1}), 0U);
}

INSTANTIATE_TEST_SUITE_P(On, StreamsOnADevice, ::testing::ValuesIn(kDevices), device_name);

}  // namespace
}  // namespace kelvin::hbm
