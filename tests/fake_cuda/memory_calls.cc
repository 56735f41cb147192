// Pretended calls: memory of GPUs, which lies in host memory, and pinned host memory.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "tests/fake_cuda/calls.h"

namespace kelvin::fake_cuda::calls {
namespace {

constexpr std::uint64_t kGranularity = std::uint64_t{2} << 20;

Machine& machine() { return Machine::only(); }
void* pointer(CUdeviceptr at) { return reinterpret_cast<void*>(at); }
CUdeviceptr address(const void* at) { return reinterpret_cast<CUdeviceptr>(at); }

void* map(std::uint64_t bytes, int protection) {
  void* at = ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

bool no_room(int gpu, std::uint64_t bytes) { return machine().used(gpu) + bytes > machine().script().bytes; }

}  // namespace

CUresult memory_info(std::size_t* free_bytes, std::size_t* bytes) {
  KELVIN_FAKE_ENTER("cuMemGetInfo");
  *bytes = machine().script().bytes;
  *free_bytes = *bytes - machine().used(Machine::current_gpu());
  return CUDA_SUCCESS;
}

CUresult memory_allocate(CUdeviceptr* at, std::size_t bytes) {
  KELVIN_FAKE_ENTER("cuMemAlloc");
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (no_room(Machine::current_gpu(), bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  void* memory = map(bytes, PROT_READ | PROT_WRITE);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  *at = address(memory);
  machine().add(pointer(*at), {.bytes = bytes, .gpu = Machine::current_gpu()});
  return CUDA_SUCCESS;
}

CUresult memory_free(CUdeviceptr at) {
  KELVIN_FAKE_ENTER("cuMemFree");
  const std::uint64_t bytes = machine().bytes_of(pointer(at));
  if (!machine().remove(pointer(at))) return CUDA_ERROR_INVALID_VALUE;
  ::munmap(pointer(at), bytes);
  return CUDA_SUCCESS;
}

CUresult memory_set(CUdeviceptr at, unsigned char value, std::size_t bytes, CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemsetD8Async");
  if (machine().place_of(pointer(at), bytes) < 0) return CUDA_ERROR_INVALID_VALUE;
  Machine::stream(stream).put([=] { std::memset(pointer(at), value, bytes); });
  return CUDA_SUCCESS;
}

CUresult pointer_attribute(void* value, CUpointer_attribute which, CUdeviceptr at) {
  KELVIN_FAKE_ENTER("cuPointerGetAttribute");
  const Region region = machine().region_of(pointer(at));
  if (region.gpu < 0) return CUDA_ERROR_INVALID_VALUE;
  const CUmemorytype kind = CU_MEMORYTYPE_DEVICE;
  switch (which) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: std::memcpy(value, &region.gpu, sizeof region.gpu); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: std::memcpy(value, &kind, sizeof kind); break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: std::memcpy(value, &region.base, sizeof region.base); break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: std::memcpy(value, &region.bytes, sizeof region.bytes); break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult host_allocate(void** at, std::size_t bytes, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemHostAlloc");
  *at = map(bytes, PROT_READ | PROT_WRITE);
  if (*at == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  machine().add(*at, {.bytes = bytes, .gpu = -1});
  return CUDA_SUCCESS;
}

CUresult host_free(void* at) {
  KELVIN_FAKE_ENTER("cuMemFreeHost");
  const std::uint64_t bytes = machine().bytes_of(at);
  if (!machine().remove(at)) return CUDA_ERROR_INVALID_VALUE;
  ::munmap(at, bytes);
  return CUDA_SUCCESS;
}

CUresult host_register(void* at, std::size_t bytes, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemHostRegister");
  if (at == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (machine().overlaps(at, bytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  machine().add(at, {.bytes = bytes, .gpu = -1});
  return CUDA_SUCCESS;
}

CUresult host_unregister(void* at) {
  KELVIN_FAKE_ENTER("cuMemHostUnregister");
  return machine().remove(at) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

CUresult host_device_pointer(CUdeviceptr* device, void* at, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemHostGetDevicePointer");
  if (!machine().holds(at, 1, -1)) return CUDA_ERROR_INVALID_VALUE;
  *device = address(at);
  return CUDA_SUCCESS;
}

CUresult virtual_granularity(std::size_t* bytes, const CUmemAllocationProp* /*properties*/,
                             CUmemAllocationGranularity_flags /*which*/) {
  KELVIN_FAKE_ENTER("cuMemGetAllocationGranularity");
  *bytes = kGranularity;
  return CUDA_SUCCESS;
}

CUresult virtual_reserve(CUdeviceptr* at, std::size_t bytes, std::size_t /*alignment*/, CUdeviceptr /*wish*/,
                         unsigned long long /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemAddressReserve");
  if (bytes % kGranularity != 0) return CUDA_ERROR_INVALID_VALUE;
  void* memory = map(bytes, PROT_NONE);
  if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  *at = address(memory);
  ++machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult virtual_release(CUdeviceptr at, std::size_t bytes) {
  KELVIN_FAKE_ENTER("cuMemAddressFree");
  ::munmap(pointer(at), bytes);
  --machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult virtual_create(CUmemGenericAllocationHandle* handle, std::size_t bytes,
                        const CUmemAllocationProp* properties, unsigned long long /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemCreate");
  if (bytes % kGranularity != 0) return CUDA_ERROR_INVALID_VALUE;
  if (no_room(properties->location.id, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = static_cast<CUmemGenericAllocationHandle>(properties->location.id) + 1;
  ++machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult virtual_destroy(CUmemGenericAllocationHandle /*handle*/) {
  KELVIN_FAKE_ENTER("cuMemRelease");
  --machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult virtual_map(CUdeviceptr at, std::size_t bytes, std::size_t /*offset*/,
                     CUmemGenericAllocationHandle handle, unsigned long long /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemMap");
  machine().add(pointer(at), {.bytes = bytes, .gpu = static_cast<int>(handle) - 1});
  return CUDA_SUCCESS;
}

CUresult virtual_unmap(CUdeviceptr at, std::size_t /*bytes*/) {
  KELVIN_FAKE_ENTER("cuMemUnmap");
  return machine().remove(pointer(at)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult virtual_access(CUdeviceptr at, std::size_t bytes, const CUmemAccessDesc* /*who*/,
                        std::size_t count) {
  KELVIN_FAKE_ENTER("cuMemSetAccess");
  if (count == 0) return CUDA_ERROR_INVALID_VALUE;
  ::mprotect(pointer(at), bytes, PROT_READ | PROT_WRITE);
  return CUDA_SUCCESS;
}

CUresult virtual_export(void* handle, CUmemGenericAllocationHandle /*memory*/, CUmemAllocationHandleType kind,
                        unsigned long long /*flags*/) {
  KELVIN_FAKE_ENTER("cuMemExportToShareableHandle");
  if (kind != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
  if (!machine().script().export_ok) return CUDA_ERROR_NOT_PERMITTED;
  const int descriptor = ::memfd_create("pretended GPU memory", MFD_CLOEXEC);
  std::memcpy(handle, &descriptor, sizeof descriptor);
  return descriptor >= 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

}  // namespace kelvin::fake_cuda::calls
