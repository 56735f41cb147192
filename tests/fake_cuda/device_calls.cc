// Pretended calls: GPUs, contexts, errors.
#include <algorithm>
#include <cstring>

#include "tests/fake_cuda/calls.h"

namespace kelvin::fake_cuda::calls {
namespace {

Machine& machine() { return Machine::only(); }

bool no_gpu(int ordinal) { return ordinal < 0 || ordinal >= machine().script().gpus; }

void write_text(char* to, int room, const std::string& text) {
  const auto bytes = std::min<std::size_t>(text.size(), static_cast<std::size_t>(room) - 1);
  std::memcpy(to, text.data(), bytes);
  to[bytes] = 0;
}

}  // namespace

CUresult init(unsigned /*flags*/) { return machine().script().init; }

CUresult device_count(int* count) {
  KELVIN_FAKE_ENTER("cuDeviceGetCount", false);
  *count = machine().script().gpus;
  return CUDA_SUCCESS;
}

CUresult device_get(CUdevice* device, int ordinal) {
  KELVIN_FAKE_ENTER("cuDeviceGet", false);
  if (no_gpu(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult device_name(char* name, int room, CUdevice device) {
  KELVIN_FAKE_ENTER("cuDeviceGetName", false);
  write_text(name, room, "pretended GPU " + std::to_string(device));
  return CUDA_SUCCESS;
}

CUresult device_pci_address(char* address, int room, CUdevice device) {
  KELVIN_FAKE_ENTER("cuDeviceGetPCIBusId", false);
  write_text(address, room, "FFFF:0" + std::to_string(device) + ":00.0");
  return CUDA_SUCCESS;
}

CUresult device_attribute(int* value, CUdevice_attribute which, CUdevice /*device*/) {
  KELVIN_FAKE_ENTER("cuDeviceGetAttribute", false);
  switch (static_cast<int>(which)) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
    case 122: *value = machine().script().words ? 1 : 0; break;  // waiting for words
    default: *value = 1;
  }
  return CUDA_SUCCESS;
}

CUresult device_can_access_peer(int* can, CUdevice from, CUdevice to) {
  KELVIN_FAKE_ENTER("cuDeviceCanAccessPeer", false);
  *can = from != to && machine().script().peers ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult primary_retain(CUcontext* context, CUdevice device) {
  KELVIN_FAKE_ENTER("cuDevicePrimaryCtxRetain", false);
  *context = machine().context(device);
  ++machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult primary_release(CUdevice /*device*/) {
  KELVIN_FAKE_ENTER("cuDevicePrimaryCtxRelease", false);
  --machine().seen.allocated;
  return CUDA_SUCCESS;
}

CUresult context_get(CUcontext* context) {
  KELVIN_FAKE_ENTER("cuCtxGetCurrent", false);
  *context = Machine::stack().empty() ? nullptr : Machine::stack().back();
  return CUDA_SUCCESS;
}

CUresult context_push(CUcontext context) {
  KELVIN_FAKE_ENTER("cuCtxPushCurrent", false);
  Machine::stack().push_back(context);
  return CUDA_SUCCESS;
}

CUresult context_pop(CUcontext* context) {
  if (Machine::stack().empty()) return CUDA_ERROR_INVALID_CONTEXT;
  *context = Machine::stack().back();
  Machine::stack().pop_back();
  return CUDA_SUCCESS;
}

CUresult context_enable_peer(CUcontext peer, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuCtxEnablePeerAccess");
  return peer == Machine::stack().back() ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

CUresult name_of_error(CUresult error, const char** name) {
  *name = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_PRETENDED";
  return CUDA_SUCCESS;
}

CUresult text_of_error(CUresult error, const char** text) {
  *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "a pretended error";
  return CUDA_SUCCESS;
}

}  // namespace kelvin::fake_cuda::calls
