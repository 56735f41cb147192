// The medium of a path: a regular file, a block device, or an NVMe character device, by what lies there.
//
// Thread contract: any thread. Allocates.
#pragma once

#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

// For use by a tier or a tool. Besides what the media themselves refuse (file_medium.h, block_medium.h,
// char_medium.h): kInvalid for a device that holds something that is not Kelvin's; `why` names it, and says
// what to do. What a file holds is not looked at here: volume.h does.
Result<std::unique_ptr<Medium>> open_medium(const MediumConfig& config, std::string* why);

// For formatting: whatever it holds. `*holds`: what somebody would lose who is not Kelvin, as foreign_content
// says it; empty: nothing. To give that up: erase_signatures (signature.h).
Result<std::unique_ptr<Medium>> open_medium_to_format(const MediumConfig& config, std::string* holds,
                                                      std::string* why);

}  // namespace kelvin::nvme
