// The emulated device: its queues and streams, how it refuses what a real one would, and what can go wrong
// with it; and devices by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "checksum/crc32c.h"
#include "hbm_fixture.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint64_t kBytes = 64 << 10;

struct EmulatedDeviceTest : ::testing::Test {
  EmulatedDevice device{7};
  std::string why;
  std::unique_ptr<Memory> memory = taken(device.allocate(kBytes, false, &why));
  Pinned host = taken(Pinned::make(device, kBytes, &why));
  std::unique_ptr<Queue> queue = taken(device.open_queue(&why));

  void SetUp() override { std::memcpy(host.base(), testing::pattern(1, kBytes).data(), kBytes); }

  Status finish(Queue& on) {
    const auto record = on.record();
    if (!record.ok()) return record.status();
    Status status = device.passed(*record);
    while (status.code() == Code::kBusy) {
      std::this_thread::sleep_for(20us);
      status = device.passed(*record);
    }
    device.give_back(*record);
    return status;
  }
  Status load(Way way = Way::kPlain) {
    const Piece piece{host.base(), memory->base(), kBytes};
    return queue->copy(Direction::kFromHost, way, {&piece, 1});
  }
  bool loaded() const { return std::memcmp(memory->base(), host.base(), kBytes) == 0; }
};

TEST_F(EmulatedDeviceTest, CopiesInEachWay) {
  for (const Way way : {Way::kPlain, Way::kBatch, Way::kKernel}) {
    std::memset(memory->base(), 0, kBytes);
    ASSERT_TRUE(load(way).ok());
    ASSERT_TRUE(finish(*queue).ok());
    EXPECT_TRUE(loaded());
  }
}

TEST_F(EmulatedDeviceTest, ReturnsBeforeItHasCopied) {
  device.stall();
  ASSERT_TRUE(load().ok());
  const auto record = queue->record();
  EXPECT_EQ(device.passed(*record).code(), Code::kBusy);
  EXPECT_FALSE(loaded());
  device.resume();
  EXPECT_TRUE(finish(*queue).ok());
  EXPECT_TRUE(loaded());
  device.give_back(*record);
}

TEST_F(EmulatedDeviceTest, SumsWhatWasCopiedBefore) {
  ASSERT_TRUE(load().ok());
  const Extent halves[] = {{memory->base(), kBytes / 2}, {memory->base() + kBytes / 2, kBytes / 2}};
  auto sum = taken(Pinned::make(device, 4096, &why));
  auto* const result = reinterpret_cast<std::uint32_t*>(sum.base());
  ASSERT_TRUE(queue->checksum(halves, result).ok());
  ASSERT_TRUE(finish(*queue).ok());
  EXPECT_EQ(*result, crc32c(host.base(), kBytes));
}

TEST_F(EmulatedDeviceTest, RefusesMemoryThatIsNotRegisteredOrNotItsOwn) {
  std::vector<std::byte> loose(kBytes);
  const Piece from{loose.data(), memory->base(), kBytes};
  EXPECT_EQ(queue->copy(Direction::kFromHost, Way::kPlain, {&from, 1}).code(), Code::kMisuse);
  const Piece beyond{host.base(), memory->base() + 1, kBytes};
  EXPECT_EQ(queue->copy(Direction::kFromHost, Way::kPlain, {&beyond, 1}).code(), Code::kMisuse);
  const Piece odd{host.base(), memory->base() + 8, 64};
  EXPECT_EQ(queue->copy(Direction::kFromHost, Way::kKernel, {&odd, 1}).code(), Code::kInvalid);
}

TEST_F(EmulatedDeviceTest, CountsRegistrations) {
  std::vector<std::byte> bytes(kBytes);
  const HostRange range{bytes.data(), kBytes};
  const std::uint64_t before = device.registered_bytes();
  ASSERT_TRUE(device.register_host(range, &why).ok());
  ASSERT_TRUE(device.register_host(range, &why).ok());
  device.unregister_host(range);
  EXPECT_EQ(device.registered_bytes(), before + kBytes);
  device.unregister_host(range);
  EXPECT_EQ(device.registered_bytes(), before);
}

TEST_F(EmulatedDeviceTest, AQueueWaitsForAnother) {
  const auto other = taken(device.open_queue(&why));
  const Stream stream = device.make_stream();
  std::atomic<bool> open{false};
  device.launch(stream, [&] {
    while (!open) std::this_thread::sleep_for(100us);
  });
  const auto record = device.record(stream);
  ASSERT_TRUE(queue->after(*record).ok());
  ASSERT_TRUE(load().ok());
  EXPECT_TRUE(finish(*other).ok()) << "queues go beside each other";
  EXPECT_FALSE(loaded());
  open = true;
  EXPECT_TRUE(finish(*queue).ok());
  EXPECT_TRUE(loaded());
  device.give_back(*record);
  device.close_stream(stream);
}

