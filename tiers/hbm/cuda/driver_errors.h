// What the driver's errors mean to us: a Status, whether the device is lost with it, and what to do.
//
// Thread contract: any thread.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <string>

#include "kelvin/status.h"

namespace kelvin::hbm {

class Driver;

// After these nothing on the device succeeds any more in this process.
bool loses_device(CUresult error) noexcept;

// `doing`: a string literal. Ok for CUDA_SUCCESS; else `native` is the driver's number.
Status status_of(CUresult error, const char* doing) noexcept;

// "cuMemAlloc: out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)" and, where we know it, what to do.
std::string error_text(const Driver& driver, CUresult error, const std::string& doing);

// What to do about an error, a sentence; "" if we know no better than the driver.
const char* remedy(CUresult error) noexcept;

std::string cuda_version_text(int version);  // 12080: "12.8"

}  // namespace kelvin::hbm
