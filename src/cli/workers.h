// Independent pieces of work on several threads, in the order of their numbers.
//
// Thread contract: run_parallel is called by one thread; `work` runs on others, `tick` on the caller's.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "kelvin/status.h"

namespace kelvin::cli {

// One piece of work. On failure it says what is wrong in `why` (never null).
using Work = std::function<Status(std::size_t number, std::string* why)>;

// Runs work(0) .. work(count - 1) on at most `jobs` threads (0: as many as the machine runs at once). Ctrl-C
// and the first failure keep further pieces from starting. `tick` hears several times a second how many are
// done. Returns the failure of the lowest number, with its `why` (never null).
Status run_parallel(std::size_t count, std::size_t jobs, const Work& work,
                    const std::function<void(std::size_t done)>& tick, std::string* why);

}  // namespace kelvin::cli
