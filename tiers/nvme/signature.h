// What lies on a medium that is neither nothing nor Kelvin's: the safety catch of raw devices.
//
// Thread contract: any thread; nothing is changed. Allocates.
#pragma once

#include <string>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

// "a file system (ext4, \"backup\")", "a partition table (gpt)", "data of an unknown kind in its last MiB";
// empty: nothing, or what Kelvin wrote, of whatever version and in whatever state. Where a device holds both,
// the somebody else's counts. Without libblkid (KELVIN_BLKID) all that is not blank is of an unknown kind.
Result<std::string> foreign_content(Medium& medium, std::string* why);

// Zeros where superblocks, partition tables and signatures lie: its first 2 MiB and its last MiB. After that
// it counts as blank; what else is there is lost with the next blocks.
Status erase_signatures(Medium& medium, std::string* why);

}  // namespace kelvin::nvme
