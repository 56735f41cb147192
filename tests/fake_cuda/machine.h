// The pretended machine: what the calls of the fake driver share.
//
// Thread contract: any thread.
#pragma once

#include <cuda.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fake_cuda/fake_cuda.h"

// The driver's opaque things, as this one has them.
struct CUctx_st {
  int ordinal = 0;
  std::unique_ptr<CUstream_st> stream;  // the default one
};

struct CUevent_st {
  std::shared_ptr<std::atomic<bool>> done;  // null: never recorded
};

struct CUstream_st {
  CUstream_st();
  ~CUstream_st();  // when all on it is done
  void put(std::function<void()> task);
  void drain();

 private:
  void work();

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool busy_ = false;
  bool ended_ = false;
  std::thread worker_;
};

struct CUfunc_st {
  void (*run)(const void* arguments) = nullptr;
  std::size_t argument_bytes = 0;
};

struct CUmod_st {
  CUfunc_st copy;
  CUfunc_st checksum;
};

namespace kelvin::fake_cuda {

// A run of memory that the driver knows.
struct Region {
  std::uint64_t bytes = 0;
  int gpu = -1;  // -1: pinned host memory
  std::uintptr_t base = 0;
};

class Machine {
 public:
  static Machine& only();

  void reset(const Script& script);

  // What a call of this name is answered before anything else: an error that was asked for, one that stays,
  // or that no context is current.
  CUresult enter(const char* call, bool needs_context = true);
  const Script& script() const { return script_; }

  CUcontext context(int gpu);
  static std::vector<CUcontext>& stack();  // of the calling thread
  static int current_gpu() { return stack().back()->ordinal; }
  static CUstream_st& stream(CUstream stream) {
    return stream != nullptr ? *stream : *stack().back()->stream;
  }

  void add(const void* base, Region region);
  bool remove(const void* base);
  bool overlaps(const void* base, std::uint64_t bytes);
  // Whether all of it lies in one region of that place (gpu; -1: host).
  bool holds(const void* at, std::uint64_t bytes, int gpu);
  // The place; -2: nowhere.
  int place_of(const void* at, std::uint64_t bytes);
  // The region around it; without bytes: none.
  Region region_of(const void* at);
  std::uint64_t bytes_of(const void* base);  // 0: no region begins there
  std::uint64_t used(int gpu);

  // Streams, events, modules: the machine's own, so that what is left of a lost GPU goes with the next reset.
  template <class T, class... Values>
  T* make(Values&&... values) {
    auto thing = std::make_shared<T>(std::forward<Values>(values)...);
    const std::lock_guard lock(mu_);
    things_[thing.get()] = thing;
    ++seen.allocated;
    return thing.get();
  }
  void end(const void* thing);

  // Streams run only while nobody holds them.
  void hold(bool held);
  void wait_while_held();

  Seen seen;

 private:
  std::mutex mu_;
  std::condition_variable released_;
  Script script_;
  CUresult lost_ = CUDA_SUCCESS;
  bool held_ = false;
  std::map<int, CUctx_st> contexts_;
  std::map<std::uintptr_t, Region> regions_;
  std::map<const void*, std::shared_ptr<void>> things_;
};

// Kernels of ours by name; null: no such kernel.
CUfunc_st find_kernel(const char* name);

}  // namespace kelvin::fake_cuda
