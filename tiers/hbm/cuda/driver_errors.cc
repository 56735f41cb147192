// See driver_errors.h.
#include "tiers/hbm/cuda/driver_errors.h"

#include "tiers/hbm/cuda/driver.h"

namespace kelvin::hbm {

bool loses_device(CUresult error) noexcept {
  switch (static_cast<int>(error)) {
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_NO_DEVICE:
    case CUDA_ERROR_INVALID_CONTEXT:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_OPERATING_SYSTEM:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_SYSTEM_NOT_READY:
    case CUDA_ERROR_EXTERNAL_DEVICE:
    case CUDA_ERROR_UNKNOWN:
    case 226:  // an error of memory that was contained to this process (not in older cuda.h)
    case 721:  // a leak of tensor memory (likewise)
      return true;
    default: return false;
  }
}

Status status_of(CUresult error, const char* doing) noexcept {
  const auto native = static_cast<std::int32_t>(error);
  if (error == CUDA_SUCCESS) return {};
  if (error == CUDA_ERROR_NOT_READY) return {Code::kBusy, doing, native};
  if (error == CUDA_ERROR_OUT_OF_MEMORY) return {Code::kFull, doing, native};
  if (error == CUDA_ERROR_NOT_SUPPORTED || error == CUDA_ERROR_NOT_PERMITTED) {
    return {Code::kUnsupported, doing, native};
  }
  return {loses_device(error) ? Code::kUnavailable : Code::kIo, doing, native};
}

const char* remedy(CUresult error) noexcept {
  switch (static_cast<int>(error)) {
    case CUDA_ERROR_NO_DEVICE:
      return "there is no GPU here: see that nvidia-smi lists it, that the container was given it (--gpus), "
             "and "
             "that CUDA_VISIBLE_DEVICES names it; or leave the hbm tier out of the config";
    case CUDA_ERROR_STUB_LIBRARY:
      return "what was found is the toolkit's stub of libcuda.so.1: take its folder out of LD_LIBRARY_PATH, "
             "and "
             "install the driver";
    case CUDA_ERROR_OPERATING_SYSTEM:
      return "the operating system refused the driver its device files: give the container the GPU (--gpus)";
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
      return "another process has the GPU for itself: end that one, or let nvidia-smi -c DEFAULT share it";
    case CUDA_ERROR_SYSTEM_NOT_READY:
      return "the GPUs' fabric is not ready: start nvidia-fabricmanager, of the driver's own version";
    case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
      return "libcuda.so.1 and the kernel's module are of different versions: restart the machine after an "
             "update "
             "of the driver, or give the container the libcuda of the host";
    case CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
      return "the compatibility libcuda.so.1 does not know this GPU: take its folder out of LD_LIBRARY_PATH";
    case CUDA_ERROR_OUT_OF_MEMORY:
      return "give the tier a smaller capacity, or leave it more of the GPU's memory (engines have a setting "
             "for "
             "the part that they take)";
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
      return "the GPU reports a fault of its hardware: see nvidia-smi -q -d ECC, and restart the process "
             "after a "
             "reset";
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_ASSERT:
      return "some kernel of this process failed, and the GPU serves the process no more: restart it; "
             "compute-sanitizer finds the kernel";
    case CUDA_ERROR_NOT_PERMITTED:
    case CUDA_ERROR_NOT_SUPPORTED: return "the driver does not allow this here";
    default:
      return loses_device(error) ? "restart the process; see dmesg for what the driver reports (Xid)" : "";
  }
}

std::string error_text(const Driver& driver, CUresult error, const std::string& doing) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (driver.name_of_error != nullptr) (void)driver.name_of_error(error, &name);
  if (driver.text_of_error != nullptr) (void)driver.text_of_error(error, &text);
  std::string all = doing + ": " + (text != nullptr ? text : "the driver answered with an error") + " (";
  if (name != nullptr) all += std::string(name) + ", ";
  all += std::to_string(static_cast<int>(error)) + ")";
  const std::string what_to_do = remedy(error);
  return what_to_do.empty() ? all : all + ": " + what_to_do;
}

std::string cuda_version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace kelvin::hbm
