// The options that all tiers in host memory share.
//
// Thread contract: constant tables and a pure function.
#pragma once

#include "kelvin/plugin.h"
#include "tiers/host/host_tier.h"

namespace kelvin {

inline constexpr OptionSpec kHugePagesOption = {
    .name = "huge_pages",
    .type = OptionType::kChoice,
    .fallback = "auto",
    .reason =
        "pages under the slots: auto takes reserved ones of 1 GiB or 2 MiB, else transparent ones, else 4 "
        "KiB; hugetlb and thp fail where they are not to be had",
    .choices = "auto|hugetlb|thp|none"};

inline constexpr OptionSpec kPrefaultOption = {
    .name = "prefault",
    .type = OptionType::kBoolean,
    .fallback = "false",
    .reason =
        "touch all memory in the background from the start (0.1 to 0.7 s a GB and core), not at first use; "
        "slots come into use as they are ready"};

inline constexpr OptionSpec kMlockOption = {
    .name = "mlock",
    .type = OptionType::kBoolean,
    .fallback = "false",
    .reason = "never swap the slots out, nor move them to another node; needs RLIMIT_MEMLOCK"};

// All but the placement.
HostTierOptions host_options(const TierContext& context, const Options& options);

}  // namespace kelvin
