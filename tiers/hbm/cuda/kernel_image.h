// The compiled kernels, as bytes; made by the build (cmake/cuda_image.cmake).
//
// Thread contract: constants.
#pragma once

namespace kelvin::hbm {

extern const unsigned char kKernelMachineCode[];  // for the GPUs that the build names
extern const unsigned char kKernelPtx[];          // for all since sm_80, a string

}  // namespace kelvin::hbm
