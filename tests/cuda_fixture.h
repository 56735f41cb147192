// For tests of the CUDA device: on the pretended driver (tests/fake_cuda), and on a GPU where there is one.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/fake_cuda/fake_cuda.h"
#include "tiers/hbm/cuda/cuda_device.h"

namespace kelvin::hbm {

// The pretended driver's controls.
class FakeCuda {
 public:
  explicit FakeCuda(const char* library = KELVIN_FAKE_CUDA) {
    void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    EXPECT_NE(handle, nullptr) << ::dlerror();  // NOLINT(concurrency-mt-unsafe)
    reset_ = reinterpret_cast<fake_cuda::ResetCall>(::dlsym(handle, "fake_cuda_reset"));
    seen_ = reinterpret_cast<fake_cuda::SeenCall>(::dlsym(handle, "fake_cuda_seen"));
    hold_ = reinterpret_cast<fake_cuda::HoldCall>(::dlsym(handle, "fake_cuda_hold"));
  }

  void reset(const fake_cuda::Script& script = {}) { reset_(&script); }
  const fake_cuda::Seen& seen() const { return *seen_(); }
  void hold(bool held) { hold_(held); }

 private:
  fake_cuda::ResetCall reset_ = nullptr;
  fake_cuda::SeenCall seen_ = nullptr;
  fake_cuda::HoldCall hold_ = nullptr;
};

using Bytes = std::vector<std::byte>;

inline Bytes random_bytes(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

inline HostRange range_of(Bytes& bytes) { return {bytes.data(), bytes.size()}; }

// Waits until the record has passed, and gives it back.
inline Status finish(Device& device, Record record) {
  Status status = device.passed(record);
  while (status.code() == Code::kBusy) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    status = device.passed(record);
  }
  device.give_back(record);
  return status;
}

inline Status finish(Device& device, Queue& queue) {
  const auto record = queue.record();
  return record.ok() ? finish(device, *record) : record.status();
}

// A driver, and GPU 0 behind it. Parameter: the driver's library.
class CudaTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (pretended()) fake_.reset();
    auto driver = Driver::load(GetParam(), &why_);
    if (!driver.ok()) GTEST_SKIP() << "needs a GPU: " << why_;
    driver_ = std::move(*driver);
    device_ = open(0);
    ASSERT_NE(device_, nullptr) << why_;
  }

  bool pretended() const { return std::string(GetParam()) != kDriverLibrary; }

  std::unique_ptr<Device> open(std::int32_t ordinal) {
    auto device = CudaDevice::open(*driver_, pins_, ordinal, &why_);
    return device.ok() ? std::move(*device) : nullptr;
  }
  std::unique_ptr<Memory> allocate(std::uint64_t bytes, bool shared = false) {
    auto memory = device_->allocate(bytes, shared, &why_);
    EXPECT_TRUE(memory.ok()) << why_;
    return memory.ok() ? std::move(*memory) : nullptr;
  }
  std::unique_ptr<Queue> open_queue() {
    auto queue = device_->open_queue(&why_);
    EXPECT_TRUE(queue.ok()) << why_;
    return queue.ok() ? std::move(*queue) : nullptr;
  }
  bool has(Way way) const { return (device_->properties().ways >> static_cast<unsigned>(way) & 1U) != 0; }

  FakeCuda fake_;
  std::string why_;
  std::unique_ptr<Driver> driver_;
  HostPins pins_;
  std::unique_ptr<Device> device_;
};

inline std::string driver_name(const ::testing::TestParamInfo<const char*>& info) {
  return std::string(info.param) == kDriverLibrary ? "Gpu" : "Pretended";
}

// The pretended driver alone: errors on demand.
class FakeCudaTest : public CudaTest {
 protected:
  // Opens the device anew, on a machine as the script has it.
  void restart(const fake_cuda::Script& script) {
    device_.reset();
    fake_.reset(script);
    auto driver = Driver::load(KELVIN_FAKE_CUDA, &why_);
    ASSERT_TRUE(driver.ok()) << why_;
    driver_ = std::move(*driver);
    device_ = open(0);
  }
};

}  // namespace kelvin::hbm
