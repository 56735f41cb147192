// What a loader finds in the library: the look-up of calls, and the controls of tests.
#include <cstring>

#include "tests/fake_cuda/calls.h"

namespace kelvin::fake_cuda {
namespace {

struct Entry {
  const char* name;
  void* call;
};

const Entry kEntries[] = {
#define KELVIN_FAKE_ENTRY(ours, theirs) {#theirs, reinterpret_cast<void*>(&calls::ours)},
    KELVIN_CUDA_CALLS(KELVIN_FAKE_ENTRY)
#undef KELVIN_FAKE_ENTRY
};

CUresult find(const char* name, void** call, int version) {
  const int ours = Machine::only().script().version;
  *call = nullptr;
  if (version > ours) return CUDA_ERROR_INVALID_VALUE;
  if (std::strcmp(name, "cuMemcpyBatchAsync") == 0) {
    if (version >= 13000) {
      *call = reinterpret_cast<void*>(&calls::batch_13);
    } else if (version >= 12080) {
      *call = reinterpret_cast<void*>(&calls::batch_12);
    }
  }
  for (const Entry& entry : kEntries) {
    if (std::strcmp(entry.name, name) == 0) *call = entry.call;
  }
  return *call != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

}  // namespace
}  // namespace kelvin::fake_cuda

#define KELVIN_FAKE_EXPORT extern "C" __attribute__((visibility("default")))

KELVIN_FAKE_EXPORT CUresult fake_version(int* version) asm("cuDriverGetVersion");
CUresult fake_version(int* version) {
  *version = kelvin::fake_cuda::Machine::only().script().version;
  return CUDA_SUCCESS;
}

// Drivers before 12.0 have only the older one.
KELVIN_FAKE_EXPORT CUresult fake_find_11(const char* name, void** call, int version,
                                         cuuint64_t flags) asm("cuGetProcAddress");
CUresult fake_find_11(const char* name, void** call, int version, cuuint64_t /*flags*/) {
  return kelvin::fake_cuda::find(name, call, version);
}

#if !defined(KELVIN_FAKE_OLD_LOOK_UP)
KELVIN_FAKE_EXPORT CUresult fake_find_12(const char* name, void** call, int version, cuuint64_t flags,
                                         int* answer) asm("cuGetProcAddress_v2");
CUresult fake_find_12(const char* name, void** call, int version, cuuint64_t /*flags*/, int* answer) {
  *answer = 0;
  return kelvin::fake_cuda::find(name, call, version);
}
#endif

KELVIN_FAKE_EXPORT void fake_cuda_reset(const kelvin::fake_cuda::Script* script) {
  kelvin::fake_cuda::Machine::only().reset(*script);
}
KELVIN_FAKE_EXPORT kelvin::fake_cuda::Seen* fake_cuda_seen() {
  return &kelvin::fake_cuda::Machine::only().seen;
}
KELVIN_FAKE_EXPORT void fake_cuda_hold(bool held) { kelvin::fake_cuda::Machine::only().hold(held); }
