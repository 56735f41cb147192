// See kernels.h.
#include "tiers/hbm/cuda/kernels.h"

#include <algorithm>

#include "tiers/hbm/cuda/driver_errors.h"
#include "tiers/hbm/cuda/kernel_image.h"

namespace kelvin::hbm {
namespace {

// One SM in so many, at the most, is what our kernels may fill: the forward pass keeps the others.
constexpr int kSmsToACta = 24;
constexpr std::uint32_t kFewestCtas = 4;
constexpr unsigned kLanes = 32;

}  // namespace

Result<std::unique_ptr<Kernels>> Kernels::open(Context& context, std::string* why) {
  const Driver& driver = context.driver();
  std::unique_ptr<Kernels> kernels(new Kernels(context));
  CUresult result = driver.module_load(&kernels->module_, kKernelMachineCode);
  // Machine code is for the GPUs that were named at build time, and for drivers that are not much older.
  if (result != CUDA_SUCCESS && !loses_device(result)) {
    result = driver.module_load(&kernels->module_, kKernelPtx);
  }
  if (result == CUDA_SUCCESS) result = driver.module_function(&kernels->copy_, kernels->module_, kCopyKernel);
  if (result == CUDA_SUCCESS) {
    result = driver.module_function(&kernels->checksum_, kernels->module_, kChecksumKernel);
  }
  if (result != CUDA_SUCCESS) {
    *why = error_text(driver, result, context.name() + ": loading Kelvin's kernels") + " (driver: CUDA " +
           cuda_version_text(driver.version()) + "; update it, or build with an older CUDA toolkit)";
    const Status status = context.check(result, "loading kernels");
    return status.code() == Code::kUnavailable ? status : Status(Code::kUnsupported, "loading kernels");
  }
  const int sms = context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  kernels->most_ctas_ = std::max(kFewestCtas, static_cast<std::uint32_t>(sms / kSmsToACta));
  return kernels;
}

Kernels::~Kernels() {
  if (module_ != nullptr) (void)context_.driver().module_unload(module_);
}

unsigned Kernels::ctas_for(std::uint64_t chunks, std::uint64_t a_turn) const noexcept {
  const std::uint64_t useful = std::max<std::uint64_t>(1, chunks_of(chunks, a_turn));
  return static_cast<unsigned>(std::min<std::uint64_t>(useful, most_ctas_));
}

Status Kernels::copy(CUstream stream, CopyArguments arguments) noexcept {
  void* parameters[] = {&arguments};
  const unsigned ctas = ctas_for(arguments.chunks, kThreads / kLanes);
  return context_.check(
      context_.driver().launch(copy_, ctas, 1, 1, kThreads, 1, 1, 0, stream, parameters, nullptr),
      "launching a copy");
}

Status Kernels::checksum(CUstream stream, ChecksumArguments arguments) noexcept {
  void* parameters[] = {&arguments};
  const unsigned ctas = ctas_for(arguments.chunks, kThreads);
  return context_.check(
      context_.driver().launch(checksum_, ctas, 1, 1, kThreads, 1, 1, 0, stream, parameters, nullptr),
      "launching a checksum");
}

}  // namespace kelvin::hbm
