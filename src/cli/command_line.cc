// The arguments of the kelvin command. See commands.h.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>

#include "cli/commands.h"

namespace kelvin::cli {
namespace {

constexpr std::uint64_t kMaxRequests = 100'000'000;
constexpr std::uint64_t kMaxTrials = 100'000;
constexpr std::uint64_t kMaxJobs = 1024;

struct Parsed {
  ReplayArguments replay;
  SimArguments sim;
  TuneArguments tune;
  BenchArguments bench;
  TopoArguments topo;
  GenArguments gen;
  UpkeepArguments upkeep;
  std::string trace;
  std::string config;
};

CLI::App* add_replay(CLI::App& app, ReplayArguments& to) {
  CLI::App* command = app.add_subcommand("replay", "Play an engine's part from traces, with real bytes");
  command->add_option("TRACE", to.traces, "JSON lines, plain or zstd; - is standard input")->required();
  command->add_option("--config", to.config, "tiers, policy and mover (TOML)")->required()->type_name("FILE");
  command->add_option("--block-bytes", to.block_bytes, "instead of the config's, such as 64KiB")
      ->type_name("N");
  command
      ->add_option("--skip", to.skip,
                   "leave out so many requests at the start: to go on after an earlier run")
      ->type_name("N");
  command->add_option("--limit", to.limit, "stop after so many requests")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0}))
      ->type_name("N");
  command->add_option("--json", to.json, "write the results here; - is standard output")->type_name("OUT");
  command->add_flag("--no-verify", to.no_verify, "do not check the bytes of acquired blocks");
  return command;
}

CLI::App* add_sim(CLI::App& app, SimArguments& to) {
  CLI::App* command =
      app.add_subcommand("sim", "Simulate a config on traces: its policy beside LRU and the best possible");
  command->add_option("TRACE", to.traces, "JSON lines, plain or zstd; - is standard input")->required();
  command->add_option("--config", to.config, "tiers, policy and mover (TOML)")->required()->type_name("FILE");
  command->add_option("--policy", to.policy, "instead of the config's, with its defaults")->type_name("NAME");
  command->add_option("--look-ahead", to.look_ahead, "announce each request so long before it arrives")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("SECONDS");
  command->add_option("--save-learned", to.save_learned, "write what the policy learned, for policy.learned")
      ->type_name("FILE");
  command->add_option("--limit", to.limit, "only so many requests of each trace")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0}))
      ->type_name("N");
  command->add_option("--json", to.json, "write the results here; - is standard output")->type_name("OUT");
  command
      ->add_option("--report", to.report, "write a page with plots here; simulates every policy at six sizes")
      ->type_name("OUT.html");
  return command;
}

CLI::App* add_tune(CLI::App& app, TuneArguments& to) {
  const std::map<std::string, Objective> objectives = {
      {"hits", Objective::kHits}, {"seconds", Objective::kSeconds}, {"ttft", Objective::kTtft}};
  CLI::App* command =
      app.add_subcommand("tune", "Simulate many settings of a config on traces; find the best");
  command->add_option("TRACE", to.traces, "JSON lines, plain or zstd; - is standard input")->required();
  command->add_option("--config", to.config, "tiers, policy and mover (TOML)")->required()->type_name("FILE");
  command
      ->add_option("--vary", to.vary,
                   "KEY=V1,V2,... or KEY=LO..HI[:STEPS][:log], such as policy.sample=16,64, "
                   "tier.dram.capacity=1GiB..8GiB or tenant.chat.share=0..50%; once for each key")
      ->required()
      ->allow_extra_args(false)
      ->type_name("VALUES");
  command
      ->add_option("--objective", to.objective,
                   "what is best: hits, seconds (of GPU time saved) or ttft (p99)")
      ->type_name("WHAT")
      ->transform(CLI::CheckedTransformer(objectives).description(""));
  command->add_option("--budget", to.search.budget, "settings at most; a larger grid is drawn from at random")
      ->check(CLI::Range(std::uint64_t{1}, kMaxTrials))
      ->capture_default_str()
      ->type_name("N");
  command->add_flag("--random", to.search.random, "draw at random even where the whole grid could be tried");
  command->add_option("--seed", to.search.seed, "the same seed draws the same settings")
      ->capture_default_str()
      ->type_name("S");
  command->add_option("--jobs", to.jobs, "simulations at once; default: one for each CPU")
      ->check(CLI::Range(std::uint64_t{1}, kMaxJobs))
      ->type_name("N");
  command->add_option("--limit", to.limit, "only so many requests of each trace")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0}))
      ->type_name("N");
  command->add_option("--out", to.out, "write the best config here")->type_name("FILE");
  command->add_option("--report", to.report, "write a page with plots here")->type_name("OUT.html");
  command->add_option("--json", to.json, "write all results here; - is standard output")->type_name("OUT");
  return command;
}

CLI::App* add_bench(CLI::App& app, BenchArguments& to) {
  CLI::App* command = app.add_subcommand("bench", "Measure this machine as a config uses it");
  command
      ->add_flag("--links", to.links,
                 "the links between the tiers: latency and bandwidth of loads and stores")
      ->required();
  command->add_option("--config", to.config, "tiers and mover (TOML)")->required()->type_name("FILE");
  command->add_option("--json", to.json, "write the results here; - is standard output")->type_name("OUT");
  command->add_flag("--write", to.write, "write a copy of the config with these speeds, FILE.measured.toml");
  command->add_option("--out", to.out, "write that copy here")->type_name("FILE");
  return command;
}

