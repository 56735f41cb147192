// See cuda_memory.h.
#include "tiers/hbm/cuda/cuda_memory.h"

#include <array>

#include "tiers/hbm/cuda/driver_errors.h"
#include "tiers/hbm/cuda/peer_access.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kDoing = "allocating GPU memory";

std::string gib(std::uint64_t bytes) {
  const std::uint64_t tenths = bytes * 10 >> 30;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

CUmemAllocationProp properties_of(const Context& context) noexcept {
  CUmemAllocationProp properties = {};
  properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  properties.location = {};
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties.location.id = context.ordinal();
  return properties;
}

std::string no_room(Context& context, std::uint64_t bytes) {
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  std::string text = context.name() + ": " + gib(bytes) + " of GPU memory are asked for";
  if (context.driver().memory_info(&free_bytes, &all_bytes) == CUDA_SUCCESS) {
    text += ", " + gib(free_bytes) + " of its " + gib(all_bytes) + " are free";
  }
  return text + ": " + remedy(CUDA_ERROR_OUT_OF_MEMORY);
}

}  // namespace

Result<std::unique_ptr<Memory>> CudaMemory::open(Context& context, std::uint64_t bytes, bool shared,
                                                 std::string* why) {
  std::unique_ptr<CudaMemory> memory(new CudaMemory(context, bytes));
  const CUresult result =
      shared ? memory->map_shared() : context.driver().memory_allocate(&memory->address_, bytes);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    *why = no_room(context, bytes);
    return Status(Code::kFull, kDoing, static_cast<std::int32_t>(result));
  }
  const Status status = context.check(result, kDoing, why);
  if (!status.ok()) {
    if (shared && status.code() == Code::kUnsupported) *why += ": allocate it without sharing";
    return status;
  }
  return std::unique_ptr<Memory>(std::move(memory));
}

// Frees whatever was made, so that an allocation that failed half-way leaves nothing.
CudaMemory::~CudaMemory() {
  const Current current(context_);
  if (!current.status().ok()) return;  // a lost GPU's memory went with it
  const Driver& driver = context_.driver();
  if (mapped_) (void)driver.virtual_unmap(address_, reserved_bytes_);
  if (has_handle_) (void)driver.virtual_destroy(handle_);
  if (address_ == 0) return;
  (void)context_.check(
      reserved_bytes_ != 0 ? driver.virtual_release(address_, reserved_bytes_) : driver.memory_free(address_),
      "freeing GPU memory");
}

CUresult CudaMemory::map_shared() noexcept {
  const Driver& driver = context_.driver();
  const CUmemAllocationProp properties = properties_of(context_);
  std::size_t granularity = 1;
  CUresult result =
      driver.virtual_granularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
  if (result != CUDA_SUCCESS) return result;
  const std::uint64_t reserve = (bytes_ + granularity - 1) / granularity * granularity;
  result = driver.virtual_create(&handle_, reserve, &properties, 0);
  if (result != CUDA_SUCCESS) return result;
  has_handle_ = true;
  result = driver.virtual_reserve(&address_, reserve, granularity, 0, 0);
  if (result != CUDA_SUCCESS) return result;
  reserved_bytes_ = reserve;
  result = driver.virtual_map(address_, reserve, 0, handle_, 0);
  if (result != CUDA_SUCCESS) return result;
  mapped_ = true;
  return open_to_peers();
}

// Mapped memory is nobody's until each GPU is let in: this one, and those that reach it directly.
CUresult CudaMemory::open_to_peers() noexcept {
  const Driver& driver = context_.driver();
  std::array<CUmemAccessDesc, PeerAccess::kMostGpus> access = {};
  std::size_t count = 0;
  int gpus = 0;
  (void)driver.device_count(&gpus);
  for (int ordinal = 0; ordinal < gpus && count < access.size(); ++ordinal) {
    CUdevice device = 0;
    int can = ordinal == context_.ordinal() ? 1 : 0;
    if (can == 0 && driver.device_get(&device, ordinal) == CUDA_SUCCESS) {
      (void)driver.device_can_access_peer(&can, device, context_.device());
    }
    if (can == 0) continue;
    access[count].location = {};
    access[count].location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access[count].location.id = ordinal;
    access[count].flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    ++count;
  }
  return driver.virtual_access(address_, reserved_bytes_, access.data(), count);
}

Result<int> CudaMemory::share() noexcept {
  if (!has_handle_) return Status(Code::kUnsupported, "GPU memory that was not allocated to be shared");
  const Current current(context_);
  if (!current.status().ok()) return current.status();
  int descriptor = -1;
  const Status exported = context_.check(
      context_.driver().virtual_export(&descriptor, handle_, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
      "sharing GPU memory with another process");
  if (!exported.ok()) return exported;
  return descriptor;
}

}  // namespace kelvin::hbm
