// Driver: what is found where, and what a person is told where it is not.
#include "tests/cuda_fixture.h"
#include "tiers/hbm/cuda/driver.h"
#include "tiers/hbm/cuda/driver_errors.h"

namespace kelvin::hbm {
namespace {

using ::testing::Test;

class CudaDriver : public Test {
 protected:
  // Loads a driver that is expected to be refused; the Status.
  Status refused(const fake_cuda::Script& script) {
    fake_.reset(script);
    const auto driver = Driver::load(KELVIN_FAKE_CUDA, &why_);
    EXPECT_FALSE(driver.ok());
    return driver.status();
  }
  bool says(const std::string& text) const { return why_.find(text) != std::string::npos; }

  FakeCuda fake_;
  std::string why_;
};

TEST_F(CudaDriver, SaysThatThereIsNone) {
  const auto driver = Driver::load("/nowhere/libcuda.so.1", &why_);
  EXPECT_EQ(driver.status().code(), Code::kUnavailable);
  EXPECT_TRUE(says("there is no CUDA driver here") && says("--gpus")) << why_;
}

TEST_F(CudaDriver, RefusesALibraryThatIsNone) {
  const auto driver = Driver::load("libc.so.6", &why_);
  EXPECT_EQ(driver.status().code(), Code::kUnavailable);
  EXPECT_TRUE(says("is no CUDA driver")) << why_;
}

TEST_F(CudaDriver, SaysThatThereIsNoGpu) {
  const Status status = refused({.init = CUDA_ERROR_NO_DEVICE});
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.native(), 100);
  EXPECT_TRUE(says("there is no GPU here") && says("CUDA_VISIBLE_DEVICES")) << why_;
}

TEST_F(CudaDriver, RefusesOneThatIsTooOld) {
  EXPECT_EQ(refused({.version = 11040}).code(), Code::kUnavailable);
  EXPECT_TRUE(says("too old (CUDA 11.4)") && says("R520")) << why_;
}

TEST_F(CudaDriver, TellsAMismatchFromAFabricThatIsNotReady) {
  (void)refused({.init = CUDA_ERROR_SYSTEM_DRIVER_MISMATCH});
  EXPECT_TRUE(says("different versions")) << why_;
  (void)refused({.init = CUDA_ERROR_SYSTEM_NOT_READY});
  EXPECT_TRUE(says("nvidia-fabricmanager")) << why_;
}

TEST_F(CudaDriver, FindsTheBatchOfItsVersion) {
  const auto load = [&](int version) {
    fake_.reset({.version = version});
    auto driver = Driver::load(KELVIN_FAKE_CUDA, &why_);
    EXPECT_TRUE(driver.ok()) << why_;
    return std::move(*driver);
  };
  EXPECT_EQ(load(12040)->batch_copy_12, nullptr);
  EXPECT_EQ(load(12040)->batch_copy_13, nullptr);
  EXPECT_NE(load(12080)->batch_copy_12, nullptr);
  EXPECT_EQ(load(12080)->batch_copy_13, nullptr);
  EXPECT_EQ(load(13000)->batch_copy_12, nullptr);
  EXPECT_NE(load(13000)->batch_copy_13, nullptr);
  EXPECT_EQ(load(13000)->version(), 13000);
}

TEST_F(CudaDriver, ThatHasOnlyTheOlderLookUpLoads) {
  FakeCuda old(KELVIN_FAKE_CUDA_11);
  old.reset({.version = 11080});
  const auto driver = Driver::load(KELVIN_FAKE_CUDA_11, &why_);
  ASSERT_TRUE(driver.ok()) << why_;
  EXPECT_EQ((*driver)->version(), 11080);
}

TEST(CudaErrors, SayWhetherTheDeviceIsLost) {
  for (const CUresult error : {CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_ECC_UNCORRECTABLE,
                               CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_DEVICE_UNAVAILABLE, CUDA_ERROR_UNKNOWN}) {
    EXPECT_TRUE(loses_device(error)) << error;
    EXPECT_EQ(status_of(error, "").code(), Code::kUnavailable) << error;
    EXPECT_STRNE(remedy(error), "") << error;
  }
  EXPECT_EQ(status_of(CUDA_SUCCESS, "").code(), Code::kOk);
  EXPECT_EQ(status_of(CUDA_ERROR_NOT_READY, "").code(), Code::kBusy);
  EXPECT_EQ(status_of(CUDA_ERROR_OUT_OF_MEMORY, "").code(), Code::kFull);
  EXPECT_EQ(status_of(CUDA_ERROR_NOT_PERMITTED, "").code(), Code::kUnsupported);
  EXPECT_EQ(status_of(CUDA_ERROR_INVALID_VALUE, "").code(), Code::kIo);
  EXPECT_FALSE(loses_device(CUDA_ERROR_INVALID_VALUE));
}

}  // namespace
}  // namespace kelvin::hbm
