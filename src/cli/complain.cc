// See complain.h.
#include "cli/complain.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "cli/commands.h"

namespace kelvin::cli {

int complain(const std::string& why) {
  fmt::print(stderr, "kelvin: {}\n", why);
  return kExitFailed;
}

bool write_text(const std::string& path, const std::string& text) {
  if (path == "-") return static_cast<bool>(std::cout << text << std::flush);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  return static_cast<bool>(file << text << std::flush);
}

}  // namespace kelvin::cli
