// A CUDA driver without a GPU: the calls of tiers/hbm/cuda/driver.h over host memory, with streams that have
// threads of their own, and errors on demand. Tests load it in place of libcuda.so.1.
//
// It is stricter than a driver: copies must lie in one allocation or one pinned range each, calls need a
// current context where the driver's documentation says so, and a batch has no empty copies and no default
// stream.
//
// Thread contract: the script is set while nothing else is called; the rest from any thread.
#pragma once

#include <cuda.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace kelvin::fake_cuda {

struct Script {
  int version = 13000;
  int gpus = 2;
  std::uint64_t bytes = std::uint64_t{1} << 30;  // of each GPU
  CUresult init = CUDA_SUCCESS;
  bool peers = true;         // GPUs reach each other
  bool machine_code = true;  // false: only PTX can be loaded
  bool ptx = true;
  bool words = true;      // streams wait for words
  bool export_ok = true;  // memory can be exported

  // This call fails with this error so many times, after the first `spared` times. One that loses a device is
  // then answered to every call.
  const char* failing = nullptr;  // "cuMemAlloc"
  CUresult error = CUDA_SUCCESS;
  int spared = 0;
  int times = 1 << 30;
};

// What tests want to know.
struct Seen {
  std::atomic<std::uint64_t> plain_copies{0};
  std::atomic<std::uint64_t> peer_copies{0};
  std::atomic<std::uint64_t> batches_12{0};
  std::atomic<std::uint64_t> batches_13{0};
  std::atomic<std::uint64_t> launches{0};
  std::atomic<std::int64_t> allocated{0};  // allocations, mappings, pins, streams, events, modules: all that
                                           // is to be given back
};

// The library's own controls, by dlsym.
using ResetCall = void (*)(const Script*);  // "fake_cuda_reset": as if the process had just begun
using SeenCall = Seen* (*)();               // "fake_cuda_seen"
using HoldCall = void (*)(bool);            // "fake_cuda_hold": streams do nothing while they are held

}  // namespace kelvin::fake_cuda
