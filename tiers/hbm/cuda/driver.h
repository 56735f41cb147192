// The CUDA driver's entry points, found at run time in libcuda.so.1. Nothing else of CUDA is needed to run.
//
// Each is asked for in the version whose arguments we know, so that newer drivers with newer defaults do not
// change what is called.
//
// Thread contract: constant after load; any thread.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <memory>
#include <string>

#include "kelvin/status.h"

namespace kelvin::hbm {

inline constexpr int kOldestDriver = 11080;  // CUDA 11.8, R520
inline constexpr const char* kDriverLibrary = "libcuda.so.1";

// Every call that a driver must have: its name here, its name there.
// clang-format off
#define KELVIN_CUDA_CALLS(call)                             \
  call(init, cuInit)                                        \
  call(device_count, cuDeviceGetCount)                      \
  call(device_get, cuDeviceGet)                             \
  call(device_name, cuDeviceGetName)                        \
  call(device_attribute, cuDeviceGetAttribute)              \
  call(device_pci_address, cuDeviceGetPCIBusId)             \
  call(device_can_access_peer, cuDeviceCanAccessPeer)       \
  call(primary_retain, cuDevicePrimaryCtxRetain)            \
  call(primary_release, cuDevicePrimaryCtxRelease)          \
  call(context_get, cuCtxGetCurrent)                        \
  call(context_push, cuCtxPushCurrent)                      \
  call(context_pop, cuCtxPopCurrent)                        \
  call(context_enable_peer, cuCtxEnablePeerAccess)          \
  call(memory_info, cuMemGetInfo)                           \
  call(memory_allocate, cuMemAlloc)                         \
  call(memory_free, cuMemFree)                              \
  call(memory_set, cuMemsetD8Async)                         \
  call(pointer_attribute, cuPointerGetAttribute)            \
  call(host_allocate, cuMemHostAlloc)                       \
  call(host_free, cuMemFreeHost)                            \
  call(host_register, cuMemHostRegister)                    \
  call(host_unregister, cuMemHostUnregister)                \
  call(host_device_pointer, cuMemHostGetDevicePointer)      \
  call(virtual_granularity, cuMemGetAllocationGranularity)  \
  call(virtual_reserve, cuMemAddressReserve)                \
  call(virtual_release, cuMemAddressFree)                   \
  call(virtual_create, cuMemCreate)                         \
  call(virtual_destroy, cuMemRelease)                       \
  call(virtual_map, cuMemMap)                               \
  call(virtual_unmap, cuMemUnmap)                           \
  call(virtual_access, cuMemSetAccess)                      \
  call(virtual_export, cuMemExportToShareableHandle)        \
  call(copy_from_host, cuMemcpyHtoDAsync)                   \
  call(copy_to_host, cuMemcpyDtoHAsync)                     \
  call(copy_within, cuMemcpyDtoDAsync)                      \
  call(copy_peer, cuMemcpyPeerAsync)                        \
  call(stream_create, cuStreamCreate)                       \
  call(stream_destroy, cuStreamDestroy)                     \
  call(stream_synchronize, cuStreamSynchronize)             \
  call(stream_after, cuStreamWaitEvent)                     \
  call(stream_wait_word, cuStreamWaitValue32)               \
  call(event_create, cuEventCreate)                         \
  call(event_destroy, cuEventDestroy)                       \
  call(event_record, cuEventRecord)                         \
  call(event_query, cuEventQuery)                           \
  call(module_load, cuModuleLoadData)                       \
  call(module_unload, cuModuleUnload)                       \
  call(module_function, cuModuleGetFunction)                \
  call(launch, cuLaunchKernel)                              \
  call(name_of_error, cuGetErrorName)                       \
  call(text_of_error, cuGetErrorString)
// clang-format on

// The attributes of a batch of copies, as drivers since 12.8 know them; toolkits before that do not name
// them.
struct BatchAttributes {
  int source_order = 1;  // in the stream's order
  int source_place[2] = {};
  int target_place[2] = {};
  unsigned flags = 1;  // beside computation, if that is to be had
};

// In 13.0 the argument that tells which copy was refused went away. One of both is null, or both.
using BatchCopy12 = CUresult (*)(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                                 BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                                 std::size_t* refused, CUstream stream);
using BatchCopy13 = CUresult (*)(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                                 BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                                 CUstream stream);

class Driver {
 public:
  // `library`: a path, or a name for the loader's search. kUnavailable: no driver, one that is too old, or no
  // GPU behind it; `why` (never null) says what to do.
  static Result<std::unique_ptr<Driver>> load(const char* library, std::string* why);

  int version() const noexcept { return version_; }  // 12080: CUDA 12.8

  // Constant after load.
#define KELVIN_CUDA_MEMBER(ours, theirs) \
  decltype(&::theirs) ours = nullptr;  // NOLINT(bugprone-macro-parentheses): a declaration
  KELVIN_CUDA_CALLS(KELVIN_CUDA_MEMBER)
#undef KELVIN_CUDA_MEMBER
  BatchCopy12 batch_copy_12 = nullptr;
  BatchCopy13 batch_copy_13 = nullptr;

 private:
  Driver() = default;

  Status find_calls(void* library, std::string* why);
  Status start(std::string* why);

  int version_ = 0;
};

}  // namespace kelvin::hbm