TEST_F(EmulatedDeviceTest, AStreamWaitsForAQueueAndForAWord) {
  auto word = new (host.base()) std::atomic<std::uint32_t>(0xFFFFFFF0U);
  const Stream stream = device.make_stream();
  ASSERT_TRUE(device.wait(stream, word, 3).ok());
  const auto record = device.record(stream);
  EXPECT_EQ(device.passed(*record).code(), Code::kBusy);
  word->store(3);  // comes after 0xFFFFFFF0: numbers go round
  device.synchronize(stream);
  EXPECT_TRUE(device.passed(*record).ok());
  device.give_back(*record);
  device.close_stream(stream);
}

TEST_F(EmulatedDeviceTest, RecordsThatWereGivenBackMeanNothing) {
  const auto record = queue->record();
  device.give_back(*record);
  device.give_back(*record);
  EXPECT_EQ(device.passed(*record).code(), Code::kMisuse);
}

TEST_F(EmulatedDeviceTest, HasSoManyRecords) {
  EmulatedDevice small(8, {.records = 2});
  const auto on = taken(small.open_queue(&why));
  const auto first = on->record();
  const auto second = on->record();
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(on->record().status().code(), Code::kBusy);
  small.give_back(*first);
  EXPECT_TRUE(on->record().ok());
}

TEST_F(EmulatedDeviceTest, FailsCopiesWhenToldSoAndGoesOn) {
  device.fail_copies(1);
  EXPECT_EQ(load().code(), Code::kIo);
  EXPECT_TRUE(load().ok());
}

TEST_F(EmulatedDeviceTest, LosesItselfForGood) {
  device.stall();
  ASSERT_TRUE(load().ok());
  const auto record = queue->record();
  device.lose();
  EXPECT_EQ(device.passed(*record).code(), Code::kUnavailable);
  EXPECT_EQ(load().code(), Code::kUnavailable);
  EXPECT_EQ(queue->record().status().code(), Code::kUnavailable);
  EXPECT_EQ(device.allocate(1, false, &why).status().code(), Code::kUnavailable);
  EXPECT_EQ(device.record(nullptr).status().code(), Code::kUnavailable);
  EXPECT_FALSE(loaded());
}

TEST_F(EmulatedDeviceTest, HasAsMuchMemoryAsItSays) {
  device.limit_memory(2 * kBytes);
  auto second = device.allocate(kBytes, false, &why);
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(device.allocate(1, false, &why).status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("emulated:7 has 131072 bytes"));
  second->reset();
  EXPECT_TRUE(device.allocate(kBytes, false, &why).ok());
}

TEST_F(EmulatedDeviceTest, SharesMemoryByAFile) {
  EXPECT_EQ(memory->share().status().code(), Code::kUnsupported);
  const auto shared = taken(device.allocate(kBytes, true, &why));
  const auto fd = shared->share();
  ASSERT_TRUE(fd.ok());
  void* const there = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
  ASSERT_NE(there, MAP_FAILED);
  std::memcpy(there, host.base(), kBytes);
  EXPECT_EQ(std::memcmp(shared->base(), host.base(), kBytes), 0);
  ::munmap(there, kBytes);
  ::close(*fd);
}

TEST(OpenDevice, KnowsDevicesByName) {
  std::string why;
  const auto first = open_device("emulated:3", &why);
  ASSERT_TRUE(first.ok()) << why;
  EXPECT_EQ((*first)->properties().name, "emulated:3");
  EXPECT_EQ(*open_device("emulated:3", &why), *first) << "opened once";
  EXPECT_NE(*open_device("emulated", &why), *first);
}

TEST(OpenDevice, SaysWhatANameMayBe) {
  std::string why;
  for (const char* name :
       {"", "gpu", "emulated:", "emulated:x", "emulated:-1", "emulated:1x", "cuda:99999", "rocm:0"}) {
    EXPECT_EQ(open_device(name, &why).status().code(), Code::kInvalid) << name;
    EXPECT_THAT(why, HasSubstr("cuda:0"));
  }
}

TEST(OpenDevice, SaysWhyThereIsNoGpu) {
  std::string why;
  const auto device = open_device("cuda:0", &why);
  if (device.ok()) GTEST_SKIP() << "there is one: " << (*device)->properties().model;
  EXPECT_TRUE(device.status().code() == Code::kUnavailable || device.status().code() == Code::kUnsupported);
  EXPECT_FALSE(why.empty());
}

}  // namespace
}  // namespace kelvin::hbm
