// Ctrl-C asks a long command to end early and still say what it did; a second one ends it at once.
//
// Thread contract: catch_interrupts once, before other threads; interrupted from any thread.
#pragma once

namespace kelvin::cli {

void catch_interrupts() noexcept;  // SIGINT and SIGTERM
bool interrupted() noexcept;

}  // namespace kelvin::cli
