// See host_pins.h.
#include "tiers/hbm/cuda/host_pins.h"

#include <algorithm>

#include "tiers/hbm/cuda/driver_errors.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kDoing = "pinning host memory";

}  // namespace

Status HostPins::pin(Context& context, HostRange range, std::string* why) {
  const MutexLock change(change_);
  const Result<bool> known = enter_known(context, range, why);
  if (!known.ok() || *known) return known.status();

  const Driver& driver = context.driver();
  CUresult result = driver.host_register(range.base, range.bytes,
                                         CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
  const bool ours = result != CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  if (!ours) result = CUDA_SUCCESS;
  CUdeviceptr device = 0;
  if (result == CUDA_SUCCESS) {
    result = driver.host_device_pointer(&device, range.base, 0);
    if (result != CUDA_SUCCESS && ours) (void)driver.host_unregister(range.base);
  }
  if (result != CUDA_SUCCESS) {
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
      *why = context.name() + ": the system does not let " + std::to_string(range.bytes >> 20) +
             " MiB more of host memory be pinned: lower the dram tier's capacity, or raise the container's "
             "memory limit";
      return {Code::kFull, kDoing, static_cast<std::int32_t>(result)};
    }
    return context.check(result, kDoing, why);
  }
  const Range entry{.run = {.base = range.base, .bytes = range.bytes, .device = device}, .ours = ours};
  const SpinGuard guard(ranges_lock_);
  ranges_.insert(place_of(ranges_, range.base), entry);
  return {};
}

void HostPins::unpin(Context& context, HostRange range) noexcept {
  const MutexLock change(change_);
  bool ours = false;
  {
    const SpinGuard guard(ranges_lock_);
    const auto at = place_of(ranges_, range.base);
    if (at == ranges_.end() || at->run.base != range.base) return;
    if (--at->asked > 0) return;
    ours = at->ours;
    ranges_.erase(at);
  }
  if (ours) (void)context.check(context.driver().host_unregister(range.base), "unpinning host memory");
}

PinnedRun HostPins::find(const std::byte* at) noexcept {
  const SpinGuard guard(ranges_lock_);
  const auto behind = std::ranges::upper_bound(ranges_, at, {}, [](const Range& r) { return r.run.base; });
  if (behind == ranges_.begin() || !std::prev(behind)->run.holds(at)) return {};
  return std::prev(behind)->run;
}

HostPins::Ranges::iterator HostPins::place_of(Ranges& ranges, const std::byte* base) noexcept {
  const std::byte* const at = base;
  return std::ranges::lower_bound(ranges, at, {}, [](const Range& r) { return r.run.base; });
}

Result<bool> HostPins::enter_known(const Context& context, HostRange range, std::string* why) noexcept {
  const SpinGuard guard(ranges_lock_);
  const auto at = place_of(ranges_, range.base);
  if (at != ranges_.end() && at->run.base == range.base && at->run.bytes == range.bytes) {
    ++at->asked;
    return true;
  }
  const bool into_next = at != ranges_.end() && at->run.base < range.base + range.bytes;
  const bool into_previous = at != ranges_.begin() && std::prev(at)->run.holds(range.base);
  if (!into_next && !into_previous) return false;
  *why = context.name() + ": host memory is to be pinned that overlaps a range pinned already";
  return Status(Code::kInvalid, kDoing);
}

}  // namespace kelvin::hbm
