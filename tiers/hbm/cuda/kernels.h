// Kernels: the compiled kernels of kernels.cu on one GPU, and how many CTAs they are launched with.
//
// Thread contract: constant after open; any thread. Precondition of all, the end included: the context is
// current.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/cuda/kernel_arguments.h"

namespace kelvin::hbm {

class Kernels {
 public:
  // `context` outlives it. kUnsupported: neither the machine code nor the PTX of this build suits this GPU
  // and driver; all else works without.
  static Result<std::unique_ptr<Kernels>> open(Context& context, std::string* why);
  ~Kernels();
  Kernels(const Kernels&) = delete;
  Kernels& operator=(const Kernels&) = delete;

  Status copy(CUstream stream, CopyArguments arguments) noexcept;
  Status checksum(CUstream stream, ChecksumArguments arguments) noexcept;

  std::uint32_t most_ctas() const noexcept { return most_ctas_; }

 private:
  explicit Kernels(Context& context) noexcept : context_(context) {}

  // CTAs for so much work, when each takes `a_turn` chunks at a time.
  unsigned ctas_for(std::uint64_t chunks, std::uint64_t a_turn) const noexcept;

  // Constant after open.
  Context& context_;
  CUmodule module_ = nullptr;
  CUfunction copy_ = nullptr;
  CUfunction checksum_ = nullptr;
  std::uint32_t most_ctas_ = 4;
};

}  // namespace kelvin::hbm
