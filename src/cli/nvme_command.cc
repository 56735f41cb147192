// kelvin nvme format | info | fsck | scrub. See commands.h and kelvin/upkeep.h.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/complain.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "kelvin/config.h"
#include "registry.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::ordered_json;

const Upkeep* upkeep() {
  const Upkeep* found = find_upkeep("nvme");
  if (found == nullptr) complain("this build has no nvme tier: build it with KELVIN_NVME=ON");
  return found;
}

std::string report_json(const VolumeReport& report, bool checked) {
  Json json = {{"path", report.path},
               {"format", report.version},
               {"uuid", report.uuid},
               {"model", report.model},
               {"layout", fmt::format("{:016x}", report.layout)},
               {"block_bytes", report.block_bytes},
               {"block_tokens", report.block_tokens},
               {"slots", report.slots},
               {"bytes", report.bytes},
               {"member", report.member},
               {"members", report.members},
               {"persist", !report.scratch},
               {"closed_in_order", report.clean},
               {"owner", report.owner},
               {"used", report.used},
               {"damaged_records", report.damaged_records}};
  if (checked) {
    json["checked"] = report.checked;
    json["wrong"] = report.wrong;
    json["unreadable"] = report.unreadable;
    json["forgotten"] = report.forgotten;
  }
  return json.dump(2) + "\n";
}

std::string report_text(const VolumeReport& report, bool checked) {
  std::string text = fmt::format("{}: blocks, format {}, {}\n", report.path, report.version, report.uuid);
  text += fmt::format("  model     {}\n  blocks    {} bytes, {} tokens (layout {:016x})\n", report.model,
                      report.block_bytes, report.block_tokens, report.layout);
  text += fmt::format("  capacity  {} bytes: {} slots{}\n", report.bytes, report.slots,
                      report.members == 1
                          ? std::string()
                          : fmt::format(", part {} of a tier of {}", report.member + 1, report.members));
  if (report.scratch) return text + "  scratch: its blocks end with the process\n";
  text += fmt::format("  used      {} slots ({:.1f} %)\n", report.used, 100.0 * report.used / report.slots);
  text += report.clean ? "  closed in order\n"
                       : fmt::format("  not closed in order: process {} was killed, or the power failed\n",
                                     report.owner);
  if (report.damaged_records != 0) {
    text += fmt::format("  damaged   {} records: their blocks are lost\n", report.damaged_records);
  }
  if (!checked) return text;
  return text + fmt::format("  checked   {} blocks: {} right, {} wrong, {} unreadable; {} forgotten\n",
                            report.checked, report.checked - report.wrong - report.unreadable, report.wrong,
                            report.unreadable, report.forgotten);
}

int show(const UpkeepArguments& arguments, const VolumeReport& report, bool checked) {
  if (arguments.json != "-") fmt::print("{}", report_text(report, checked));
  std::fflush(stdout);
  if (!arguments.json.empty() && !write_text(arguments.json, report_json(report, checked))) {
    return complain(arguments.json + ": cannot be written");
  }
  return kExitOk;
}

// Wrong blocks that stay are a failure; such that were forgotten are what the command is for.
int check(const UpkeepArguments& arguments, CheckRequest request) {
  const Upkeep* tools = upkeep();
  if (tools == nullptr) return kExitFailed;
  catch_interrupts();
  VolumeReport report;
  std::string why;
  Status status;
  {
    Progress progress(stderr);
    request.path = arguments.path;
    request.progress = [&](std::uint32_t done, std::uint32_t all) {
      if (progress.due()) progress.show(done, all, "blocks");
      return !interrupted();
    };
    status = tools->check(request, &report, &why);
  }
  if (!status.ok() && status.code() != Code::kCanceled) return complain(why);
  const int shown = show(arguments, report, true);
  if (shown != kExitOk || !status.ok()) return kExitFailed;
  return report.wrong + report.unreadable == report.forgotten ? kExitOk : kExitFailed;
}

}  // namespace

int nvme_format_command(const UpkeepArguments& arguments) {
  const Upkeep* tools = upkeep();
  if (tools == nullptr) return kExitFailed;
  VolumeReport report;
  std::string why;
  if (!arguments.yes) {
    const Status status = tools->inspect(arguments.path, &report, &why);
    fmt::print(stderr, "{}", status.ok() ? report_text(report, false) : "kelvin: " + why + "\n");
    return complain(arguments.path + ": all that it holds would be lost: say --yes if that is meant");
  }
  const Status status = tools->format(arguments.path, &why);
  if (!status.ok()) return complain(why);
  fmt::print("{}: empty; the next space that opens it makes a new format\n", arguments.path);
  return kExitOk;
}

int nvme_info_command(const UpkeepArguments& arguments) {
  const Upkeep* tools = upkeep();
  if (tools == nullptr) return kExitFailed;
  VolumeReport report;
  std::string why;
  const Status status = tools->inspect(arguments.path, &report, &why);
  return status.ok() ? show(arguments, report, false) : complain(why);
}

int nvme_fsck_command(const UpkeepArguments& arguments) {
  CheckRequest request;
  request.repair = !arguments.dry_run;
  return check(arguments, request);
}

int nvme_scrub_command(const UpkeepArguments& arguments) {
  const auto budget = parse_bytes(arguments.budget);
  if (!budget.ok() || *budget == 0) {
    return complain("--budget " + arguments.budget + ": is no number of bytes: write 50MB, for example");
  }
  CheckRequest request;
  request.bytes_per_second = *budget;
  return check(arguments, request);
}

}  // namespace kelvin::cli
