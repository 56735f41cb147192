// kelvin trace gen, kelvin trace info. See commands.h.
#include <fmt/format.h>

#include <fstream>
#include <iostream>

#include "cli/commands.h"
#include "cli/trace_info.h"

namespace kelvin::cli {

int trace_gen_command(const GenArguments& arguments) {
  std::ofstream file;
  if (arguments.out != "-") {
    file.open(arguments.out, std::ios::binary | std::ios::trunc);
    if (!file) {
      fmt::print(stderr, "kelvin: {}: cannot be written\n", arguments.out);
      return kExitFailed;
    }
  }
  std::ostream& out = arguments.out == "-" ? std::cout : file;
  const auto model = make_trace_model(arguments.kind, arguments.requests, arguments.seed);
  std::string why;
  if (write_trace(*model, arguments.requests, out, &why).ok()) return kExitOk;
  fmt::print(stderr, "kelvin: {}: {}\n", arguments.out, why);
  return kExitFailed;
}

int trace_info_command(const std::string& trace) {
  std::string why;
  TraceSummary summary;
  auto reader = TraceReader::open(trace, &why);
  if (!reader.ok() || !summarise(**reader, summary, &why).ok()) {
    fmt::print(stderr, "kelvin: {}\n", why);
    return kExitFailed;
  }
  fmt::print("{}", describe(summary));
  return kExitOk;
}

}  // namespace kelvin::cli
