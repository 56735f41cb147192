// What it takes to open a space over a full nvme tier of a million slots: every block matchable again.
//
//   open/POLICY     Space::open until the first match, as an engine sees it after a restart
//   open/scratch    the same space with persist = false and an empty file: all that is not recovery
//   read            one thread's plain reads of 1 MiB of the slot table: the least that has to be read
//
// The tier is filled once, with blocks of 4 KiB in chains of 64, and closed; each open finds all of it, and a
// match of whole chains says so. Items are slots. Needs 4.2 GiB of room in --dir.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/scratch_file.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::uint64_t kBlockBytes = 4096;
constexpr std::size_t kChain = 64;
constexpr TierIndex kMemory{0};
constexpr TierIndex kDrive{1};
constexpr std::uint64_t kTableOffset = (1 << 20) + 4096;  // docs/formats.md
constexpr std::uint64_t kOwnBytes = 2 << 20;              // superblocks, and the table's last alignment
constexpr std::size_t kReadBytes = 1 << 20;

Config config_of(const std::string& path, std::size_t slots, const std::string& policy, bool persist) {
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.space.model = "recovery_bench";
  config.policy.name = policy;
  TierConfig memory;
  memory.name = "memory";
  memory.kind = "dram";
  memory.capacity_bytes = std::uint64_t{64} << 20;
  TierConfig drive;
  drive.name = "drive";
  drive.kind = "nvme";
  drive.free_ahead = 0;
  const std::uint64_t table = (slots * 64 + kOwnBytes - 1) / kOwnBytes * kOwnBytes;
  drive.capacity_bytes = kOwnBytes + table + slots * kBlockBytes;
  drive.options = {{.name = "path", .value = path},
                   {.name = "direct", .value = "auto"},
                   {.name = "persist", .value = persist ? "true" : "false"}};
  config.tiers = {memory, drive};
  return config;
}

std::unique_ptr<Space> open_space(const Config& config) {
  std::string why;
  auto space = Space::open(config, &why);
  if (!space.ok()) throw std::runtime_error("opening a space: " + why);
  return std::move(space).value();
}

std::vector<BlockKey> make_chain(std::uint32_t number) {
  std::vector<BlockKey> chain(kChain);
  for (std::uint32_t i = 0; i < kChain; ++i) {
    const std::array<std::uint32_t, 2> tokens = {number, i};
    chain[i] = chain_key(i == 0 ? BlockKey{} : chain[i - 1], tokens);
  }
  return chain;
}

// Published in memory, and asked for in the drive's tier, which writes them there.
void fill(const Config& config, std::size_t slots) {
  const auto space = open_space(config);
  for (std::uint32_t n = 0; n < slots / kChain; ++n) {
    const std::vector<BlockKey> chain = make_chain(n);
    AllocateOptions forget;
    forget.when_full = WhenFull::kForget;
    auto lease = space->allocate(kChain, kMemory, forget);
    require(lease.status(), "allocate");
    require(space->publish(*lease, chain, 0), "publish");
    auto ticket = space->acquire(chain, kDrive);
    require(ticket.status(), "acquire");
    require(ticket->wait(std::chrono::seconds(60)), "writing blocks");
  }
}

void measure_open(benchmark::State& state, const Config& config, std::size_t expected) {
  std::size_t found = 0;
  for ([[maybe_unused]] auto _ : state) {
    auto space = open_space(config);
    benchmark::DoNotOptimize(space->match(make_chain(0)).blocks);
    state.PauseTiming();
    found = space->stats().tiers[kDrive.value].recovered;
    for (std::uint32_t n = 0; n < expected / kChain; n += 997) {
      if (space->match(make_chain(n)).blocks != kChain) throw std::runtime_error("a chain was not recovered");
    }
    space.reset();
    state.ResumeTiming();
  }
  if (found < expected / kChain * kChain) throw std::runtime_error("too few blocks were recovered");
  state.counters["seconds"] =
      benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["recovered"] = static_cast<double>(found);
}

void measure_read(benchmark::State& state, const std::string& path, std::size_t slots) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error(path + ": cannot be read past the page cache");
  const std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, kReadBytes), &std::free);
  for ([[maybe_unused]] auto _ : state) {
    for (std::uint64_t at = 0; at < slots * 64; at += kReadBytes) {
      if (::pread(fd, buffer.get(), kReadBytes, static_cast<off_t>(kTableOffset + at)) < 0)
        throw std::runtime_error(path + ": reading failed");
    }
  }
  ::close(fd);
  state.counters["seconds"] =
      benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::size_t slots = run.small() ? 8 * 1024 : 1'000'000;
  const ScratchFile file(run.dir(), "recovery_bench");
  const ScratchFile scratch(run.dir(), "recovery_bench_scratch");
  fill(config_of(file.path(), slots, "lru", true), slots);
  for (const std::string policy : {"lru", "heat"}) {
    const std::string name = "open/" + policy;
    const Config config = config_of(file.path(), slots, policy, true);
    benchmark::RegisterBenchmark(
        name.c_str(), [config, slots](benchmark::State& state) { measure_open(state, config, slots); })
        ->Unit(benchmark::kMillisecond)
        ->Iterations(3)
        ->UseRealTime();
    run.compare(
        {.what = "a full tier of " + std::to_string(slots) + " slots, policy " + policy + ": open to match",
         .ours = name,
         .peer = {},
         .counter = "seconds",
         .goal = 1,
         .at_most = true,
         .unit = "s"});
  }
  const Config empty = config_of(scratch.path(), slots, "heat", false);
  benchmark::RegisterBenchmark("open/scratch",
                               [empty](benchmark::State& state) { measure_open(state, empty, 0); })
      ->Unit(benchmark::kMillisecond)
      ->Iterations(3)
      ->UseRealTime();
  run.compare({.what = "the same without anything to recover",
               .ours = "open/scratch",
               .peer = {},
               .counter = "seconds",
               .unit = "s"});
  benchmark::RegisterBenchmark(
      "read", [path = file.path(), slots](benchmark::State& state) { measure_read(state, path, slots); })
      ->Unit(benchmark::kMillisecond)
      ->Iterations(3)
      ->UseRealTime();
  run.compare({.what = "plain reads of its slot table",
               .ours = "read",
               .peer = {},
               .counter = "seconds",
               .unit = "s"});
  return run.finish();
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
