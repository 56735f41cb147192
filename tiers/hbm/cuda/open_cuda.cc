// See cuda.h.
#include "base/thread_annotations.h"
#include "tiers/hbm/cuda/cuda.h"
#include "tiers/hbm/cuda/cuda_device.h"

namespace kelvin::hbm {
namespace {

// What all GPUs of a process share. It has no end: devices live as long as the process.
struct Platform {
  Mutex mu;
  std::unique_ptr<Driver> driver KELVIN_GUARDED_BY(mu);  // once it was found, constant
  HostPins pins;
};

Platform& platform() {
  static Platform& only = *new Platform();
  return only;
}

}  // namespace

Result<std::unique_ptr<Device>> open_cuda(std::int32_t ordinal, std::string* why) {
  Platform& shared = platform();
  const MutexLock lock(shared.mu);
  if (shared.driver == nullptr) {
    auto driver = Driver::load(kDriverLibrary, why);
    if (!driver.ok()) return driver.status();
    shared.driver = std::move(*driver);
  }
  return CudaDevice::open(*shared.driver, shared.pins, ordinal, why);
}

}  // namespace kelvin::hbm
