// Context: one GPU's primary context, which the engine's own CUDA code shares, and whether the GPU is lost.
//
// Thread contract: any thread. A Current makes the context that of the calling thread as long as it lives,
// and gives the thread its own back.
// Invariant: once lost() it stays so; whoever asks first gets the driver's error, all others kUnavailable.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/driver.h"

namespace kelvin::hbm {

class Context {
 public:
  // `driver` outlives it.
  static Result<std::unique_ptr<Context>> open(const Driver& driver, std::int32_t ordinal, std::string* why);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Driver& driver() const noexcept { return driver_; }
  std::int32_t ordinal() const noexcept { return ordinal_; }
  CUdevice device() const noexcept { return device_; }
  CUcontext handle() const noexcept { return handle_; }
  std::string name() const { return "cuda:" + std::to_string(ordinal_); }

  bool lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

  // The Status of what the driver answered; remembers whether the device is lost with it. `doing`: a string
  // literal.
  Status check(CUresult result, const char* doing) noexcept;
  // The same, and `why` (if not null) says what to do.
  Status check(CUresult result, const char* doing, std::string* why);

  // 0 where the driver does not know.
  int attribute(CUdevice_attribute which) const noexcept;

 private:
  Context(const Driver& driver, std::int32_t ordinal) noexcept : driver_(driver), ordinal_(ordinal) {}

  // Constant after open.
  const Driver& driver_;
  std::int32_t ordinal_;
  CUdevice device_ = 0;
  CUcontext handle_ = nullptr;

  std::atomic<bool> lost_{false};
};

class Current {
 public:
  explicit Current(Context& context) noexcept;
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

  // Not ok: the device is lost; call nothing.
  Status status() const noexcept { return status_; }

 private:
  const Driver& driver_;
  bool pushed_ = false;
  Status status_;
};

}  // namespace kelvin::hbm
