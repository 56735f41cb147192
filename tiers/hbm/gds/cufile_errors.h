// What cuFile answers, for a person.
//
// Thread contract: pure functions. They allocate.
#pragma once

#include <string>

#include "tiers/hbm/gds/cufile.h"

namespace kelvin::hbm {

// "opening cuFile's driver: error 5025, it may not be used by this process: let it have /dev/nvidia-fs*"
std::string error_text(const cufile::Answer& answer, const std::string& doing);

}  // namespace kelvin::hbm
