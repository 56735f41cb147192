// How fast blocks of 2 MiB move, as a user of Space sees it: one acquire of many blocks in another tier.
//
//   dram/THREADS      from one dram tier to another, checksum verified
//   from_far, to_far  between a dram tier and one of kind cxl, on the far memory that is found
//   bare_...          a bare loop of non-temporal stores between the same slots of the same tiers
//   read/DEPTH        from the nvme tier to dram, checksum verified; queue_depth = DEPTH
//   write/DEPTH       from dram to the nvme tier, of blocks that have no checksum yet
//   rewrite/DEPTH     the same of blocks whose checksum is known: none is made on the way to a device
//   fio_read/DEPTH, fio_write/DEPTH   fio with io_uring and O_DIRECT over the same slots of the same file
//
// The last five also with blocks of 64 KiB: read_64k/DEPTH and so on.
// THREADS: mover.threads. Counters: bytes_per_second and, of this process or fio's, CPU time a GB.
// Scratch files: three of 512 MiB in --dir, removed at the end.
#include <memory>
#include <string>
#include <vector>

#include "bench/bare_copy.h"
#include "bench/fio.h"
#include "bench/report.h"
#include "bench/scratch_file.h"
#include "bench/two_tiers.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::uint64_t kLargeBlock = 2u << 20;

TierIndex other(TierIndex tier) { return tier == kNear ? kFar : kNear; }

void run_memory(benchmark::State& state, TwoTiers& tiers, TierIndex to) {
  Stopwatch watch(state);
  tiers.publish_in(other(to));
  for ([[maybe_unused]] auto _ : state) {
    watch.time(tiers.bytes(), [&] { require(tiers.load(to).release(), "release"); });
    tiers.drop(to);
  }
}

void run_bare(benchmark::State& state, TwoTiers& tiers, TierIndex to) {
  Stopwatch watch(state);
  tiers.publish_in(other(to));
  for ([[maybe_unused]] auto _ : state) {
    const Lease source = tiers.load(other(to));
    const Lease target = tiers.allocate(to);
    watch.time(tiers.bytes(), [&] {
      for (std::size_t i = 0; i < source.size(); ++i) {
        bare_copy(target.address(i).pointer, source.address(i).pointer, tiers.block_bytes());
      }
    });
  }
}

void run_rewrite(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  tiers.write_all();
  for ([[maybe_unused]] auto _ : state) {
    tiers.drop(kFar);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kFar).release(), "release"); });
  }
}

