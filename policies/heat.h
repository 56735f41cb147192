// Policy "heat": what is least likely to be used soon, for the room it takes, goes first.
//
// Every request leaves blocks behind whose next use is the next request of their session, or of anybody who
// shares their beginning. How likely that is at each age is learned while the policy runs, from the turn, the
// gaps between turns, the length and the end of the answer, the size of the prompt, and how often others have
// forked off. The heat of a block is the best ratio, over all times to wait, of the chance of a use to the
// expected time in the tier (a Gittins index). A victim is the coldest of a sample of leaves, then its
// parents while they are no hotter. Blocks that are gone are remembered for a while, so that the policy also
// learns from what it should have kept.
//
// A victim is dropped where a farther tier has a copy, demoted to the next tier where it is worth the write
// there, else dropped. Blocks published into adopted slots are copied down at once.
//
// Sources: heat/hazard.h, heat/pace.h; sampling: Jain and Lin, "Back to the future", 2016, and Redis.
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kHeatPolicy;

}  // namespace kelvin
