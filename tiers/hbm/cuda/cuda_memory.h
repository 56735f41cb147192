// CudaMemory: one run of a GPU's memory; one that can be shared is mapped from a handle of its own.
//
// Thread contract: as Memory. Ends before its device.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class CudaMemory final : public Memory {
 public:
  // Precondition: the context is current.
  static Result<std::unique_ptr<Memory>> open(Context& context, std::uint64_t bytes, bool shared,
                                              std::string* why);
  ~CudaMemory() override;

  std::byte* base() const noexcept override { return reinterpret_cast<std::byte*>(address_); }
  std::uint64_t bytes() const noexcept override { return bytes_; }
  Result<int> share() noexcept override;

 private:
  CudaMemory(Context& context, std::uint64_t bytes) noexcept : context_(context), bytes_(bytes) {}

  CUresult map_shared() noexcept;
  CUresult open_to_peers() noexcept;

  // Constant after open.
  Context& context_;
  std::uint64_t bytes_;
  CUdeviceptr address_ = 0;
  std::uint64_t reserved_bytes_ = 0;  // of shared memory: a multiple of the GPU's granularity
  CUmemGenericAllocationHandle handle_ = 0;
  bool has_handle_ = false;
  bool mapped_ = false;
};

}  // namespace kelvin::hbm
