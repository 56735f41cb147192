// How fast blocks of 2 MiB move, as a user of Space sees it: one acquire of many blocks in another tier.
//
//   dram/THREADS      from one dram tier to another, checksum verified
//   bare/THREADS      a bare loop of non-temporal stores between the same slots of the same tiers
//   read/DEPTH        from the nvme tier to dram, checksum verified; queue_depth = DEPTH
//   write/DEPTH       from dram to the nvme tier, of blocks that have no checksum yet
//   rewrite/DEPTH     the same of blocks whose checksum is known: none is made on the way to a device
//   fio_read/DEPTH, fio_write/DEPTH   fio with io_uring and O_DIRECT over the same slots of the same file
//
// THREADS: mover.threads. Counters: bytes_per_second and, of this process or fio's, CPU time a GB.
// Scratch files: two of 512 MiB in --dir, removed at the end.
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/bare_copy.h"
#include "bench/fio.h"
#include "bench/report.h"
#include "bench/scratch_file.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::uint64_t kBlockBytes = 2u << 20;
constexpr TierIndex kNear{0};
constexpr TierIndex kFar{1};
constexpr auto kPatience = std::chrono::seconds(120);

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Sums the wall and CPU time of what is timed within one repetition.
class Stopwatch {
 public:
  explicit Stopwatch(benchmark::State& state) : state_(state) {}

  template <class Work>
  void time(std::uint64_t bytes, Work&& work) {
    const double cpu = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    work();
    state_.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    cpu_seconds_ += cpu_seconds() - cpu;
    bytes_ += bytes;
  }

  ~Stopwatch() {
    state_.SetBytesProcessed(static_cast<std::int64_t>(bytes_));
    state_.counters["cpu_ms_a_gb"] = cpu_seconds_ * 1e3 / (static_cast<double>(bytes_) / 1e9);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  benchmark::State& state_;
  double cpu_seconds_ = 0;
  std::uint64_t bytes_ = 0;
};

// A space of two tiers of equal size, and a chain of blocks that fills one of them.
class TwoTiers {
 public:
  // Null: `why` says what is missing here.
  static std::unique_ptr<TwoTiers> open(const TierConfig& far, std::uint32_t threads, std::uint32_t blocks,
                                        std::string* why) {
    Config config;
    config.space.block_bytes = kBlockBytes;
    config.mover.threads = threads;
    TierConfig near;
    near.name = "near";
    near.kind = "dram";
    config.tiers = {near, far};
    for (TierConfig& tier : config.tiers) {
      tier.capacity_bytes = blocks * kBlockBytes;
      tier.free_ahead = 0;  // nothing moves but what is asked for
    }
    if (far.kind == "nvme") config.tiers[1].capacity_bytes += 4 * kBlockBytes;  // its slot table needs room
    auto space = Space::open(config, why);
    if (!space.ok()) return nullptr;
    return std::unique_ptr<TwoTiers>(new TwoTiers(std::move(space).value(), blocks));
  }

  Space& space() { return *space_; }
  std::uint64_t bytes() const { return keys_.size() * kBlockBytes; }

  // All blocks into `tier`, from wherever they are.
  Lease load(TierIndex tier) {
    auto ticket = space_->acquire(keys_, tier);
    require(ticket.status(), "acquire");
    require(ticket->wait(kPatience), "loading");
    Lease lease = ticket->take();
    if (lease.size() != keys_.size()) require(Status(Code::kFull, "a block is missing"), "loading");
    return lease;
  }
  void drop(TierIndex tier) { require(space_->drop(keys_, tier), "drop"); }

  // New blocks in `tier`, nothing of them known before.
  void publish_in(TierIndex tier) {
    drop(kNoTier);
    Lease lease = allocate(tier);
    require(space_->publish(lease, keys_, 0), "publish");
    require(lease.release(), "release");
  }
  Lease allocate(TierIndex tier) {
    auto lease = space_->allocate(static_cast<std::uint32_t>(keys_.size()), tier);
    require(lease.status(), "allocate");
    return std::move(lease).value();
  }

