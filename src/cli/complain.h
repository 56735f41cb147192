// How the commands end badly, and how they write their results.
//
// Thread contract: one thread.
#pragma once

#include <string>

namespace kelvin::cli {

// Says on standard error what is wrong; returns kExitFailed.
int complain(const std::string& why);

// Writes a file anew ("-": standard output). False: it could not be written.
bool write_text(const std::string& path, const std::string& text);

}  // namespace kelvin::cli
