// All of Kelvin's C++ API. Start reading at space.h.
#pragma once

#include "kelvin/block.h"
#include "kelvin/config.h"
#include "kelvin/hash.h"
#include "kelvin/link.h"
#include "kelvin/policy.h"
#include "kelvin/space.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"
