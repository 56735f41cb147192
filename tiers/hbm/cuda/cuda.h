// The CUDA device: what the HBM tier needs of a GPU of NVIDIA's. The driver is found at run time.
//
// Thread contract: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

// The GPU of that number, as CUDA counts them (CUDA_VISIBLE_DEVICES is the driver's to obey). kUnavailable:
// there is no such GPU, no driver, or one that is too old; `why` (never null) says what to do.
Result<std::unique_ptr<Device>> open_cuda(std::int32_t ordinal, std::string* why);

}  // namespace kelvin::hbm
