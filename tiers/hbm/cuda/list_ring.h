// ListRing: lists of pieces for kernels, in pinned host memory; each is used again when the kernel that was
// given it is done.
//
// Thread contract: as its queue: one thread at a time. Nothing allocates after open.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/cuda/kernel_arguments.h"

namespace kelvin::hbm {

class ListRing {
 public:
  static constexpr std::uint32_t kLists = 32;

  // `context` outlives it. Precondition of all, the end included: the context is current.
  static Result<std::unique_ptr<ListRing>> open(Context& context, std::string* why);
  ~ListRing();
  ListRing(const ListRing&) = delete;
  ListRing& operator=(const ListRing&) = delete;

  // The next list's entries, to be filled. kBusy: the GPU reads it still, and so all others.
  Result<std::span<ListEntry>> next() noexcept;
  // The same list, as the GPU sees it.
  const ListEntry* on_device() const noexcept;
  // A kernel that reads it was put on the stream: it is not to be filled again before that is done.
  Status given(CUstream stream) noexcept;

 private:
  explicit ListRing(Context& context) : context_(context), events_(kLists) {}

  // Constant after open.
  Context& context_;
  ListEntry* entries_ = nullptr;
  CUdeviceptr device_ = 0;
  std::vector<CUevent> events_;

  std::uint32_t next_ = 0;
};

}  // namespace kelvin::hbm
