// Where the slots of an hbm tier lie, and whether they can lie there.
//
// Thread contract: pure functions.
#pragma once

#include <string>

#include "kelvin/plugin.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/hbm_settings.h"

namespace kelvin::hbm {

// Of an arena at address 0 of capacity_bytes or less: bases are offsets. kInvalid.
Result<AdoptedMemory> own_layout(const TierContext& context, const HbmSettings& settings, std::string* why);

// Places it.
AdoptedMemory at(AdoptedMemory layout, std::byte* base);

// Of an arena, the bytes.
std::uint64_t arena_bytes(const AdoptedMemory& layout) noexcept;

// kInvalid where the engine's memory is not what the config says, or not the device's.
Status check_adopted(const TierContext& context, const HbmSettings& settings, const Device& device,
                     std::string* why);

}  // namespace kelvin::hbm
