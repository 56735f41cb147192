// The pretended calls, by the names of tiers/hbm/cuda/driver.h, and the two kinds of batch.
//
// Thread contract: any thread.
#pragma once

#include "tests/fake_cuda/machine.h"
#include "tiers/hbm/cuda/driver.h"

namespace kelvin::fake_cuda::calls {

// As the driver declares them: a pretended call of another kind does not compile.
#define KELVIN_FAKE_DECLARE(ours, theirs) \
  extern decltype(::theirs) ours;  // NOLINT(bugprone-macro-parentheses): a declaration
KELVIN_CUDA_CALLS(KELVIN_FAKE_DECLARE)
#undef KELVIN_FAKE_DECLARE

CUresult batch_12(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                  hbm::BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                  std::size_t* refused, CUstream stream);
CUresult batch_13(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                  hbm::BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                  CUstream stream);

}  // namespace kelvin::fake_cuda::calls

// Leaves the call with what Machine::enter answers, if that is no success.
#define KELVIN_FAKE_ENTER(...)                                                                               \
  if (const CUresult answer = kelvin::fake_cuda::Machine::only().enter(__VA_ARGS__); answer != CUDA_SUCCESS) \
  return answer