 private:
  TwoTiers(std::unique_ptr<Space> space, std::uint32_t blocks) : space_(std::move(space)), keys_(blocks) {
    for (std::uint32_t i = 0; i < blocks; ++i) {
      keys_[i] = chain_key(i == 0 ? BlockKey{} : keys_[i - 1], std::span(&i, 1));
    }
    fill(kNear);
    if (space_->tier_info(kFar)->space == AddressSpace::kHost) fill(kFar);
  }

  // Bytes that nothing can compress, in every slot: memory never written to is one page of zeros in a cache.
  void fill(TierIndex tier) {
    const Lease lease = allocate(tier);
    std::mt19937_64 random(tier.value);
    for (std::size_t i = 0; i < lease.size(); ++i) {
      std::byte* const bytes = lease.address(i).pointer;
      for (std::uint64_t at = 0; at < kBlockBytes; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random();
        std::memcpy(bytes + at, &word, sizeof word);
      }
    }
  }

  std::unique_ptr<Space> space_;
  std::vector<BlockKey> keys_;
};

void run_dram(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  tiers.publish_in(kFar);
  for ([[maybe_unused]] auto _ : state) {
    watch.time(tiers.bytes(), [&] { require(tiers.load(kNear).release(), "release"); });
    tiers.drop(kNear);
  }
}

void run_bare(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  tiers.publish_in(kFar);
  for ([[maybe_unused]] auto _ : state) {
    const Lease from = tiers.load(kFar);
    const Lease to = tiers.allocate(kNear);
    watch.time(tiers.bytes(), [&] {
      for (std::size_t i = 0; i < from.size(); ++i) {
        bare_copy(to.address(i).pointer, from.address(i).pointer, kBlockBytes);
      }
    });
  }
}

void run_write(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  for ([[maybe_unused]] auto _ : state) {
    tiers.publish_in(kNear);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kFar).release(), "release"); });
  }
}

// Blocks in both tiers, those in the far one written this moment.
void write_all(TwoTiers& tiers) {
  tiers.publish_in(kNear);
  require(tiers.load(kFar).release(), "release");
}

void run_read(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  write_all(tiers);
  for ([[maybe_unused]] auto _ : state) {
    tiers.drop(kNear);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kNear).release(), "release"); });
  }
}

void run_rewrite(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  write_all(tiers);
  for ([[maybe_unused]] auto _ : state) {
    tiers.drop(kFar);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kFar).release(), "release"); });
  }
}

// Where the slots lie in the nvme tier's file.
std::uint64_t first_slot_offset(TwoTiers& tiers) {
  const Lease lease = tiers.allocate(kFar);
  std::uint64_t offset = lease.address(0).offset;
  for (std::size_t i = 1; i < lease.size(); ++i) offset = std::min(offset, lease.address(i).offset);
  return offset;
}

void run_fio_job(benchmark::State& state, TwoTiers& tiers, FioJob job) {
  write_all(tiers);     // what fio reads was written as recently, and by the same, as what run_read reads
  tiers.drop(kNoTier);  // no slot holds anything: fio may write where it likes
  job.offset = first_slot_offset(tiers);
  job.bytes = tiers.bytes();
  double cpu_ms_a_gb = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto result = run_fio(job);
    if (!result) {
      state.SkipWithError("fio failed: see above");
      return;
    }
    state.SetIterationTime(static_cast<double>(job.bytes) / result->bytes_per_second);
    cpu_ms_a_gb += result->cpu_ms_a_gb;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(job.bytes) * state.iterations());
  state.counters["cpu_ms_a_gb"] = cpu_ms_a_gb / static_cast<double>(state.iterations());
}

template <class Body>
void add(const std::string& name, int iterations, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(iterations)
      ->Unit(benchmark::kMillisecond);
}

void compare_speed(Run& run, const std::string& what, const std::string& ours, const std::string& peer,
                   double goal) {
  run.compare({.what = what,
               .ours = ours,
               .peer = peer,
               .counter = "bytes_per_second",
               .goal = goal,
               .scale = 1e-9,
               .unit = "GB/s"});
}

void compare_cpu(Run& run, const std::string& what, const std::string& ours, double goal) {
  run.compare({.what = what,
               .ours = ours,
               .peer = {},
               .counter = "cpu_ms_a_gb",
               .goal = goal,
               .at_most = true,
               .unit = "ms a GB"});
}

