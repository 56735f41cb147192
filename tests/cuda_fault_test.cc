// CudaDevice on the pretended driver: older drivers, and errors at every call.
#include "checksum/crc32c.h"
#include "tests/cuda_fixture.h"
#include "tiers/hbm/cuda/list_ring.h"
#include "tiers/hbm/registrations.h"
#include "tiers/host/host_tier.h"

namespace kelvin::hbm {
namespace {

class CudaFault : public FakeCudaTest {
 protected:
  void TearDown() override {
    device_.reset();
    EXPECT_EQ(fake_.seen().allocated, 0) << "something was not given back";
  }

  // Copies a byte in; what the queue says.
  Status copy(Way way) {
    const auto queue = open_queue();
    const auto memory = allocate(4096);
    Bytes bytes = random_bytes(4096, 4);
    EXPECT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
    const Piece piece{.from = bytes.data(), .to = memory->base(), .bytes = bytes.size()};
    Status status = queue->copy(Direction::kFromHost, way, {&piece, 1});
    if (status.ok()) status = finish(*device_, *queue);
    device_->unregister_host(range_of(bytes));
    return status;
  }
};

TEST_P(CudaFault, OlderDriversCopyWithoutBatches) {
  restart({.version = 12040});
  EXPECT_FALSE(has(Way::kBatch));
  EXPECT_EQ(copy(Way::kBatch).code(), Code::kUnsupported);
  EXPECT_TRUE(copy(Way::kPlain).ok());
}

TEST_P(CudaFault, BothKindsOfBatchAreCalledAsTheyWantIt) {
  restart({.version = 12080});
  EXPECT_TRUE(copy(Way::kBatch).ok());
  EXPECT_EQ(fake_.seen().batches_12, 1U);
  restart({.version = 13000});
  EXPECT_TRUE(copy(Way::kBatch).ok());
  EXPECT_EQ(fake_.seen().batches_13, 1U);
  EXPECT_EQ(fake_.seen().batches_12, 0U);
}

TEST_P(CudaFault, PtxStandsInForMachineCode) {
  restart({.machine_code = false});
  EXPECT_TRUE(has(Way::kKernel));
  EXPECT_TRUE(copy(Way::kKernel).ok());
}

TEST_P(CudaFault, WithoutKernelsItCopiesAndSaysWhatItLacks) {
  restart({.machine_code = false, .ptx = false});
  ASSERT_NE(device_, nullptr) << why_;
  EXPECT_FALSE(has(Way::kKernel));
  EXPECT_FALSE(device_->properties().checksums);
  EXPECT_NE(device_->properties().lacks.find("older CUDA toolkit"), std::string::npos);
  EXPECT_EQ(copy(Way::kKernel).code(), Code::kUnsupported);
  EXPECT_TRUE(copy(Way::kBatch).ok());
  std::uint32_t result = 0;
  const auto queue = open_queue();
  EXPECT_EQ(queue->checksum({}, &result).code(), Code::kUnsupported);
}

TEST_P(CudaFault, WordsAreRefusedWhereStreamsCannotWaitForThem) {
  restart({.words = false});
  const std::atomic<std::uint32_t> word{0};
  EXPECT_EQ(device_->wait(nullptr, &word, 1).code(), Code::kUnsupported);
}

TEST_P(CudaFault, IpcRefusedIsSaid) {
  restart({.export_ok = false});
  const auto memory = allocate(1 << 20, true);
  EXPECT_EQ(memory->share().status().code(), Code::kUnsupported);
}

TEST_P(CudaFault, PeersThatAreNotReachedDirectlyAreReachedByCopies) {
  restart({.peers = false});
  const auto other = open(1);
  auto there = other->allocate(4096, false, &why_);
  auto here = allocate(4096);
  {
    const auto queue = open_queue();
    const Piece piece{.from = here->base(), .to = (*there)->base(), .bytes = 4096};
    EXPECT_EQ(queue->copy(Direction::kToPeer, Way::kKernel, {&piece, 1}).code(), Code::kUnsupported);
    EXPECT_TRUE(queue->copy(Direction::kToPeer, Way::kPlain, {&piece, 1}).ok());
    EXPECT_TRUE(finish(*device_, *queue).ok());
    EXPECT_EQ(fake_.seen().peer_copies, 1U);
    const Piece nowhere{.from = here->base(), .to = nullptr, .bytes = 4096};
    EXPECT_EQ(queue->copy(Direction::kToPeer, Way::kPlain, {&nowhere, 1}).code(), Code::kMisuse);
  }
  here.reset();
  there->reset();
}

TEST_P(CudaFault, MemoryThatOthersPinnedIsTakenAsItIsAndStaysPinned) {
  HostPins theirs;
  auto other = CudaDevice::open(*driver_, theirs, 1, &why_);
  ASSERT_TRUE(other.ok()) << why_;
  Bytes bytes(4096);
  ASSERT_TRUE((*other)->register_host(range_of(bytes), &why_).ok()) << why_;
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok()) << why_;
  const std::int64_t before = fake_.seen().allocated;
  device_->unregister_host(range_of(bytes));
  EXPECT_EQ(fake_.seen().allocated, before);
  (*other)->unregister_host(range_of(bytes));
  EXPECT_EQ(fake_.seen().allocated, before - 1);
}

TEST_P(CudaFault, PinningBeyondTheLimitSaysSo) {
  restart({.failing = "cuMemHostRegister", .error = CUDA_ERROR_OUT_OF_MEMORY});
  Bytes bytes(4096);
  EXPECT_EQ(device_->register_host(range_of(bytes), &why_).code(), Code::kFull);
  EXPECT_NE(why_.find("memory limit"), std::string::npos) << why_;
}

// RLIMIT_MEMLOCK, or a container's limit: links find no slot that the GPU can reach, and say why.
TEST_P(CudaFault, ATierBeyondTheLimitIsNotPinnedAndTheReasonIsKept) {
  HostTierOptions options;
  options.name = "dram";
  options.block_bytes = 4096;
  options.capacity_bytes = 16 * 4096;
  const auto host = HostTier::open(options, &why_);
  ASSERT_TRUE(host.ok()) << why_;
  restart({.failing = "cuMemHostRegister", .error = CUDA_ERROR_OUT_OF_MEMORY});
  {
    const Registration registration(*device_, **host, true);
    while (!registration.settled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(registration.covers(Slot(0)));
    ASSERT_NE(registration.failure().load(), nullptr);
    const std::string reason = registration.failure().load();
    EXPECT_NE(reason.find("tier 'dram'"), std::string::npos) << reason;
    EXPECT_NE(reason.find("memory limit"), std::string::npos) << reason;
  }
  restart({});
  const Registration registration(*device_, **host, true);
  while (!registration.settled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(registration.covers(Slot(15)));
  EXPECT_EQ(registration.failure().load(), nullptr);
}

// An error that stays: the call that met it and all after it say that the device is gone; all ends in time.
TEST_P(CudaFault, ALostDeviceStaysLost) {
  restart({.failing = "cuEventQuery", .error = CUDA_ERROR_ILLEGAL_ADDRESS});
  auto queue = open_queue();
  auto memory = allocate(4096);
  Bytes bytes(4096);
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok());
  const auto record = queue->record();
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(device_->passed(*record).code(), Code::kUnavailable);
  EXPECT_EQ(device_->passed(*record).code(), Code::kUnavailable);
  device_->give_back(*record);
  const Piece piece{.from = bytes.data(), .to = memory->base(), .bytes = 1};
  EXPECT_EQ(queue->copy(Direction::kFromHost, Way::kPlain, {&piece, 1}).code(), Code::kUnavailable);
  EXPECT_EQ(queue->record().status().code(), Code::kUnavailable);
  EXPECT_EQ(queue->after(*record).code(), Code::kUnavailable);
  EXPECT_EQ(device_->record(nullptr).status().code(), Code::kUnavailable);
  EXPECT_EQ(device_->after(nullptr, *record).code(), Code::kUnavailable);
  why_.clear();
  EXPECT_EQ(device_->allocate(1, false, &why_).status().code(), Code::kUnavailable);
  EXPECT_NE(why_.find("cuda:0: the GPU is lost"), std::string::npos) << why_;
  EXPECT_EQ(device_->open_queue(&why_).status().code(), Code::kUnavailable);
  device_->unregister_host(range_of(bytes));
  EXPECT_EQ(pins_.find(bytes.data()).bytes, 0U);
  queue.reset();
  memory.reset();
  device_.reset();
  fake_.reset();  // the pretended driver's own memory of it
}

// Whatever fails, and with whatever error: a Status, a text, and nothing left behind.
TEST_P(CudaFault, EveryCallMayFail) {
  const char* const calls[] = {"cuDeviceGetCount",
                               "cuDeviceGet",
                               "cuDevicePrimaryCtxRetain",
                               "cuCtxPushCurrent",
                               "cuEventCreate",
                               "cuModuleLoadData",
                               "cuModuleGetFunction",
                               "cuStreamCreate",
                               "cuMemAlloc",
                               "cuMemHostAlloc",
                               "cuMemHostRegister",
                               "cuMemHostGetDevicePointer",
                               "cuMemGetAllocationGranularity",
                               "cuMemCreate",
                               "cuMemAddressReserve",
                               "cuMemMap",
                               "cuMemSetAccess",
                               "cuMemcpyHtoDAsync",
                               "cuLaunchKernel",
                               "cuEventRecord"};
  for (const char* call : calls) {
    for (const int spared : {0, 1, 2}) {
      SCOPED_TRACE(std::string(call) + " after " + std::to_string(spared));
      why_.clear();
      device_.reset();
      fake_.reset({.failing = call, .error = CUDA_ERROR_INVALID_VALUE, .spared = spared, .times = 1});
      device_ = open(0);
      if (device_ == nullptr) {
        EXPECT_FALSE(why_.empty());
        EXPECT_EQ(fake_.seen().allocated, 0);
        continue;
      }
      {
        Bytes bytes = random_bytes(4096, 5);
        std::string why;
        auto shared = device_->allocate(4096, true, &why);
        EXPECT_TRUE(shared.ok() || !why.empty());
        auto memory = device_->allocate(4096, false, &why);
        const Status registered = device_->register_host(range_of(bytes), &why);
        auto queue = device_->open_queue(&why);
        if (queue.ok() && memory.ok() && registered.ok()) {
          const Piece piece{.from = bytes.data(), .to = (*memory)->base(), .bytes = bytes.size()};
          (void)(*queue)->copy(Direction::kFromHost, Way::kPlain, {&piece, 1});
          (void)(*queue)->copy(Direction::kFromHost, Way::kKernel, {&piece, 1});
          (void)finish(*device_, **queue);
        }
        if (queue.ok()) queue->reset();
        device_->unregister_host(range_of(bytes));
      }
      device_.reset();
      EXPECT_EQ(fake_.seen().allocated, 0);
    }
  }
}

// A message that was given up half-way leaves the next one right.
TEST_P(CudaFault, ChecksumsAreRightAfterOneFailed) {
  restart(
      {.failing = "cuLaunchKernel", .error = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, .spared = 1, .times = 1});
  const auto queue = open_queue();
  const auto memory = allocate(8192);
  Bytes bytes = random_bytes(8192, 6);
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok());
  const Piece piece{.from = bytes.data(), .to = memory->base(), .bytes = 8192};
  ASSERT_TRUE(queue->copy(Direction::kFromHost, Way::kPlain, {&piece, 1}).ok());
  ASSERT_TRUE(finish(*device_, *queue).ok());
  const std::uint32_t expected = crc32c(bytes.data(), bytes.size());
  std::vector<Extent> extents(kListEntries + 1, Extent{memory->base(), 8});
  auto* const result = reinterpret_cast<std::uint32_t*>(bytes.data());
  EXPECT_EQ(queue->checksum(extents, result).code(), Code::kIo) << "of its two lists the second is refused";
  extents = {{memory->base(), 8192}};
  ASSERT_TRUE(queue->checksum(extents, result).ok());
  ASSERT_TRUE(finish(*device_, *queue).ok());
  EXPECT_EQ(*result, expected);
  device_->unregister_host(range_of(bytes));
}

TEST_P(CudaFault, AFullRingOfListsIsBusy) {
  const auto queue = open_queue();
  const auto memory = allocate(4096);
  Bytes bytes(4096);
  ASSERT_TRUE(device_->register_host(range_of(bytes), &why_).ok());
  const Piece piece{.from = bytes.data(), .to = memory->base(), .bytes = 1};
  fake_.hold(true);
  Status status;
  std::uint32_t taken = 0;
  while ((status = queue->copy(Direction::kFromHost, Way::kKernel, {&piece, 1})).ok()) ++taken;
  EXPECT_EQ(status.code(), Code::kBusy);
  EXPECT_EQ(taken, ListRing::kLists);
  fake_.hold(false);
  EXPECT_TRUE(finish(*device_, *queue).ok());
  EXPECT_TRUE(queue->copy(Direction::kFromHost, Way::kKernel, {&piece, 1}).ok());
  EXPECT_TRUE(finish(*device_, *queue).ok());
  device_->unregister_host(range_of(bytes));
}

INSTANTIATE_TEST_SUITE_P(Cuda, CudaFault, ::testing::Values(KELVIN_FAKE_CUDA), driver_name);

}  // namespace
}  // namespace kelvin::hbm
