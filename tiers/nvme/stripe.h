// The volumes of one tier: one or several media, striped by slot, opened together or not at all.
//
// Each says in its superblock of which set it is a member, which one, and of how many (format.h).
//
// Thread contract: one thread. Allocates.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/status.h"
#include "tiers/nvme/medium.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {

// Opens `paths`, in this order. Of `medium` the path is ignored; of `volume` the set and the member: `volume`
// describes each of them, with its part of the capacity. Those that hold nothing are made a new set, with
// zeros all over them if `prewrite`, provided that all of them hold nothing, or that those that do not are
// the members without a block of a set that was never finished. Nothing is written before all have been
// looked at. kInvalid: paths in another order than they were made in, one missing, one of another
// set, a blank one among them; `why` names it. Else as open_medium and volume.h say.
Result<std::vector<std::unique_ptr<Volume>>> open_stripe(std::span<const std::string> paths,
                                                         const MediumConfig& medium,
                                                         const VolumeConfig& volume, bool prewrite,
                                                         std::string* why);

// The same, of media that are open already.
using Media = std::vector<std::unique_ptr<Medium>>;
Result<std::vector<std::unique_ptr<Volume>>> open_stripe(Media media, const VolumeConfig& volume,
                                                         bool prewrite, std::string* why);

}  // namespace kelvin::nvme
