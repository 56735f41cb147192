// Look-ups of long prefixes in a space with ten million blocks, against general hash maps.
//
//   match/16, match/64        Space::match of 16 or 64 keys of one chain
//   abseil/16, abseil/64      absl::flat_hash_map<BlockKey, uint32_t>::find of the same keys, one by one
//   abseil_ahead/16, /64      the same with flat_hash_map::prefetch of the whole batch first
//   libcuckoo/16, libcuckoo/64  libcuckoo::cuckoohash_map::find of the same keys
//   two_lines/16, two_lines/64  the machine's limit for any table that keeps a key's bucket and its record
//                               apart: two random cache lines a key on huge pages, the first naming
//                               the second, prefetched a batch ahead
//
// Every side is asked for the same keys in the same order: runs of chains of 64 blocks, the runs in random
// order. The blocks of one chain were published one at a time, interleaved at random with those of all other
// chains, so that neither their records nor their slots lie together. Nothing asked for is in a cache, but
// the keys themselves, which are read in order. Figures are of the thread's CPU time: other programs on the
// machine cost both sides their caches, but not their turns.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef KELVIN_BENCH_ABSEIL
#include <absl/container/flat_hash_map.h>
#endif
#ifdef KELVIN_BENCH_LIBCUCKOO
#include <libcuckoo/cuckoohash_map.hh>
#endif

#include "bench/report.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr std::size_t kChain = 64;
constexpr std::size_t kQueries = 4u << 20;  // keys asked for before the first is asked for again
constexpr std::array<std::size_t, 2> kBatches = {16, 64};
constexpr std::uint64_t kSeed = 1;

// Nothing has to be moved here, and what a policy makes of publishing is not the table's.
class NoPolicy final : public Policy {
 public:
  void observe(const View& /*view*/, std::span<const Event> /*events*/) noexcept override {}
  std::size_t plan(const View& /*view*/, const Budget& /*budget*/,
                   std::span<Move> /*moves*/) noexcept override {
    return 0;
  }
};

// Chains of kChain keys each, one after the other.
std::vector<BlockKey> make_keys(std::size_t chains) {
  std::vector<BlockKey> keys(chains * kChain);
  const BlockKey root = root_key("bench", make_layout("bench", 512, 16));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::array<std::uint32_t, 2> tokens = {static_cast<std::uint32_t>(i / kChain),
                                                 static_cast<std::uint32_t>(i % kChain)};
    keys[i] = chain_key(i % kChain == 0 ? root : keys[i - 1], tokens);
  }
  return keys;
}

std::unique_ptr<Space> open_space(std::size_t blocks) {
  Config config;
  config.space.block_bytes = 512;
  config.space.seed = kSeed;
  config.mover.threads = 0;
  TierConfig tier;
  tier.name = "memory";
  tier.kind = "fake";
  tier.capacity_bytes = blocks * config.space.block_bytes;
  tier.free_ahead = 0;
  config.tiers.push_back(tier);
  std::string why;
  Parts parts;
  parts.policy = std::make_unique<NoPolicy>();
  auto space = Space::open(config, &why, std::move(parts));
  if (!space.ok()) throw std::runtime_error("opening a space: " + why);
  return std::move(space).value();
}

// Depth by depth, the chains of each depth in an order of its own.
void fill(Space& space, std::span<const BlockKey> keys) {
  std::vector<std::uint32_t> order(keys.size() / kChain);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937_64 random(kSeed);
  for (std::size_t depth = 0; depth < kChain; ++depth) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::uint32_t chain : order) {
      auto lease = space.allocate(1, TierIndex(0));
      require(lease.status(), "allocate");
      require(space.publish(*lease, keys.subspan(chain * kChain, depth + 1), depth), "publish");
      require(lease->release(), "release");
    }
  }
}

// Runs of `batch` keys, each from a random place of a random chain; as many as kQueries keys.
std::vector<BlockKey> make_queries(std::span<const BlockKey> keys, std::size_t batch) {
  std::vector<BlockKey> queries;
  queries.reserve(kQueries);
  std::mt19937_64 random(kSeed + batch);
  while (queries.size() + batch <= kQueries) {
    const std::size_t chain = random() % (keys.size() / kChain);
    const std::size_t offset = random() % (kChain / batch) * batch;
    const auto run = keys.subspan(chain * kChain + offset, batch);
    queries.insert(queries.end(), run.begin(), run.end());
  }
  return queries;
}

