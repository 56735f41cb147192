// CudaDevice: properties, memory, registration, the engine's streams. On the pretended driver and on a GPU.
#include "tiers/hbm/cuda/cuda_device.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/cuda_fixture.h"

namespace kelvin::hbm {
namespace {

class CudaDeviceTest : public CudaTest {};

TEST_P(CudaDeviceTest, SaysWhatItIs) {
  const DeviceProperties& properties = device_->properties();
  EXPECT_EQ(properties.name, "cuda:0");
  EXPECT_FALSE(properties.model.empty());
  EXPECT_GT(properties.bytes, 0U);
  EXPECT_LE(properties.free_bytes, properties.bytes);
  EXPECT_GT(properties.multiprocessors, 0U);
  EXPECT_TRUE(has(Way::kPlain));
  EXPECT_EQ(properties.checksums, properties.lacks.empty());
}

TEST_P(CudaDeviceTest, SaysThatThereIsNoSuchGpu) {
  EXPECT_EQ(open(99), nullptr);
  EXPECT_NE(why_.find("cuda:99: there is no such GPU"), std::string::npos) << why_;
}

TEST_P(CudaDeviceTest, MemoryThatDoesNotFitSaysHowMuchThereIs) {
  const auto memory = device_->allocate(std::uint64_t{1} << 45, false, &why_);
  EXPECT_EQ(memory.status().code(), Code::kFull);
  EXPECT_NE(why_.find("32768.0 GiB"), std::string::npos) << why_;
  EXPECT_NE(why_.find("smaller capacity"), std::string::npos) << why_;
}

TEST_P(CudaDeviceTest, SharedMemoryHasAHandleAndOtherMemoryNone) {
  const auto alone = allocate(1 << 20);
  EXPECT_EQ(alone->share().status().code(), Code::kUnsupported);
  if (!device_->properties().shares_memory) GTEST_SKIP() << "this GPU's memory cannot be shared";
  const auto shared = allocate((1 << 20) + 1, true);
  EXPECT_EQ(shared->bytes(), (1U << 20) + 1);
  const auto handle = shared->share();
  if (handle.status().code() == Code::kUnsupported)
    GTEST_SKIP() << "the driver refuses to export memory here";
  ASSERT_TRUE(handle.ok()) << handle.status().message();
  EXPECT_GE(::fcntl(*handle, F_GETFD), 0);  // NOLINT(*-vararg)
  ::close(*handle);

  const auto queue = open_queue();
  Bytes bytes = random_bytes(1 << 20, 3);
  const Bytes original = bytes;
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  const Piece in{.from = bytes.data(), .to = shared->base(), .bytes = bytes.size()};
  ASSERT_TRUE(queue->copy(Direction::kFromHost, Way::kPlain, {&in, 1}).ok());
  ASSERT_TRUE(finish(*device_, *queue).ok());
  std::ranges::fill(bytes, std::byte{0});
  const Piece out{.from = shared->base(), .to = bytes.data(), .bytes = bytes.size()};
  ASSERT_TRUE(queue->copy(Direction::kToHost, Way::kPlain, {&out, 1}).ok());
  ASSERT_TRUE(finish(*device_, *queue).ok());
  EXPECT_EQ(bytes, original);
  device_->unregister_host(range_of(bytes));
}

TEST_P(CudaDeviceTest, KnowsWhichMemoryIsItsOwn) {
  const auto memory = allocate(8 << 20);
  Bytes host(4096);
  EXPECT_TRUE(device_->holds(memory->base(), memory->bytes()));
  EXPECT_TRUE(device_->holds(memory->base() + 5001, 1));
  EXPECT_FALSE(device_->holds(memory->base(), memory->bytes() + (64 << 20)));
  EXPECT_FALSE(device_->holds(host.data(), 1));
}

TEST_P(CudaDeviceTest, ARangeStaysRegisteredAsOftenAsItWasRegistered) {
  Bytes bytes(1 << 20);
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  EXPECT_EQ(device_->register_host({bytes.data() + 4096, 4096}, &why_).code(), Code::kInvalid);
  EXPECT_NE(why_.find("overlaps"), std::string::npos) << why_;
  device_->unregister_host(range_of(bytes));
  EXPECT_NE(pins_.find(bytes.data()).bytes, 0U);
  device_->unregister_host(range_of(bytes));
  EXPECT_EQ(pins_.find(bytes.data()).bytes, 0U);
  device_->unregister_host(range_of(bytes));
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  device_->unregister_host(range_of(bytes));
}

TEST_P(CudaDeviceTest, ARangeStaysRegisteredAsLongAsOneGpuWantsIt) {
  const auto other = open(1);
  if (other == nullptr) GTEST_SKIP() << "needs two GPUs: " << why_;
  Bytes bytes(1 << 20);
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  ASSERT_TRUE(other->register_host(range_of(bytes), &why_).ok()) << why_;
  device_->unregister_host(range_of(bytes));
  EXPECT_NE(pins_.find(bytes.data()).bytes, 0U);
  other->unregister_host(range_of(bytes));
  EXPECT_EQ(pins_.find(bytes.data()).bytes, 0U);
}

// The engine's stream: here the default one.
TEST_P(CudaDeviceTest, StreamsAndQueuesWaitForEachOther) {
  constexpr Stream kEngine = nullptr;
  const auto queue = open_queue();
  const auto record = device_->record(kEngine);
  ASSERT_TRUE(record.ok());
  ASSERT_TRUE(queue->after(*record).ok());
  const auto later = queue->record();
  ASSERT_TRUE(later.ok());
  ASSERT_TRUE(device_->after(kEngine, *later).ok());
  EXPECT_TRUE(finish(*device_, *later).ok());
  EXPECT_TRUE(finish(*device_, *record).ok());
}

TEST_P(CudaDeviceTest, AStreamWaitsForAWord) {
  if (!device_->properties().waits_for_words) GTEST_SKIP() << "this GPU's streams cannot wait for a word";
  Bytes page(4096);
  ASSERT_TRUE(device_->register_host(range_of(page), &why_).ok()) << why_;
  auto* const word = reinterpret_cast<std::atomic<std::uint32_t>*>(page.data());
  word->store(0xFFFFFFF0U);
  ASSERT_TRUE(device_->wait(nullptr, word, 5).ok());  // 5 comes after 0xFFFFFFF0: numbers go round
  const auto record = device_->record(nullptr);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(device_->passed(*record).code(), Code::kBusy);
  word->store(5);
  EXPECT_TRUE(finish(*device_, *record).ok());
  device_->unregister_host(range_of(page));
  EXPECT_EQ(device_->wait(nullptr, word, 5).code(), Code::kMisuse) << "it is not registered any more";
}

TEST_P(CudaDeviceTest, LeavesTheCallersThreadAsItWas) {
  CUcontext before = nullptr;
  ASSERT_EQ(driver_->context_get(&before), CUDA_SUCCESS);
  const auto queue = open_queue();
  ASSERT_TRUE(finish(*device_, *queue).ok());
  CUcontext after = nullptr;
  ASSERT_EQ(driver_->context_get(&after), CUDA_SUCCESS);
  EXPECT_EQ(before, after);
}

TEST_P(CudaDeviceTest, AThreadOfOursMayTurnToItForGood) {
  CUcontext current = nullptr;
  std::thread([&] {
    EXPECT_TRUE(device_->enter_thread().ok());
    const auto queue = open_queue();
    EXPECT_TRUE(finish(*device_, *queue).ok());
    EXPECT_EQ(driver_->context_get(&current), CUDA_SUCCESS);
  }).join();
  EXPECT_NE(current, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Cuda, CudaDeviceTest, ::testing::Values(KELVIN_FAKE_CUDA, kDriverLibrary),
                         driver_name);

}  // namespace
}  // namespace kelvin::hbm
