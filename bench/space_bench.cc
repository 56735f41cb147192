// What Space's verbs cost a block, on spaces with 10^5 and 10^6 slots, with a mover thread and without.
//
//   publish/SLOTS/THREADS    allocate + publish + release of 64 new blocks in one chain a call; slots are
//   free evict/SLOTS/THREADS      the same on a full space, so that each call makes its room by dropping the
//   oldest acquire64/SLOTS/THREADS  acquire + take of the first 64 blocks of a chain of 512, all resident
//   acquire512/...           likewise of all 512
//   release64/..., release512/...   the end of those leases
//
// SLOTS: slots of the only tier, THREADS: mover.threads. Chains are visited in random order. The tier is of
// kind "fake": memory that is never touched, so that the figures are of the bookkeeping alone. They are the
// CPU time of the calling thread.
#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/report.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::uint32_t kCall = 64;
constexpr std::size_t kLongChain = 512;
constexpr std::size_t kBlocksAnIteration = 64 * 1024;
constexpr std::size_t kBlocksATime =
    2048;  // between two looks at the clock, which costs most of a microsecond
constexpr TierIndex kTier{0};

// CPU time of this thread: what the caller pays, whatever else runs on the machine.
double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::unique_ptr<Space> open_space(std::size_t slots, std::uint32_t threads) {
  Config config;
  config.space.block_bytes = 512;
  config.space.seed = 1;
  config.mover.threads = threads;
  TierConfig tier;
  tier.name = "memory";
  tier.kind = "fake";
  tier.capacity_bytes = slots * config.space.block_bytes;
  config.tiers.push_back(tier);
  std::string why;
  auto space = Space::open(config, &why);
  if (!space.ok()) throw std::runtime_error("opening a space: " + why);
  return std::move(space).value();
}

// Keys of chains that nobody has seen before, one chain after the other.
class Chains {
 public:
  // The keys of `chains` chains of `length` blocks, into `keys`.
  void make(std::size_t chains, std::size_t length, std::vector<BlockKey>& keys) {
    keys.resize(chains * length);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const bool root = i % length == 0;
      if (root) ++count_;
      const std::array<std::uint32_t, 2> tokens = {static_cast<std::uint32_t>(count_),
                                                   static_cast<std::uint32_t>(i % length)};
      keys[i] = chain_key(root ? BlockKey{} : keys[i - 1], tokens);
    }
  }

 private:
  std::uint64_t count_ = 0;
};

void publish_chain(Space& space, std::span<const BlockKey> chain) {
  auto lease = space.allocate(static_cast<std::uint32_t>(chain.size()), kTier);
  require(lease.status(), "allocate");
  require(space.publish(*lease, chain, 0), "publish");
  require(lease->release(), "release");
}

std::vector<BlockKey> make_chains(std::size_t chains, std::size_t length) {
  std::vector<BlockKey> keys;
  Chains().make(chains, length, keys);
  return keys;
}

// One call for each chain of kCall blocks.
void publish_all(Space& space, std::span<const BlockKey> keys) {
  for (std::size_t i = 0; i < keys.size(); i += kCall) publish_chain(space, keys.subspan(i, kCall));
}

// Slots stay free: what one iteration published is dropped, untimed, before the next.
void run_publish(benchmark::State& state, std::size_t slots, std::uint32_t threads) {
  const std::unique_ptr<Space> space = open_space(slots, threads);
  const std::vector<BlockKey> keys = make_chains(std::min(kBlocksAnIteration, slots / 2) / kCall, kCall);
  for ([[maybe_unused]] auto _ : state) {
    const double start = thread_seconds();
    publish_all(*space, keys);
    state.SetIterationTime(thread_seconds() - start);
    require(space->drop(keys), "drop");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(keys.size()) * state.iterations());
}

void run_evict(benchmark::State& state, std::size_t slots, std::uint32_t threads) {
  const std::unique_ptr<Space> space = open_space(slots, threads);
  Chains chains;
  std::vector<BlockKey> keys;
  chains.make(slots / kCall * 5 / 4, kCall, keys);
  publish_all(*space, keys);
  for ([[maybe_unused]] auto _ : state) {
    chains.make(kBlocksAnIteration / kCall, kCall, keys);
    const double start = thread_seconds();
    publish_all(*space, keys);
    state.SetIterationTime(thread_seconds() - start);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(kBlocksAnIteration) * state.iterations());
}

