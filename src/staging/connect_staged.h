// How two tiers that no link joins are joined all the same: by links between each of them and host memory,
// where it has one.
//
// Thread contract: pure, but for the memory it takes; while a space opens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/plugin.h"

namespace kelvin {

// A StagedLink with `bytes` of host memory: whole blocks, and at least two, so that one can arrive while
// another leaves. Empty where one of the tiers has no link with host memory either. On failure `why` (never
// null) says how to mend it. May throw std::bad_alloc.
Result<std::unique_ptr<Link>> connect_staged(const LinkContext& context, const SpaceConfig& space,
                                             std::uint64_t bytes, std::string* why);

}  // namespace kelvin