CLI::App* add_topo(CLI::App& app, TopoArguments& to) {
  CLI::App* command =
      app.add_subcommand("topo", "Show what memory and devices this machine has; propose tiers for it");
  command->add_option("--json", to.json, "write it all here; - is standard output")->type_name("OUT");
  command->add_option("--config", to.config, "write a config for this machine here; - is standard output")
      ->type_name("OUT");
  command->add_flag("--measure", to.measure, "measure the links between the proposed tiers, in seconds");
  return command;
}

CLI::App* add_gen(CLI::App& trace, GenArguments& to) {
  const std::map<std::string, TraceKind> kinds = {
      {"chat", TraceKind::kChat}, {"agent", TraceKind::kAgent}, {"rag", TraceKind::kRag}};
  CLI::App* command = trace.add_subcommand("gen", "Write a trace modelled on real services");
  command->add_option("--kind", to.kind, "chat, agent or rag")
      ->required()
      ->type_name("KIND")
      ->transform(CLI::CheckedTransformer(kinds).description(""));
  command->add_option("--requests", to.requests, "how many")
      ->required()
      ->check(CLI::Range(std::uint64_t{1}, kMaxRequests))
      ->type_name("N");
  command->add_option("--seed", to.seed, "the same seed gives the same trace")->required()->type_name("S");
  command->add_option("--out", to.out, "instead of standard output")->type_name("FILE");
  return command;
}

using UpkeepCommand = int (*)(const UpkeepArguments&);

CLI::App* add_upkeep_of(CLI::App& nvme, const std::string& name, const std::string& what,
                        UpkeepArguments& to) {
  CLI::App* command = nvme.add_subcommand(name, what);
  command->add_option("PATH", to.path, "a file or device of an nvme tier")->required();
  return command;
}

void add_json(CLI::App* command, UpkeepArguments& to) {
  command->add_option("--json", to.json, "write the report here; - is standard output")->type_name("OUT");
}

std::map<const CLI::App*, UpkeepCommand> add_nvme(CLI::App& app, UpkeepArguments& to) {
  CLI::App* nvme = app.add_subcommand("nvme", "Look after what nvme tiers keep on their devices");
  nvme->require_subcommand(1);
  CLI::App* format = add_upkeep_of(*nvme, "format", "Give up whatever PATH holds, for new blocks", to);
  format->add_flag("--yes", to.yes, "really");
  CLI::App* info = add_upkeep_of(*nvme, "info", "Say what PATH holds", to);
  add_json(info, to);
  CLI::App* fsck = add_upkeep_of(*nvme, "fsck", "Check every record and block, and forget what is wrong", to);
  fsck->add_flag("--dry-run", to.dry_run, "only say what is wrong");
  add_json(fsck, to);
  CLI::App* scrub = add_upkeep_of(*nvme, "scrub", "The same at leisure", to);
  scrub->add_option("--budget", to.budget, "read no more than this a second, such as 50MB")
      ->required()
      ->type_name("BYTES");
  add_json(scrub, to);
  return {{format, nvme_format_command},
          {info, nvme_info_command},
          {fsck, nvme_fsck_command},
          {scrub, nvme_scrub_command}};
}

}  // namespace

int run_command_line(int argc, const char* const* argv) try {
  Parsed parsed;
  CLI::App app("Kelvin: KV blocks, tiered by heat", "kelvin");
  app.set_version_flag("--version", "kelvin " KELVIN_VERSION);
  app.footer("Exit codes: 0 it worked; 1 wrong input, or it failed; 2 wrong usage.");
  app.require_subcommand(1);

  const CLI::App* replay = add_replay(app, parsed.replay);
  const CLI::App* sim = add_sim(app, parsed.sim);
  const CLI::App* tune = add_tune(app, parsed.tune);
  const CLI::App* bench = add_bench(app, parsed.bench);
  const CLI::App* topo = add_topo(app, parsed.topo);
  const auto upkeep = add_nvme(app, parsed.upkeep);
  CLI::App* trace = app.add_subcommand("trace", "Make and look at traces");
  trace->require_subcommand(1);
  const CLI::App* gen = add_gen(*trace, parsed.gen);
  CLI::App* info = trace->add_subcommand("info", "Say what is in a trace");
  info->add_option("TRACE", parsed.trace, "JSON lines, plain or zstd; - is standard input")->required();
  CLI::App* config = app.add_subcommand("config", "Look at configs");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Say whether a config is right, and what it amounts to");
  check->add_option("FILE", parsed.config, "TOML")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (replay->parsed()) return replay_command(parsed.replay);
  if (sim->parsed()) return sim_command(parsed.sim);
  if (tune->parsed()) return tune_command(parsed.tune);
  if (bench->parsed()) return bench_command(parsed.bench);
  if (topo->parsed()) return topo_command(parsed.topo);
  for (const auto& [command, run] : upkeep) {
    if (command->parsed()) return run(parsed.upkeep);
  }
  if (gen->parsed()) return trace_gen_command(parsed.gen);
  if (info->parsed()) return trace_info_command(parsed.trace);
  return config_check_command(parsed.config);
} catch (const std::exception& error) {
  std::fprintf(stderr, "kelvin: %s\n", error.what());
  return kExitFailed;
}

}  // namespace kelvin::cli
