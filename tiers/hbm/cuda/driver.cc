// See driver.h.
#include "tiers/hbm/cuda/driver.h"

#include <dlfcn.h>

#include "tiers/hbm/cuda/driver_errors.h"

namespace kelvin::hbm {
namespace {

#if CUDA_VERSION >= 12080
static_assert(sizeof(BatchAttributes) == sizeof(CUmemcpyAttributes));
static_assert(offsetof(BatchAttributes, source_place) == offsetof(CUmemcpyAttributes, srcLocHint));
static_assert(offsetof(BatchAttributes, target_place) == offsetof(CUmemcpyAttributes, dstLocHint));
static_assert(offsetof(BatchAttributes, flags) == offsetof(CUmemcpyAttributes, flags));
#endif

// cuGetProcAddress itself: with five arguments since 12.0.
using Find11 = CUresult (*)(const char* name, void** call, int version, cuuint64_t flags);
using Find12 = CUresult (*)(const char* name, void** call, int version, cuuint64_t flags, int* answer);

template <class Call>
Call symbol(void* library, const char* name) noexcept {
  return reinterpret_cast<Call>(::dlsym(library, name));
}

class Finder {
 public:
  explicit Finder(void* library) noexcept
      : find_12_(symbol<Find12>(library, "cuGetProcAddress_v2")),
        find_11_(symbol<Find11>(library, "cuGetProcAddress")) {}

  bool usable() const noexcept { return find_12_ != nullptr || find_11_ != nullptr; }

  // Null where the driver has no such call in that version.
  void* find(const char* name, int version) const noexcept {
    void* call = nullptr;
    int answer = 0;  // CUdriverProcAddressQueryResult
    const CUresult found =
        find_12_ != nullptr ? find_12_(name, &call, version, 0, &answer) : find_11_(name, &call, version, 0);
    return found == CUDA_SUCCESS ? call : nullptr;
  }

 private:
  Find12 find_12_;
  Find11 find_11_;
};

Status too_old(const std::string& has, std::string* why) {
  *why = "the NVIDIA driver is too old" + has + ": install R520 (CUDA 11.8) or a newer one";
  return {Code::kUnavailable, "loading the CUDA driver"};
}

}  // namespace

Result<std::unique_ptr<Driver>> Driver::load(const char* library, std::string* why) {
  // Never closed: the driver has threads and exit handlers of its own.
  void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one a thread
    *why = std::string("there is no CUDA driver here (") + (reason != nullptr ? reason : library) +
           "): install NVIDIA's driver, or give the container the host's (--gpus)";
    return Status(Code::kUnavailable, "loading the CUDA driver");
  }
  std::unique_ptr<Driver> driver(new Driver());
  Status status = driver->find_calls(handle, why);
  if (status.ok()) status = driver->start(why);
  if (!status.ok()) return status;
  return driver;
}

Status Driver::find_calls(void* library, std::string* why) {
  const auto get_version = symbol<CUresult (*)(int*)>(library, "cuDriverGetVersion");
  if (get_version == nullptr || get_version(&version_) != CUDA_SUCCESS) {
    *why = "the libcuda.so.1 that was found is no CUDA driver: see what LD_LIBRARY_PATH names before it";
    return {Code::kUnavailable, "loading the CUDA driver"};
  }
  const Finder finder(library);
  if (version_ < kOldestDriver || !finder.usable()) {
    return too_old(" (CUDA " + cuda_version_text(version_) + ")", why);
  }
#define KELVIN_CUDA_FIND(ours, theirs)                                          \
  ours = reinterpret_cast<decltype(ours)>(finder.find(#theirs, kOldestDriver)); \
  if ((ours) == nullptr) return too_old(std::string(", it has no ") + #theirs, why);
  KELVIN_CUDA_CALLS(KELVIN_CUDA_FIND)
#undef KELVIN_CUDA_FIND
  if (version_ >= 13000) {
    batch_copy_13 = reinterpret_cast<BatchCopy13>(finder.find("cuMemcpyBatchAsync", 13000));
  } else if (version_ >= 12080) {
    batch_copy_12 = reinterpret_cast<BatchCopy12>(finder.find("cuMemcpyBatchAsync", 12080));
  }
  return {};
}

Status Driver::start(std::string* why) {
  const CUresult started = init(0);
  if (started == CUDA_SUCCESS) return {};
  *why = error_text(*this, started, "starting the CUDA driver " + cuda_version_text(version_));
  return {Code::kUnavailable, "starting the CUDA driver", static_cast<std::int32_t>(started)};
}

}  // namespace kelvin::hbm
