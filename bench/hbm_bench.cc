// How fast blocks of 2 MiB move between GPU memory and pinned host memory, beside one large copy of all their
// bytes by the same driver, in each direction.
//
//   bare/in, bare/out, bare/both      one piece of all bytes; both: two queues at once
//   plain/in/SHAPE, batch/..., kernel/...   block by block in this way of copying, on one queue
//   space/in/SHAPE, space/out/SHAPE   what a user of Space sees: one acquire of all blocks in the other tier
//   space/both/SHAPE                  half the blocks each way, by two spaces at once
//   staged/in, staged/out             the same between a drive and the GPU, with no tier of host memory
//   drive/in, drive/out               the half of it between the drive and host memory, alone; space/.../1x2m
//                                     is the other half
//   acquire/BLOCKS                    acquire, take and release of blocks that are resident: ns a call
//
// SHAPE: how a block lies in GPU memory: 1x2m (one run), 64x32k (64 segments), 512x4k. On the host it is one
// run. --device=NAME: cuda:0 (the default), or emulated:0, whose figures say nothing of any GPU. Scratch
// files: two of 256 MiB in --dir, removed at the end.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/report.h"
#include "bench/scratch_file.h"
#include "bench/two_tiers.h"
#include "kelvin/kelvin.h"
#include "tiers/hbm/device.h"

namespace kelvin::bench {
namespace {

using hbm::Device;
using hbm::Direction;
using hbm::Piece;
using hbm::Queue;
using hbm::Way;

constexpr std::uint64_t kBlock = 2u << 20;

struct Shape {
  const char* name;
  std::uint64_t segments;
  double goal;  // of a space's speed beside the bare copy's

  std::uint64_t segment_bytes() const { return kBlock / segments; }
};
constexpr Shape kShapes[] = {{"1x2m", 1, 0.95}, {"64x32k", 64, 0.90}, {"512x4k", 512, 0.75}};
constexpr const char* kWayNames[] = {"plain", "batch", "kernel"};

const char* name_of(Direction direction) { return direction == Direction::kFromHost ? "in" : "out"; }

// Memory on both sides, and two queues: below any tier.
class Seam {
 public:
  Seam(Device& device, std::uint64_t blocks) : device_(device), blocks_(blocks), host_(bytes()) {
    std::string why;
    std::memset(host_.data(), 0x5A, host_.size());  // pages of its own
    require(device.register_host({host_.data(), host_.size()}, &why), why.c_str());
    auto memory = device.allocate(bytes(), false, &why);
    require(memory.status(), why.c_str());
    memory_ = std::move(*memory);
    for (auto& queue : queues_) {
      auto opened = device.open_queue(&why);
      require(opened.status(), why.c_str());
      queue = std::move(*opened);
    }
  }
  ~Seam() {
    for (auto& queue : queues_) queue.reset();
    device_.unregister_host({host_.data(), host_.size()});
  }
  Seam(const Seam&) = delete;
  Seam& operator=(const Seam&) = delete;

  std::uint64_t bytes() const { return blocks_ * kBlock; }

  // One piece of so many bytes, from this offset on.
  void put_bare(std::size_t queue, Direction direction, std::uint64_t offset, std::uint64_t bytes) {
    const Piece piece = piece_of(direction, offset, offset, bytes);
    require(queues_[queue]->copy(direction, Way::kPlain, {&piece, 1}), "copy");
  }

  // All blocks, a call each; their segments lie as paged attention has them: all first ones, all second ones.
  void put_blocks(Direction direction, Way way, const Shape& shape) {
    std::vector<Piece> pieces(shape.segments);
    for (std::uint64_t block = 0; block < blocks_; ++block) {
      for (std::uint64_t s = 0; s < shape.segments; ++s) {
        pieces[s] = piece_of(direction, block * kBlock + s * shape.segment_bytes(),
                             (s * blocks_ + block) * shape.segment_bytes(), shape.segment_bytes());
      }
      Status status = queues_[0]->copy(direction, way, pieces);
      while (status.code() == Code::kBusy) {
        finish(0);
        status = queues_[0]->copy(direction, way, pieces);
      }
      require(status, "copy");
    }
  }

  void finish(std::size_t queue) {
    const auto record = queues_[queue]->record();
    require(record.status(), "record");
    Status status = device_.passed(*record);
    while (status.code() == Code::kBusy) {
      std::this_thread::yield();
      status = device_.passed(*record);
    }
    device_.give_back(*record);
    require(status, "copy");
  }

 private:
  Piece piece_of(Direction direction, std::uint64_t on_host, std::uint64_t on_device, std::uint64_t bytes) {
    std::byte* const host = host_.data() + on_host;
    std::byte* const device = memory_->base() + on_device;
    return direction == Direction::kFromHost ? Piece{host, device, bytes} : Piece{device, host, bytes};
  }

