// kelvin bench --links. See commands.h.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/link_speed.h"

namespace kelvin::cli {
namespace {

std::string copy_path(const BenchArguments& arguments) {
  if (!arguments.out.empty()) return arguments.out;
  std::filesystem::path path(arguments.config);
  path.replace_extension(".measured.toml");
  return path.string();
}

}  // namespace

int bench_command(const BenchArguments& arguments) {
  std::string why;
  auto config = load_config(arguments.config, &why);
  if (!config.ok()) return complain(why);
  if (config->tiers.size() < 2)
    return complain(arguments.config + ": has one tier, so there is no link to measure");

  catch_interrupts();
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto tell = [&](const std::string& link) {
    if (terminal) fmt::print(stderr, "measuring {} and back ...\n", link);
  };
  const auto speeds = measure_links(*config, {}, tell, &why);
  if (!speeds.ok()) return complain(why);
  apply_speeds(*speeds, *config);
  if (arguments.json != "-") fmt::print("{}", link_table(*speeds, *config));
  std::fflush(stdout);
  if (!arguments.json.empty() && !write_text(arguments.json, link_json(*speeds, *config))) {
    return complain(arguments.json + ": cannot be written");
  }
  bool all = true;
  for (const LinkSpeed& speed : *speeds) all = all && speed.missing.empty();
  if (arguments.write || !arguments.out.empty()) {
    const std::string path = copy_path(arguments);
    if (!write_text(path, to_toml(*config))) return complain(path + ": cannot be written");
    fmt::print(stderr, "kelvin: the config with these speeds is in {}\n", path);
  }
  return all ? kExitOk : kExitFailed;
}

}  // namespace kelvin::cli
