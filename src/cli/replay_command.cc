// kelvin replay. See commands.h.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/replay.h"
#include "cli/report.h"
#include "cli/trace_set.h"

namespace kelvin::cli {
namespace {

Result<Config> effective_config(const ReplayArguments& arguments, std::string* why) {
  auto config = load_config(arguments.config, why);
  if (!config.ok() || arguments.block_bytes.empty()) return config;
  const auto bytes = parse_bytes(arguments.block_bytes);
  if (!bytes.ok()) {
    *why = fmt::format("--block-bytes {}: is not a size; write 65536 or 64KiB", arguments.block_bytes);
    return bytes.status();
  }
  config->space.block_bytes = *bytes;
  if (Status status = validate(*config, why); !status.ok()) {
    *why = fmt::format("{} with --block-bytes {}: {}", arguments.config, arguments.block_bytes, *why);
    return status;
  }
  return config;
}

Status replay_all(const ReplayArguments& arguments, Replay& replay, std::string* why) {
  Progress progress(stderr);
  for (std::size_t i = 0; i < arguments.traces.size() && !replay.ended(); ++i) {
    auto reader = TraceReader::open(arguments.traces[i], why);
    if (!reader.ok()) return reader.status();
    const std::string salt = trace_salt(i, arguments.traces[i]);
    if (Status status = replay.run(**reader, salt, progress, why); !status.ok()) return status;
  }
  return {};
}

}  // namespace

int replay_command(const ReplayArguments& arguments) {
  std::string why;
  const auto config = effective_config(arguments, &why);
  if (!config.ok()) return complain(why);
  ReplayOptions options;
  options.skip = arguments.skip;
  options.limit = arguments.limit;
  options.verify = !arguments.no_verify;
  options.traces = arguments.traces.size();
  auto replay = Replay::open(*config, options, &why);
  if (!replay.ok()) return complain(why);

  catch_interrupts();
  const Status status = replay_all(arguments, **replay, &why);
  const ReplayResult& result = (*replay)->finish();
  if (arguments.json != "-") fmt::print("{}", report_table(result, options.verify));
  std::fflush(stdout);
  for (const std::string& finding : result.findings) fmt::print(stderr, "kelvin: {}\n", finding);
  if (!status.ok()) return complain(why);
  if (result.stats.learned.starts_with("fresh")) {
    fmt::print(stderr, "kelvin: policy.learned: {}\n", result.stats.learned);
  }
  if (!arguments.json.empty() && !write_text(arguments.json, report_json(result, *config))) {
    return complain(arguments.json + ": cannot be written");
  }
  return result.corrupt == 0 ? kExitOk : kExitFailed;
}

}  // namespace kelvin::cli
