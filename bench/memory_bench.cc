// How soon a tier of host memory serves, and how soon all of it is ready.
//
//   prefault/THREADS/PAGES  8 GiB made ready from open to the last slot, by threads on so many CPUs
//   start                   16 GiB: until the first allocate has returned (first_ms), until all is ready
//   (full_ms)
//
// Each opens its memory anew and gives it back at once. --small: 256 MiB and 512 MiB.
#include <sched.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "bench/report.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

using WallClock = std::chrono::steady_clock;
using namespace std::chrono_literals;

double seconds_since(WallClock::time_point start) {
  return std::chrono::duration<double>(WallClock::now() - start).count();
}

Config config_of(std::uint64_t bytes, const std::string& pages) {
  Config config;
  TierConfig tier;
  tier.name = "dram";
  tier.kind = "dram";
  tier.capacity_bytes = bytes;
  tier.options = {{.name = "prefault", .value = "true"}, {.name = "huge_pages", .value = pages}};
  config.tiers = {tier};
  config.policy.name = "lru";
  return config;
}

std::unique_ptr<Space> open(const Config& config) {
  std::string why;
  auto space = Space::open(config, &why);
  if (!space.ok()) throw std::runtime_error(why);
  return std::move(space).value();
}

void wait_until_ready(const Space& space) {
  for (;;) {
    const TierStats tier = space.stats().tiers[0];
    if (tier.ready == tier.slots) return;
    if (!tier.stopped.empty()) throw std::runtime_error(tier.stopped);
    std::this_thread::sleep_for(1ms);
  }
}

// This process on so many of its CPUs, for a while.
class FewerCpus {
 public:
  explicit FewerCpus(unsigned wanted) {
    ::sched_getaffinity(0, sizeof all_, &all_);
    cpu_set_t some;
    CPU_ZERO(&some);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && count_ < wanted; ++cpu) {
      if (!CPU_ISSET(cpu, &all_)) continue;
      CPU_SET(cpu, &some);
      ++count_;
    }
    ::sched_setaffinity(0, sizeof some, &some);
  }
  ~FewerCpus() { ::sched_setaffinity(0, sizeof all_, &all_); }
  FewerCpus(const FewerCpus&) = delete;
  FewerCpus& operator=(const FewerCpus&) = delete;

 private:
  cpu_set_t all_{};
  unsigned count_ = 0;
};

void run_prefault(benchmark::State& state, std::uint64_t bytes, unsigned threads, const std::string& pages) {
  const FewerCpus cpus(threads);
  for ([[maybe_unused]] auto _ : state) {
    const auto start = WallClock::now();
    const auto space = open(config_of(bytes, pages));
    wait_until_ready(*space);
    state.SetIterationTime(seconds_since(start));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void run_start(benchmark::State& state, std::uint64_t bytes) {
  double first = 0;
  double full = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto start = WallClock::now();
    const auto space = open(config_of(bytes, "auto"));
    const auto lease = space->allocate(1, TierIndex(0));
    first += seconds_since(start);
    require(lease.status(), "allocate");
    wait_until_ready(*space);
    full += seconds_since(start);
    state.SetIterationTime(seconds_since(start));
  }
  const auto n = static_cast<double>(state.iterations());
  state.counters["first_ms"] = first * 1e3 / n;
  state.counters["full_ms"] = full * 1e3 / n;
}

// Whether that much memory is to be had; one tenth is left to others.
bool there_is(std::uint64_t bytes) {
  std::ifstream in("/proc/meminfo");
  std::string word;
  std::uint64_t kib = 0;
  while (in >> word) {
    if (word == "MemAvailable:" && in >> kib) return bytes / 9 * 10 < kib << 10;
  }
  return true;
}

template <class Body>
void add(const std::string& name, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::uint64_t bytes = run.small() ? 256ULL << 20 : 8ULL << 30;
  const std::uint64_t large = run.small() ? 512ULL << 20 : 16ULL << 30;
  const auto name_of = [](unsigned threads, const std::string& pages) {
    return "prefault/" + std::to_string(threads) + "/" + (pages == "none" ? "4KiB" : "huge");
  };
  if (there_is(bytes)) {
    for (const unsigned threads : {1U, 2U}) {
      for (const char* pages : {"auto", "none"}) {
        add(name_of(threads, pages),
            [=](benchmark::State& state) { run_prefault(state, bytes, threads, pages); });
      }
    }
    const auto compare = [&](const std::string& what, unsigned ours, unsigned peer,
                             const std::string& ours_on, const std::string& peer_on) {
      run.compare({.what = what,
                   .ours = name_of(ours, ours_on),
                   .peer = name_of(peer, peer_on),
                   .counter = "bytes_per_second",
                   .scale = 1e-9,
                   .unit = "GB/s"});
    };
    compare("prefault, 2 CPUs / 1, huge pages", 2, 1, "auto", "auto");
    compare("prefault, 2 CPUs / 1, 4 KiB pages", 2, 1, "none", "none");
    compare("prefault, huge / 4 KiB pages, 2 CPUs", 2, 2, "auto", "none");
    compare("prefault, huge / 4 KiB pages, 1 CPU", 1, 1, "auto", "none");
  } else {
    run.skip("prefaulting 8 GiB: there is not so much memory");
  }
  if (there_is(large)) {
    add("start", [=](benchmark::State& state) { run_start(state, large); });
    run.compare({.what = "16 GiB: the first allocate has returned",
                 .ours = "start",
                 .peer = {},
                 .counter = "first_ms",
                 .goal = 200,
                 .at_most = true,
                 .unit = "ms"});
    run.compare(
        {.what = "  all of it is ready", .ours = "start", .peer = {}, .counter = "full_ms", .unit = "ms"});
  } else {
    run.skip("starting a tier of 16 GiB: there is not so much memory");
  }
  return run.finish();
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