// A space full of chains of kLongChain blocks, and an endless random order of them. Shared by the
// benchmarks of one size, for filling takes longer than measuring.
class Resident {
 public:
  Resident(std::size_t slots, std::uint32_t threads)
      : space_(open_space(slots, threads)), keys_(make_chains(slots * 9 / 10 / kLongChain, kLongChain)) {
    for (std::size_t i = 0; i < keys_.size(); i += kLongChain) {
      publish_chain(*space_, std::span(keys_).subspan(i, kLongChain));
    }
    order_.resize(keys_.size() / kLongChain);
    std::iota(order_.begin(), order_.end(), 0u);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
  }

  Space& space() { return *space_; }
  std::span<const BlockKey> next() {
    at_ = (at_ + 1) % order_.size();
    return std::span(keys_).subspan(order_[at_] * kLongChain, kLongChain);
  }

 private:
  std::unique_ptr<Space> space_;
  std::vector<BlockKey> keys_;
  std::vector<std::uint32_t> order_;
  std::size_t at_ = 0;
};

enum class Timed { kAcquire, kRelease };

void run_acquire(benchmark::State& state, Resident& resident, std::size_t batch, Timed timed) {
  const std::size_t rounds = kBlocksAnIteration / kBlocksATime;
  std::vector<std::span<const BlockKey>> chains(kBlocksATime / batch);
  std::vector<Lease> leases(chains.size());
  for ([[maybe_unused]] auto _ : state) {
    double acquiring = 0;
    double releasing = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (auto& chain : chains) {
        chain = resident.next().first(batch);
        // What is timed is the space's work alone: the keys would come from the caller's cache.
        for (const BlockKey& key : chain) benchmark::DoNotOptimize(key.lo + 0);
      }
      const double start = thread_seconds();
      for (std::size_t i = 0; i < chains.size(); ++i) {
        auto ticket = resident.space().acquire(chains[i], kTier);
        require(ticket.status(), "acquire");
        leases[i] = ticket->take();
      }
      const double acquired = thread_seconds();
      for (Lease& lease : leases) {
        if (lease.size() != batch) state.SkipWithError("a block was not resident");
        require(lease.release(), "release");
      }
      acquiring += acquired - start;
      releasing += thread_seconds() - acquired;
    }
    state.SetIterationTime(timed == Timed::kAcquire ? acquiring : releasing);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(kBlocksAnIteration) * state.iterations());
}

void compare(Run& run, const std::string& name, const std::string& what, double goal) {
  run.compare({.what = what,
               .ours = name,
               .peer = {},
               .counter = "items_per_second",
               .goal = goal,
               .at_most = true,
               .scale = 1e9,
               .inverse = true,
               .unit = "ns a block"});
}

template <class Body>
void add(const std::string& name, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime()->Unit(benchmark::kMillisecond);
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::vector<std::size_t> sizes =
      run.small() ? std::vector<std::size_t>{10'000} : std::vector<std::size_t>{100'000, 1'000'000};
  std::map<std::string, std::unique_ptr<Resident>> residents;
  for (const std::size_t slots : sizes) {
    for (const std::uint32_t threads : {0u, 1u}) {
      const std::string suffix = "/" + std::to_string(slots) + "/" + std::to_string(threads);
      const std::string where =
          ", " + std::to_string(slots) + " slots, " + std::to_string(threads) + " threads";
      Resident& resident =
          *residents.emplace(suffix, std::make_unique<Resident>(slots, threads)).first->second;
      add("publish" + suffix, [=](benchmark::State& state) { run_publish(state, slots, threads); });
      compare(run, "publish" + suffix, "allocate+publish+release" + where, 250);
      add("evict" + suffix, [=](benchmark::State& state) { run_evict(state, slots, threads); });
      compare(run, "evict" + suffix, "the same, evicting" + where, 0);
      for (const std::size_t batch : {std::size_t{64}, kLongChain}) {
        const std::string size = std::to_string(batch);
        for (const Timed timed : {Timed::kAcquire, Timed::kRelease}) {
          const std::string verb = timed == Timed::kAcquire ? "acquire" : "release";
          add(verb + size + suffix,
              [=, &resident](benchmark::State& state) { run_acquire(state, resident, batch, timed); });
          compare(run, verb + size + suffix, verb + " of " + size + where,
                  timed == Timed::kAcquire ? 100 : 0);
        }
      }
    }
  }
  return run.finish();
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
