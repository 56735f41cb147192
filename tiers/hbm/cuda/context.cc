// See context.h.
#include "tiers/hbm/cuda/context.h"

#include "tiers/hbm/cuda/driver_errors.h"

namespace kelvin::hbm {

Result<std::unique_ptr<Context>> Context::open(const Driver& driver, std::int32_t ordinal, std::string* why) {
  std::unique_ptr<Context> context(new Context(driver, ordinal));
  int count = 0;
  CUresult result = driver.device_count(&count);
  if (result == CUDA_SUCCESS && ordinal >= count) {
    *why = context->name() + ": there is no such GPU, the driver shows " + std::to_string(count) +
           " (CUDA_VISIBLE_DEVICES and the container decide which): name one from cuda:0 on";
    return Status(Code::kUnavailable, "opening a GPU");
  }
  if (result == CUDA_SUCCESS) result = driver.device_get(&context->device_, ordinal);
  if (result == CUDA_SUCCESS) result = driver.primary_retain(&context->handle_, context->device_);
  if (result == CUDA_SUCCESS) return context;
  *why = error_text(driver, result, context->name() + ": opening it");
  return Status(result == CUDA_ERROR_OUT_OF_MEMORY ? Code::kFull : Code::kUnavailable, "opening a GPU",
                static_cast<std::int32_t>(result));
}

Context::~Context() {
  if (handle_ != nullptr) (void)driver_.primary_release(device_);
}

Status Context::check(CUresult result, const char* doing) noexcept {
  if (loses_device(result)) lost_.store(true, std::memory_order_relaxed);
  return status_of(result, doing);
}

Status Context::check(CUresult result, const char* doing, std::string* why) {
  if (result != CUDA_SUCCESS && why != nullptr) *why = error_text(driver_, result, name() + ": " + doing);
  return check(result, doing);
}

int Context::attribute(CUdevice_attribute which) const noexcept {
  int value = 0;
  return driver_.device_attribute(&value, which, device_) == CUDA_SUCCESS ? value : 0;
}

// A thread without a context is given it back without one: which GPU the CUDA runtime takes by default
// depends on that.
Current::Current(Context& context) noexcept : driver_(context.driver()) {
  if (context.lost()) {
    status_ = Status(Code::kUnavailable, "the GPU is lost, after an error that stays");
    return;
  }
  CUcontext current = nullptr;
  CUresult result = driver_.context_get(&current);
  if (result == CUDA_SUCCESS && current != context.handle()) {
    result = driver_.context_push(context.handle());
    pushed_ = result == CUDA_SUCCESS;
  }
  status_ = context.check(result, "turning to the GPU");
}

Current::~Current() {
  CUcontext popped = nullptr;
  if (pushed_) (void)driver_.context_pop(&popped);
}

}  // namespace kelvin::hbm
