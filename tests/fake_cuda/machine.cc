// See machine.h.
#include "tests/fake_cuda/machine.h"

#include <cstring>

#include "tiers/hbm/cuda/driver_errors.h"

CUstream_st::CUstream_st() : worker_([this] { work(); }) {}

CUstream_st::~CUstream_st() {
  drain();
  {
    const std::lock_guard lock(mu_);
    ended_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void CUstream_st::put(std::function<void()> task) {
  {
    const std::lock_guard lock(mu_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

void CUstream_st::drain() {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [this] { return tasks_.empty() && !busy_; });
}

void CUstream_st::work() {
  std::unique_lock lock(mu_);
  for (;;) {
    changed_.wait(lock, [this] { return ended_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    busy_ = true;
    lock.unlock();
    kelvin::fake_cuda::Machine::only().wait_while_held();
    task();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

namespace kelvin::fake_cuda {

// Never ends: threads of streams may outlive main.
Machine& Machine::only() {
  static Machine& machine = *new Machine();
  return machine;
}

void Machine::reset(const Script& script) {
  hold(false);
  std::map<int, CUctx_st> old;
  std::map<const void*, std::shared_ptr<void>> left;
  {
    const std::lock_guard lock(mu_);
    script_ = script;
    lost_ = CUDA_SUCCESS;
    std::swap(old, contexts_);
    std::swap(left, things_);
    regions_.clear();
  }
  stack().clear();
  seen.plain_copies = seen.peer_copies = seen.batches_12 = seen.batches_13 = seen.launches = 0;
  seen.allocated = 0;
}

CUresult Machine::enter(const char* call, bool needs_context) {
  const std::lock_guard lock(mu_);
  if (lost_ != CUDA_SUCCESS) return lost_;
  if (script_.failing != nullptr && std::strcmp(script_.failing, call) == 0 && script_.spared-- <= 0 &&
      script_.times-- > 0) {
    if (hbm::loses_device(script_.error)) lost_ = script_.error;
    return script_.error;
  }
  return needs_context && stack().empty() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUcontext Machine::context(int gpu) {
  const std::lock_guard lock(mu_);
  CUctx_st& context = contexts_[gpu];
  context.ordinal = gpu;
  if (context.stream == nullptr) context.stream = std::make_unique<CUstream_st>();
  return &context;
}

std::vector<CUcontext>& Machine::stack() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

// Outside the lock: a stream's end waits for its tasks, which may call.
void Machine::end(const void* thing) {
  std::shared_ptr<void> ended;
  {
    const std::lock_guard lock(mu_);
    const auto found = things_.find(thing);
    if (found == things_.end()) return;
    ended = std::move(found->second);
    things_.erase(found);
    --seen.allocated;
  }
}

void Machine::add(const void* base, Region region) {
  const std::lock_guard lock(mu_);
  region.base = reinterpret_cast<std::uintptr_t>(base);
  regions_[region.base] = region;
  ++seen.allocated;
}

bool Machine::remove(const void* base) {
  const std::lock_guard lock(mu_);
  if (regions_.erase(reinterpret_cast<std::uintptr_t>(base)) == 0) return false;
  --seen.allocated;
  return true;
}

bool Machine::overlaps(const void* base, std::uint64_t bytes) {
  const std::lock_guard lock(mu_);
  const auto first = reinterpret_cast<std::uintptr_t>(base);
  const auto behind = regions_.lower_bound(first + bytes);
  if (behind == regions_.begin()) return false;
  const auto last = std::prev(behind);
  return last->first + last->second.bytes > first;
}

Region Machine::region_of(const void* at) {
  const std::lock_guard lock(mu_);
  const auto first = reinterpret_cast<std::uintptr_t>(at);
  auto region = regions_.upper_bound(first);
  if (region == regions_.begin()) return {};
  --region;
  return first < region->second.base + region->second.bytes ? region->second : Region{};
}

int Machine::place_of(const void* at, std::uint64_t bytes) {
  const Region region = region_of(at);
  const auto first = reinterpret_cast<std::uintptr_t>(at);
  return region.bytes != 0 && first + bytes <= region.base + region.bytes ? region.gpu : -2;
}

bool Machine::holds(const void* at, std::uint64_t bytes, int gpu) { return place_of(at, bytes) == gpu; }

std::uint64_t Machine::bytes_of(const void* base) {
  const std::lock_guard lock(mu_);
  const auto region = regions_.find(reinterpret_cast<std::uintptr_t>(base));
  return region != regions_.end() ? region->second.bytes : 0;
}

std::uint64_t Machine::used(int gpu) {
  const std::lock_guard lock(mu_);
  std::uint64_t bytes = 0;
  for (const auto& [base, region] : regions_) bytes += region.gpu == gpu ? region.bytes : 0;
  return bytes;
}

void Machine::hold(bool held) {
  {
    const std::lock_guard lock(mu_);
    held_ = held;
  }
  released_.notify_all();
}

void Machine::wait_while_held() {
  std::unique_lock lock(mu_);
  released_.wait(lock, [this] { return !held_; });
}

}  // namespace kelvin::fake_cuda