  Device& device_;
  const std::uint64_t blocks_;
  std::vector<std::byte> host_;
  std::unique_ptr<hbm::Memory> memory_;
  std::unique_ptr<Queue> queues_[2];
};

TierConfig gpu_tier(const std::string& device, const Shape& shape) {
  TierConfig tier;
  tier.name = "hbm";
  tier.kind = "hbm";
  tier.options = {{.name = "device", .value = device},
                  {.name = "segments", .value = std::to_string(shape.segments)},
                  {.name = "order", .value = "segment"}};
  return tier;
}

// Two tiers of one shape: dram near, the GPU far.
std::unique_ptr<TwoTiers> open_tiers(const std::string& device, const Shape& shape, std::uint32_t blocks) {
  std::string why;
  auto tiers = TwoTiers::open({.far = gpu_tier(device, shape), .blocks = blocks}, &why);
  if (tiers == nullptr) require(Status(Code::kUnavailable, "opening two tiers"), why.c_str());
  // Until the near tier's memory is pinned, blocks take a detour: some rounds are not counted.
  for (int round = 0; round < 4; ++round) {
    tiers->publish_in(kNear);
    require(tiers->load(kFar).release(), "release");
    tiers->drop(kNear);
    require(tiers->load(kNear).release(), "release");
  }
  return tiers;
}

void add_bare(Seam& seam) {
  for (const Direction direction : {Direction::kFromHost, Direction::kToHost}) {
    add_timed(std::string("bare/") + name_of(direction), 5, [&seam, direction](benchmark::State& state) {
      Stopwatch watch(state);
      for ([[maybe_unused]] auto _ : state) {
        watch.time(seam.bytes(), [&] {
          seam.put_bare(0, direction, 0, seam.bytes());
          seam.finish(0);
        });
      }
    });
  }
  add_timed("bare/both", 5, [&seam](benchmark::State& state) {
    Stopwatch watch(state);
    const std::uint64_t half = seam.bytes() / 2;
    for ([[maybe_unused]] auto _ : state) {
      watch.time(seam.bytes(), [&] {
        seam.put_bare(0, Direction::kFromHost, 0, half);
        seam.put_bare(1, Direction::kToHost, half, half);
        seam.finish(0);
        seam.finish(1);
      });
    }
  });
}

void add_ways(Run& run, Seam& seam, const hbm::DeviceProperties& properties) {
  for (std::size_t w = 0; w < hbm::kWays; ++w) {
    if ((properties.ways >> w & 1U) == 0) {
      run.skip(std::string("copies by ") + kWayNames[w] + ": this device has none. " + properties.lacks);
      continue;
    }
    for (const Direction direction : {Direction::kFromHost, Direction::kToHost}) {
      for (const Shape& shape : kShapes) {
        const std::string name = std::string(kWayNames[w]) + "/" + name_of(direction) + "/" + shape.name;
        add_timed(name, 5, [&seam, direction, &shape, way = static_cast<Way>(w)](benchmark::State& state) {
          Stopwatch watch(state);
          for ([[maybe_unused]] auto _ : state) {
            watch.time(seam.bytes(), [&] {
              seam.put_blocks(direction, way, shape);
              seam.finish(0);
            });
          }
        });
        run.compare_speed("  " + name + " / bare", name, std::string("bare/") + name_of(direction), 0);
      }
    }
  }
}

void run_space(benchmark::State& state, TwoTiers& tiers, Direction direction) {
  Stopwatch watch(state);
  const TierIndex to = direction == Direction::kFromHost ? kFar : kNear;
  for ([[maybe_unused]] auto _ : state) {
    tiers.publish_in(to == kFar ? kNear : kFar);
    watch.time(tiers.bytes(), [&] { require(tiers.load(to).release(), "release"); });
  }
}

// The one space loads while the other one saves.
void run_both(benchmark::State& state, TwoTiers& loading, TwoTiers& saving) {
  Stopwatch watch(state);
  for ([[maybe_unused]] auto _ : state) {
    loading.publish_in(kNear);
    saving.publish_in(kFar);
    watch.time(loading.bytes() + saving.bytes(), [&] {
      std::thread other([&] { require(saving.load(kNear).release(), "release"); });
      require(loading.load(kFar).release(), "release");
      other.join();
    });
  }
}

void add_space(Run& run, const Shape& shape, TwoTiers& tiers, TwoTiers& others) {
  const std::string suffix = std::string("/") + shape.name;
  for (const Direction direction : {Direction::kFromHost, Direction::kToHost}) {
    const std::string way = name_of(direction);
    add_timed("space/" + way + suffix, 5,
              [&tiers, direction](benchmark::State& state) { run_space(state, tiers, direction); });
    run.compare_speed(
        (way == "in" ? "DRAM>HBM, " : "HBM>DRAM, ") + std::string(shape.name) + " / one large copy",
        "space/" + way + suffix, "bare/" + way, shape.goal);
  }
  add_timed("space/both" + suffix, 5,
            [&tiers, &others](benchmark::State& state) { run_both(state, tiers, others); });
  run.compare_speed("both at once, " + std::string(shape.name) + " / two large copies", "space/both" + suffix,
                    "bare/both", 0);
}

// A drive below a tier, and what is measured between the two.
struct Drive {
  Drive(const Run& run, const std::string& name) : file(run.dir(), "kelvin_hbm_bench_" + name) {}

