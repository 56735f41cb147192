// A space of two tiers of equal size, and a chain of blocks that fills one of them: what benchmarks of links
// move to and fro.
//
// Thread contract: the main thread, beside the space's own. What fails throws (require).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/report.h"
#include "kelvin/kelvin.h"

namespace kelvin::bench {

inline constexpr TierIndex kNear{0};
inline constexpr TierIndex kFar{1};

// Wall and CPU time of what is timed within one repetition, as counters of it.
class Stopwatch {
 public:
  explicit Stopwatch(benchmark::State& state) : state_(state) {}
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  template <class Work>
  void time(std::uint64_t bytes, Work&& work) {
    const double cpu = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    work();
    state_.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    cpu_seconds_ += cpu_seconds() - cpu;
    bytes_ += bytes;
  }

 private:
  static double cpu_seconds();  // of this process

  benchmark::State& state_;
  double cpu_seconds_ = 0;
  std::uint64_t bytes_ = 0;
};

struct TwoTiersConfig {
  TierConfig far;  // its capacity is set to that of the near one
  std::uint32_t threads = 1;
  std::uint64_t block_bytes = 2u << 20;
  std::uint32_t blocks = 256;
  TierConfig near{.name = "near", .kind = "dram", .options = {}};
};

class TwoTiers {
 public:
  // Null: `why` says what is missing here.
  static std::unique_ptr<TwoTiers> open(const TwoTiersConfig& wanted, std::string* why);

  Space& space() { return *space_; }
  std::uint64_t block_bytes() const { return block_bytes_; }
  std::uint64_t bytes() const { return keys_.size() * block_bytes_; }
  std::span<const BlockKey> keys() const { return keys_; }  // one chain

  // All blocks into `tier`, from wherever they are.
  Lease load(TierIndex tier);
  // What was loaded is there a moment before its move has let go of where it came from.
  void drop(TierIndex tier) {
    require(space_->settle(std::chrono::seconds(60)), "settling");
    require(space_->drop(keys_, tier), "drop");
  }

  // New blocks in `tier`, nothing of them known before.
  void publish_in(TierIndex tier);
  // Blocks in both tiers, those in the far one written this moment.
  void write_all();
  Lease allocate(TierIndex tier);
  // Where the slots lie in the far tier's file.
  std::uint64_t first_slot_offset();

 private:
  TwoTiers(std::unique_ptr<Space> space, const TwoTiersConfig& config);
  void fill(TierIndex tier);

  std::unique_ptr<Space> space_;
  const std::uint64_t block_bytes_;
  std::vector<BlockKey> keys_;
};

// Times new blocks on their way into the far tier.
void run_write(benchmark::State& state, TwoTiers& tiers);
// Times blocks on their way back from there.
void run_read(benchmark::State& state, TwoTiers& tiers);

}  // namespace kelvin::bench