// What has to live as long as the benchmarks. The spaces end before their files.
struct Fixtures {
  std::vector<std::unique_ptr<ScratchFile>> files;
  std::vector<std::unique_ptr<TwoTiers>> tiers;
};

void add_dram(Run& run, Fixtures& fixtures, std::uint32_t blocks) {
  TierConfig far;
  far.name = "far";
  far.kind = "dram";
  for (const std::uint32_t threads : {0u, 1u}) {
    std::string why;
    auto opened = TwoTiers::open(far, threads, blocks, &why);
    if (opened == nullptr) {
      run.skip("moves in host memory: " + why);
      return;
    }
    TwoTiers& tiers = *fixtures.tiers.emplace_back(std::move(opened));
    const std::string suffix = "/" + std::to_string(threads);
    add("dram" + suffix, 3, [&tiers](benchmark::State& state) { run_dram(state, tiers); });
    add("bare" + suffix, 3, [&tiers](benchmark::State& state) { run_bare(state, tiers); });
    const std::string where = ", mover.threads = " + std::to_string(threads);
    compare_speed(run, "DRAM>DRAM / bare loop" + where, "dram" + suffix, "bare" + suffix, 0.90);
    compare_cpu(run, "  its CPU time" + where, "dram" + suffix, 0);
  }
}

void add_fio(Run& run, TwoTiers& tiers, const std::string& file, std::uint32_t depth) {
  const std::string suffix = "/" + std::to_string(depth);
  for (const bool write : {false, true}) {
    const std::string verb = write ? "write" : "read";
    const FioJob job{.file = file, .block_bytes = kBlockBytes, .depth = depth, .write = write};
    add("fio_" + verb + suffix, 1,
        [&tiers, job](benchmark::State& state) { run_fio_job(state, tiers, job); });
    compare_speed(run, "NVMe " + verb + " / fio, depth " + std::to_string(depth), verb + suffix,
                  "fio_" + verb + suffix, 0.95);
    compare_cpu(run, "  fio's CPU time", "fio_" + verb + suffix, 0);
  }
}

void add_nvme(Run& run, Fixtures& fixtures, std::uint32_t blocks) {
  const std::string fio = fio_version();
  if (fio.empty()) {
    run.skip("the comparison with fio: it is not installed (apt-get install fio)");
  } else {
    benchmark::AddCustomContext("fio", fio);
  }
  for (const std::uint32_t depth : {8u, 32u}) {
    const ScratchFile& file = *fixtures.files.emplace_back(
        std::make_unique<ScratchFile>(run.dir(), "kelvin_link_bench." + std::to_string(depth)));
    TierConfig far;
    far.name = "far";
    far.kind = "nvme";
    far.options = {{.name = "path", .value = file.path()},
                   {.name = "queue_depth", .value = std::to_string(depth)},
                   {.name = "prewrite", .value = "true"}};
    std::string why;
    auto opened = TwoTiers::open(far, 1, blocks, &why);
    if (opened == nullptr) {
      run.skip("moves to and from a drive: " + why + " (--dir=FOLDER names a folder on another one)");
      return;
    }
    TwoTiers& tiers = *fixtures.tiers.emplace_back(std::move(opened));
    const std::string suffix = "/" + std::to_string(depth);
    add("read" + suffix, 1, [&tiers](benchmark::State& state) { run_read(state, tiers); });
    add("write" + suffix, 1, [&tiers](benchmark::State& state) { run_write(state, tiers); });
    add("rewrite" + suffix, 1, [&tiers](benchmark::State& state) { run_rewrite(state, tiers); });
    if (!fio.empty()) add_fio(run, tiers, file.path(), depth);
    compare_cpu(run, "NVMe CPU time, write without checksum, depth " + std::to_string(depth),
                "rewrite" + suffix, 10);
    compare_cpu(run, "  write with checksum", "write" + suffix, 0);
    compare_cpu(run, "  read with checksum", "read" + suffix, 0);
  }
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::uint32_t blocks = run.small() ? 16 : 256;
  benchmark::AddCustomContext("bare loop", bare_copy_name());
  Fixtures fixtures;
  add_dram(run, fixtures, blocks);
  add_nvme(run, fixtures, blocks);
  const int status = run.finish();
  fixtures.tiers.clear();
  return status;
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