  bool open(TierConfig near, std::uint32_t blocks, std::string* why) {
    TierConfig far;
    far.name = "drive";
    far.kind = "nvme";
    far.options = {{.name = "path", .value = file.path()}, {.name = "prewrite", .value = "true"}};
    tiers = TwoTiers::open({.far = far, .blocks = blocks, .near = std::move(near)}, why);
    return tiers != nullptr;
  }
  void add(const std::string& name) {
    add_timed(name + "/in", 1, [this](benchmark::State& state) { run_read(state, *tiers); });
    add_timed(name + "/out", 1, [this](benchmark::State& state) { run_write(state, *tiers); });
  }

  ScratchFile file;
  std::unique_ptr<TwoTiers> tiers;  // ends first
};

void compare_staged(Run& run, const std::string& what, const std::string& way) {
  const std::string staged = "staged/" + way;
  const std::string drive = "drive/" + way;
  const std::string gpu = "space/" + way + "/1x2m";
  run.compare({.what = what + ", staged / the slower half alone",
               .ours = staged,
               .peer = drive,
               .or_peer = gpu,
               .counter = "bytes_per_second",
               .scale = 1e-9,
               .unit = "GB/s"});
  run.compare_speed("  / its half at the drive", staged, drive, 0);
  run.compare_speed("  / its half at the GPU", staged, gpu, 0);
}

void add_staged(Run& run, Drive& staged, Drive& half, const std::string& device, std::uint32_t blocks) {
  std::string why;
  if (!staged.open(gpu_tier(device, kShapes[0]), blocks, &why) ||
      !half.open({.name = "near", .kind = "dram", .options = {}}, blocks, &why)) {
    run.skip("moves between a drive and the GPU: " + why + " (--dir=FOLDER names a folder on a drive)");
    return;
  }
  staged.add("staged");
  half.add("drive");
  compare_staged(run, "NVMe>HBM", "in");
  compare_staged(run, "HBM>NVMe", "out");
}

// Host time of a prefix that is resident: the GPU has no part in it.
void run_acquire(benchmark::State& state, TwoTiers& tiers, std::size_t blocks) {
  constexpr int kCalls = 1000;
  tiers.publish_in(kFar);
  double seconds = 0;
  for ([[maybe_unused]] auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) {
      auto ticket = tiers.space().acquire(tiers.keys().first(blocks), kFar);
      require(ticket.status(), "acquire");
      require(ticket->take().release(), "release");
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    state.SetIterationTime(took / kCalls);
    seconds += took / kCalls;
  }
  state.counters["ns_a_call"] = seconds * 1e9 / static_cast<double>(state.iterations());
}

void add_acquire(Run& run, TwoTiers& tiers) {
  for (const std::size_t blocks : {std::size_t{1}, std::size_t{16}}) {
    const std::string name = "acquire/" + std::to_string(blocks);
    add_timed(
        name, 5, [&tiers, blocks](benchmark::State& state) { run_acquire(state, tiers, blocks); },
        benchmark::kNanosecond);
    run.compare({.what = "acquire and release, " + std::to_string(blocks) + " resident",
                 .ours = name,
                 .peer = {},
                 .counter = "ns_a_call",
                 .goal = 1000 + 50.0 * static_cast<double>(blocks),
                 .at_most = true,
                 .unit = "ns"});
  }
}

// Takes --device=NAME out of the command line.
std::string take_device(int& argc, char** argv) {
  constexpr std::string_view kFlag = "--device=";
  std::string device = "cuda:0";
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.substr(0, kFlag.size()) == kFlag) {
      device = word.substr(kFlag.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return device;
}

int run_all(int argc, char** argv) {
  const std::string name = take_device(argc, argv);
  Run run(argc, argv);
  std::string why;
  const auto device = hbm::open_device(name, &why);
  if (!device.ok()) {
    run.skip("all of it: " + why + " (--device=emulated:0 shows that it works, and no speed)");
    return run.finish();
  }
  const hbm::DeviceProperties& properties = (*device)->properties();
  const bool emulated = name.substr(0, 8) == "emulated";
  benchmark::AddCustomContext("device", properties.name + ", " + properties.model +
                                            (emulated ? ": EMULATED, figures say nothing of a GPU" : ""));
  if (emulated) run.skip("every goal: the device is EMULATED, and the figures say nothing of a GPU");
  const std::uint32_t blocks = run.small() ? 16 : 128;
  Seam seam(**device, blocks);
  add_bare(seam);
  add_ways(run, seam, properties);
  std::vector<std::unique_ptr<TwoTiers>> tiers;
  for (const Shape& shape : kShapes) {
    tiers.push_back(open_tiers(name, shape, blocks));
    tiers.push_back(open_tiers(name, shape, blocks));
    add_space(run, shape, *tiers[tiers.size() - 2], *tiers.back());
  }
  Drive staged(run, "staged");
  Drive half(run, "half");
  add_staged(run, staged, half, name, blocks);
  add_acquire(run, *tiers.front());
  run.skip(
      "the SM time that copies take from a GEMM: bench/real_model/gemm_share.py measures it, with torch");
  const int status = run.finish();
  tiers.clear();
  return status;
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