// Calls `look_up(batch of keys)`, which returns how many it found, for one batch after the other.
template <class LookUp>
void run_batches(benchmark::State& state, std::span<const BlockKey> queries, std::size_t batch,
                 LookUp&& look_up) {
  static std::size_t place = 0;  // goes on where the last repetition ended: nothing is warm
  std::size_t found = 0;
  for ([[maybe_unused]] auto _ : state) {
    place = place + batch > queries.size() - batch ? 0 : place + batch;
    found += look_up(queries.subspan(place, batch));
  }
  const auto asked = static_cast<std::int64_t>(batch) * state.iterations();
  if (static_cast<std::int64_t>(found) != asked) state.SkipWithError("a block was not found");
  state.SetItemsProcessed(asked);
}

template <class LookUp>
void add(const std::string& name, std::span<const BlockKey> queries, std::size_t batch, LookUp look_up) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { run_batches(state, queries, batch, look_up); });
}

void add_memory_use(Run& run, const Space& space) {
  const Stats stats = space.stats();
  const auto bytes = static_cast<double>(stats.table_bytes);
  const double of_known = bytes / static_cast<double>(stats.blocks);
  const double of_possible = bytes / static_cast<double>(stats.block_capacity);
  benchmark::RegisterBenchmark("table_memory", [=](benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) benchmark::ClobberMemory();
    state.counters["bytes_a_resident_block"] = of_known;
    state.counters["bytes_a_record"] = of_possible;
  })->Iterations(1);
  run.compare({.what = "table memory, a block in a full space",
               .ours = "table_memory",
               .peer = {},
               .counter = "bytes_a_resident_block",
               .goal = 96,
               .at_most = true,
               .unit = "B"});
  run.compare({.what = "  a record (there are a tenth more than slots)",
               .ours = "table_memory",
               .peer = {},
               .counter = "bytes_a_record",
               .goal = 0,
               .unit = "B"});
}

void add_comparison(Run& run, const std::string& peer, const std::string& batch, double goal) {
  run.compare({.what = "match in batches of " + batch + " / " + peer,
               .ours = "match/" + batch,
               .peer = peer + "/" + batch,
               .counter = "items_per_second",
               .goal = goal,
               .scale = 1e9,
               .inverse = true,
               .unit = "ns a key"});
}

// Random memory of the size of the space's table.
class Lines {
 public:
  explicit Lines(std::size_t bytes)
      : count_(bytes / kLine),
        bytes_(static_cast<std::byte*>(std::aligned_alloc(kPage, bytes / kPage * kPage + kPage)),
               &std::free) {
    if (bytes_ == nullptr) throw std::bad_alloc();
    ::madvise(bytes_.get(), bytes, MADV_HUGEPAGE);
    std::memset(bytes_.get(), 0, bytes);
    for (std::size_t i = 0; i < count_; ++i) bytes_[i * kLine] = std::byte{1};
  }

  static std::uint64_t word(const std::byte* line) { return static_cast<std::uint64_t>(*line); }
  const std::byte* at(std::uint64_t random) const {
    return bytes_.get() + ((random >> 32) * count_ >> 32) * kLine;
  }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kPage = 2u << 20;
  std::size_t count_;
  std::unique_ptr<std::byte[], decltype(&std::free)> bytes_;
};

void add_limit(Run& run, const Lines& lines, std::span<const BlockKey> queries, std::size_t batch) {
  const std::string size = std::to_string(batch);
  add("two_lines/" + size, queries, batch, [&lines](std::span<const BlockKey> keys) {
    for (const BlockKey& key : keys) __builtin_prefetch(lines.at(key.hi));
    // The second line is not known before the first is there.
    for (const BlockKey& key : keys) __builtin_prefetch(lines.at(key.lo + Lines::word(lines.at(key.hi))));
    std::size_t sum = 0;
    for (const BlockKey& key : keys) sum += Lines::word(lines.at(key.lo + Lines::word(lines.at(key.hi))));
    return sum;
  });
  add_comparison(run, "two_lines", size, 0);
}

