// What loads from a drive suffer from write-behind to the same drive.
//
//   alone          blocks of 2 MiB from the nvme tier to dram; what makes room for them has a copy below
//   beside/DEPTH   the same, but what makes room has to be written to the drive meanwhile; mover.write_depth
//   =
//                  DEPTH
//
// Dram holds twice what is loaded, half of it kept free ahead: loads take free slots, and write-behind makes
// new ones beside them. Counters: bytes_per_second of the loads; written_share: of the blocks that were to be
// written, those that were by the time the last load had ended. Scratch file: 1.1 GiB in --dir, removed at
// the end.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/scratch_file.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::uint64_t kBlockBytes = 2u << 20;
constexpr std::uint64_t kTableRoom = 8u << 20;
constexpr TierIndex kNear{0};
constexpr TierIndex kFar{1};
constexpr auto kPatience = std::chrono::seconds(120);

std::vector<BlockKey> chain_of(std::uint32_t seed, std::uint32_t blocks) {
  std::vector<BlockKey> keys(blocks);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const std::array token = {seed, i};
    keys[i] = chain_key(i == 0 ? BlockKey{} : keys[i - 1], token);
  }
  return keys;
}

// A space in which loading what lies below pushes out what is near.
class Overtaking {
 public:
  Overtaking(const std::string& path, std::uint32_t blocks, std::uint32_t write_depth)
      : wanted_(chain_of(1, blocks)), near_(chain_of(2, blocks)) {
    Config config;
    config.space.block_bytes = kBlockBytes;
    config.policy.name = "lru";
    config.mover.write_depth = write_depth;
    TierConfig near;
    near.name = "near";
    near.kind = "dram";
    near.capacity_bytes = 2 * blocks * kBlockBytes;
    near.free_ahead = 0.5;
    TierConfig far;
    far.name = "far";
    far.kind = "nvme";
    far.capacity_bytes = 2 * blocks * kBlockBytes + kTableRoom;
    far.free_ahead = 0;
    far.options = {{.name = "path", .value = path}, {.name = "prewrite", .value = "true"}};
    config.tiers = {near, far};
    std::string why;
    auto space = Space::open(config, &why);
    if (!space.ok()) require(space.status(), why.c_str());
    space_ = std::move(space).value();
    publish(wanted_);
    load(wanted_, kFar);
    drop(wanted_, kNear);
  }

  // Near: what will go. Below: what will be wanted, and with `clean` what will go as well.
  void prepare(bool clean) {
    drop(wanted_, kNear);
    drop(near_, kNoTier);
    publish(near_);
    if (clean) load(near_, kFar);
    settle();
    written_before_ = written();
  }
  void load_wanted() { load(wanted_, kNear); }
  double written_share() {
    return static_cast<double>(written() - written_before_) / static_cast<double>(near_.size());
  }
  void settle() { require(space_->settle(kPatience), "settle"); }
  std::uint64_t bytes() const { return wanted_.size() * kBlockBytes; }

 private:
  void publish(std::span<const BlockKey> keys) {
    auto lease = space_->allocate(static_cast<std::uint32_t>(keys.size()), kNear);
    require(lease.status(), "allocate");
    require(space_->publish(*lease, keys, 0), "publish");
    require(lease->release(), "release");
  }
  void load(std::span<const BlockKey> keys, TierIndex tier) {
    auto ticket = space_->acquire(keys, tier);
    require(ticket.status(), "acquire");
    require(ticket->wait(kPatience), "loading");
    Lease lease = ticket->take();
    if (lease.size() != keys.size()) require(Status(Code::kFull, "a block is missing"), "loading");
    require(lease.release(), "release");
  }
  void drop(std::span<const BlockKey> keys, TierIndex tier) { require(space_->drop(keys, tier), "drop"); }
  std::uint64_t written() const {
    const Stats stats = space_->stats();
    const auto link = std::ranges::find(stats.links, "near>far", &LinkStats::name);
    return link == stats.links.end() ? 0 : link->copies;
  }

  std::unique_ptr<Space> space_;
  const std::vector<BlockKey> wanted_;
  const std::vector<BlockKey> near_;
  std::uint64_t written_before_ = 0;
};

void run(benchmark::State& state, Overtaking& space, bool clean) {
  double share = 0;
  for ([[maybe_unused]] auto _ : state) {
    space.prepare(clean);
    const auto start = std::chrono::steady_clock::now();
    space.load_wanted();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    share += space.written_share();
    space.settle();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(space.bytes()) * state.iterations());
  state.counters["written_share"] = share / static_cast<double>(state.iterations());
}

void add(const std::string& name, Overtaking& space, bool clean) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [&space, clean](benchmark::State& state) { run(state, space, clean); })
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::uint32_t blocks = run.small() ? 16 : 256;
  std::vector<std::unique_ptr<ScratchFile>> files;
  std::vector<std::unique_ptr<Overtaking>> spaces;
  for (const std::uint32_t depth : {4u, 32u}) {
    const std::string suffix = "/" + std::to_string(depth);
    files.push_back(std::make_unique<ScratchFile>(run.dir(), "kelvin_overtake_bench." + suffix.substr(1)));
    spaces.push_back(std::make_unique<Overtaking>(files.back()->path(), blocks, depth));
    add("beside" + suffix, *spaces.back(), false);
    if (depth == 32) add("alone", *spaces.back(), true);
    run.compare({.what = "loads beside write-behind, write_depth " + std::to_string(depth) + " / alone",
                 .ours = "beside" + suffix,
                 .peer = "alone",
                 .counter = "bytes_per_second",
                 .scale = 1e-9,
                 .unit = "GB/s"});
    run.compare({.what = "  of its blocks written meanwhile",
                 .ours = "beside" + suffix,
                 .peer = {},
                 .counter = "written_share",
                 .scale = 100,
                 .unit = "%"});
  }
  const int status = run.finish();
  spaces.clear();
  return status;
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
