// Policy "s3fifo": new blocks pass through a small queue; those used again meanwhile, and those that come
// back soon after they went, enter the main one.
//
// First in, first out in both, without touches: a block used since it came to the head is queued again
// instead of leaving. Blocks of one lease enter deepest first. A step evicts one block: where the main queue
// has more than its nine tenths, from there; else where the small one has its tenth, from there.
//
// Source: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023 (small queue: a tenth).
#pragma once

#include "kelvin/plugin.h"

namespace kelvin {

extern const PolicyFactory kS3FifoPolicy;

}  // namespace kelvin