#ifdef KELVIN_BENCH_ABSEIL
using AbseilMap = absl::flat_hash_map<BlockKey, std::uint32_t, std::hash<BlockKey>>;

void add_abseil(Run& run, const AbseilMap& map, std::span<const BlockKey> queries, std::size_t batch) {
  const std::string size = std::to_string(batch);
  add("abseil/" + size, queries, batch, [&map](std::span<const BlockKey> keys) {
    std::size_t found = 0;
    for (const BlockKey& key : keys) {
      const auto it = map.find(key);
      if (it == map.end()) continue;
      benchmark::DoNotOptimize(it->second);
      ++found;
    }
    return found;
  });
  add("abseil_ahead/" + size, queries, batch, [&map](std::span<const BlockKey> keys) {
    std::size_t found = 0;
    for (const BlockKey& key : keys) map.prefetch(key);
    for (const BlockKey& key : keys) {
      const auto it = map.find(key);
      if (it == map.end()) continue;
      benchmark::DoNotOptimize(it->second);
      ++found;
    }
    return found;
  });
  add_comparison(run, "abseil", size, 4);
  add_comparison(run, "abseil_ahead", size, 0);
}
#endif

#ifdef KELVIN_BENCH_LIBCUCKOO
using CuckooMap = libcuckoo::cuckoohash_map<BlockKey, std::uint32_t, std::hash<BlockKey>>;

void add_libcuckoo(Run& run, const CuckooMap& map, std::span<const BlockKey> queries, std::size_t batch) {
  const std::string size = std::to_string(batch);
  add("libcuckoo/" + size, queries, batch, [&map](std::span<const BlockKey> keys) {
    std::size_t found = 0;
    std::uint32_t value = 0;
    for (const BlockKey& key : keys) {
      if (map.find(key, value)) ++found;
      benchmark::DoNotOptimize(value);
    }
    return found;
  });
  add_comparison(run, "libcuckoo", size, 4);
}
#endif

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  const std::size_t chains = (run.small() ? 100'000 : 10'000'000) / kChain;
  const std::vector<BlockKey> keys = make_keys(chains);
  std::fprintf(stderr, "filling a space with %zu blocks\n", keys.size());
  const std::unique_ptr<Space> space = open_space(keys.size());
  fill(*space, keys);
  const Lines lines(space->stats().table_bytes);
  std::vector<std::vector<BlockKey>> queries;
  queries.reserve(std::size(kBatches));
  for (const std::size_t batch : kBatches) queries.push_back(make_queries(keys, batch));
#ifdef KELVIN_BENCH_ABSEIL
  AbseilMap abseil;
  abseil.reserve(keys.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) abseil.emplace(keys[i], i);
#else
  run.skip("the comparison with abseil: this build has none; install libabsl-dev and configure again");
#endif
#ifdef KELVIN_BENCH_LIBCUCKOO
  CuckooMap cuckoo(keys.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) cuckoo.insert(keys[i], i);
#else
  run.skip("the comparison with libcuckoo: this build has none; install libcuckoo-dev and configure again");
#endif
  for (std::size_t i = 0; i < kBatches.size(); ++i) {
    const std::string size = std::to_string(kBatches[i]);
    add("match/" + size, queries[i], kBatches[i],
        [&space](std::span<const BlockKey> batch) { return std::size_t{space->match(batch).blocks}; });
    add_limit(run, lines, queries[i], kBatches[i]);
    run.compare({.what = "match in batches of " + size,
                 .ours = "match/" + size,
                 .peer = {},
                 .counter = "items_per_second",
                 .goal = 20,
                 .scale = 1e-6,
                 .unit = "M/s"});
#ifdef KELVIN_BENCH_ABSEIL
    add_abseil(run, abseil, queries[i], kBatches[i]);
#endif
#ifdef KELVIN_BENCH_LIBCUCKOO
    add_libcuckoo(run, cuckoo, queries[i], kBatches[i]);
#endif
  }
  add_memory_use(run, *space);
  return run.finish();
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }
