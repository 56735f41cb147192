// Policy "cost": the block whose loss would cost least goes first.
//
// What a block is worth is what is lost with it, recomputing its tokens at their depth, times how often it
// was used; an aging term makes old merits fade. A block is never worth less than those that build on it, so
// that victims are leaves. A tier from which loading takes longer than recomputing gets no blocks.
//
// Sources: Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy",
// HP Labs HPL-98-69, 1998. Blocks are of one size here.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kCostPolicy;

}  // namespace kelvin
