// Fuzz target: a config is text from anywhere. Whatever it is, parse_config answers; what it accepts,
// validate accepts, and to_toml writes back to the same config.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kelvin/config.h"
#include "tests/same_config.h"

namespace {

void require(bool holds, const char* what, const std::string& detail) {
  if (holds) return;
  std::fprintf(stderr, "config_fuzz: %s\n%s\n", what, detail.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string why;
  const kelvin::Result<kelvin::Config> config = kelvin::parse_config(text, "fuzz", &why);
  require(config.ok() == why.empty(), "an answer without a reason, or the other way round", why);
  if (!config.ok()) return 0;
  require(kelvin::validate(*config, &why).ok(), "validate refuses what parse_config accepted", why);
  const std::string written = kelvin::to_toml(*config);
  const kelvin::Result<kelvin::Config> back = kelvin::parse_config(written, "written", &why);
  require(back.ok(), "parse_config refuses what to_toml wrote", why + "\n" + written);
  require(kelvin::same_config(*config, *back), "to_toml changed the config", written);
  return 0;
}