void run_fio_job(benchmark::State& state, TwoTiers& tiers, FioJob job) {
  tiers.write_all();    // what fio reads was written as recently, and by the same, as what run_read reads
  tiers.drop(kNoTier);  // no slot holds anything: fio may write where it likes
  job.offset = tiers.first_slot_offset();
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

// Moves within host memory into tier `to`, beside a bare loop between the same slots.
void add_memory(Run& run, TwoTiers& tiers, const std::string& name, const std::string& what, TierIndex to) {
  add_timed(name, 3, [&tiers, to](benchmark::State& state) { run_memory(state, tiers, to); });
  add_timed("bare_" + name, 3, [&tiers, to](benchmark::State& state) { run_bare(state, tiers, to); });
  run.compare_speed(what, name, "bare_" + name, 0.90);
  compare_cpu(run, "  its CPU time", name, 0);
}

void add_dram(Run& run, Fixtures& fixtures, std::uint32_t blocks) {
  TierConfig far;
  far.name = "far";
  far.kind = "dram";
  for (const std::uint32_t threads : {0u, 1u}) {
    std::string why;
    auto opened = TwoTiers::open({.far = far, .threads = threads, .blocks = blocks}, &why);
    if (opened == nullptr) {
      run.skip("moves in host memory: " + why);
      return;
    }
    TwoTiers& tiers = *fixtures.tiers.emplace_back(std::move(opened));
    const std::string number = std::to_string(threads);
    add_memory(run, tiers, "dram/" + number, "DRAM>DRAM / bare loop, mover.threads = " + number, kNear);
  }
}

// Far memory where there is some; else a tier of that kind on node 0, which shows what the kind itself costs.
void add_far(Run& run, Fixtures& fixtures, std::uint32_t blocks) {
  TierConfig far;
  far.name = "far";
  far.kind = "cxl";
  std::string where = "CXL";
  std::string why;
  auto opened = TwoTiers::open({.far = far, .threads = 0, .blocks = blocks}, &why);
  if (opened == nullptr) {
    run.skip("moves to and from far memory, measured on node 0 instead: " + why);
    far.options = {{.name = "device", .value = "node0"}};
    where = "cxl(node 0)";
    opened = TwoTiers::open({.far = far, .threads = 0, .blocks = blocks}, &why);
  }
  if (opened == nullptr) {
    run.skip("moves to and from a tier of kind cxl: " + why);
    return;
  }
  TwoTiers& tiers = *fixtures.tiers.emplace_back(std::move(opened));
  add_memory(run, tiers, "from_far", where + ">DRAM / bare loop", kNear);
  add_memory(run, tiers, "to_far", "DRAM>" + where + " / bare loop", kFar);
}

// One size of blocks at one depth of the drive.
struct DriveCase {
  std::uint64_t block_bytes = 0;
  std::uint32_t depth = 0;
  double goal = 0;  // of our speed beside fio's

  std::string suffix() const {  // "/32" of blocks of 2 MiB, else "_64k/32"
    const std::string size =
        block_bytes == kLargeBlock ? std::string() : "_" + std::to_string(block_bytes >> 10) + "k";
    return size + "/" + std::to_string(depth);
  }
  std::string text() const {
    return (block_bytes == kLargeBlock ? "" : std::to_string(block_bytes >> 10) + " KiB, ") + "depth " +
           std::to_string(depth);
  }
};

void add_fio(Run& run, TwoTiers& tiers, const std::string& file, const DriveCase& drive) {
  for (const bool write : {false, true}) {
    const std::string verb = write ? "write" : "read";
    const FioJob job{.file = file, .block_bytes = drive.block_bytes, .depth = drive.depth, .write = write};
    add_timed("fio_" + verb + drive.suffix(), 1,
              [&tiers, job](benchmark::State& state) { run_fio_job(state, tiers, job); });
    run.compare_speed("NVMe " + verb + " / fio, " + drive.text(), verb + drive.suffix(),
                      "fio_" + verb + drive.suffix(), drive.goal);
    compare_cpu(run, "  fio's CPU time", "fio_" + verb + drive.suffix(), 0);
  }
}

// False: `run` has been told why not.
bool add_drive(Run& run, Fixtures& fixtures, std::uint64_t bytes, const DriveCase& drive, bool with_fio) {
  const ScratchFile& file = *fixtures.files.emplace_back(
      std::make_unique<ScratchFile>(run.dir(), "kelvin_link_bench" + std::to_string(fixtures.files.size())));
  TierConfig far;
  far.name = "far";
  far.kind = "nvme";
  far.options = {{.name = "path", .value = file.path()},
                 {.name = "queue_depth", .value = std::to_string(drive.depth)},
                 {.name = "prewrite", .value = "true"}};
  std::string why;
  auto opened = TwoTiers::open({.far = far,
                                .block_bytes = drive.block_bytes,
                                .blocks = static_cast<std::uint32_t>(bytes / drive.block_bytes)},
                               &why);
  if (opened == nullptr) {
    run.skip("moves to and from a drive: " + why + " (--dir=FOLDER names a folder on another one)");
    return false;
  }
  TwoTiers& tiers = *fixtures.tiers.emplace_back(std::move(opened));
  const std::string suffix = drive.suffix();
  add_timed("read" + suffix, 1, [&tiers](benchmark::State& state) { run_read(state, tiers); });
  add_timed("write" + suffix, 1, [&tiers](benchmark::State& state) { run_write(state, tiers); });
  add_timed("rewrite" + suffix, 1, [&tiers](benchmark::State& state) { run_rewrite(state, tiers); });
  if (with_fio) add_fio(run, tiers, file.path(), drive);
  const bool large = drive.block_bytes == kLargeBlock;
  compare_cpu(run, "NVMe CPU time, write without checksum, " + drive.text(), "rewrite" + suffix,
              large ? 10 : 0);
  compare_cpu(run, "  write with checksum", "write" + suffix, 0);
  compare_cpu(run, "  read with checksum", "read" + suffix, 0);
  return true;
}

void add_nvme(Run& run, Fixtures& fixtures, std::uint64_t bytes) {
  const std::string fio = fio_version();
  if (fio.empty()) {
    run.skip("the comparison with fio: it is not installed (apt-get install fio)");
  } else {
    benchmark::AddCustomContext("fio", fio);
  }
  for (const DriveCase& drive :
       {DriveCase{kLargeBlock, 8, 0.95}, DriveCase{kLargeBlock, 32, 0.95}, DriveCase{64u << 10, 32, 0.90}}) {
    if (!add_drive(run, fixtures, bytes, drive, !fio.empty())) return;
  }
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::uint32_t blocks = run.small() ? 16 : 256;
  benchmark::AddCustomContext("bare loop", bare_copy_name());
  Fixtures fixtures;
  add_dram(run, fixtures, blocks);
  add_far(run, fixtures, blocks);
  add_nvme(run, fixtures, blocks * kLargeBlock);
  const int status = run.finish();
  fixtures.tiers.clear();
  return status;
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
