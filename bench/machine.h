// What the figures were measured on, so that a result file says it by itself.
//
// Thread contract: call before the benchmarks run, from the main thread.
#pragma once

#include <string>

namespace kelvin::bench {

// Adds CPU, cores, kernel, page sizes and load to the context that the console and the JSON begin with.
void describe_machine();

// "1.9 2.3 2.2": load averages; on a busy machine only ratios mean something.
std::string load_average();

}  // namespace kelvin::bench
