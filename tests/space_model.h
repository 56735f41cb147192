// What random operations on a space are checked against: a family of chains, and which blocks may be known.
//
// Thread contract: values; Family is constant once made, Known is guarded by its lock.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "faulty_link.h"
#include "space_fixture.h"

namespace kelvin::testing {

// One kind of run. `exact`: the near tier has room for every block, so that nothing is ever evicted and what
// is known is known exactly.
struct ModelCase {
  std::uint64_t seed = 1;
  std::uint32_t near_slots = 16;
  std::vector<std::uint32_t> lower_slots = {32};
  std::string faults = "none";
  bool exact = false;
  bool hangs = false;  // lower tiers hang, come round and are brought back, at any moment

  bool corrupts() const { return faults.find("corrupt") != std::string::npos; }
  bool goes() const { return hangs || faults.find("gone") != std::string::npos; }
};
inline std::ostream& operator<<(std::ostream& out, const ModelCase& run) {
  out << "seed " << run.seed << ", " << run.near_slots;
  for (const std::uint32_t slots : run.lower_slots) out << "+" << slots;
  return out << " slots, faults " << run.faults << (run.exact ? ", exact" : "")
             << (run.hangs ? ", hangs" : "");
}

inline Config config_of_case(const ModelCase& run, std::uint32_t threads) {
  std::vector<TierConfig> tiers = {tier_of("near", "dram", run.near_slots)};
  const std::vector<Option> options = {{"latency", "20us"}, {"bandwidth", "1GiB"}, {"faults", run.faults}};
  for (const std::uint32_t slots : run.lower_slots) {
    tiers.push_back(tier_of("lower" + std::to_string(tiers.size()), "fake", slots, options));
  }
  Config config = config_of(std::move(tiers), threads);
  config.tiers[0].free_ahead = run.exact ? 0 : 0.25;
  if (run.seed % 2 == 0) config.policy.name = "heat";
  config.space.max_leases = 24;
  config.mover.queue = 32;
  config.mover.offline_after = 1000;  // scripted faults are steady: only "gone" takes a tier offline
  if (run.hangs) {
    config.mover.deadline_ns = 300'000;
    config.mover.retry_offline_ns = run.seed % 2 == 0 ? 2'000'000 : 0;
  }
  return config;
}

// Chains that share prefixes: those of one group agree in their first blocks.
class Family {
 public:
  static constexpr std::size_t kChains = 12;
  static constexpr std::size_t kLength = 9;
  static constexpr std::size_t kShared = 4;
  static constexpr std::size_t kGroups = 3;
  static constexpr std::size_t kBlocks = kGroups * kShared + kChains * (kLength - kShared);

  Family() {
    for (std::size_t c = 0; c < kChains; ++c) {
      for (std::size_t i = 0; i < kLength; ++i)
        chains_[c].push_back({i < kShared ? 1 + c % kGroups : 100 + c, i + 1});
    }
  }
  std::span<const BlockKey> chain(std::size_t c) const { return chains_[c]; }

 private:
  std::vector<BlockKey> chains_[kChains];
};

// The naive model: a map of the blocks that may be known because they were published and not dropped since.
class Known {
 public:
  void add(std::span<const BlockKey> keys) {
    const std::lock_guard guard(mu_);
    for (const BlockKey& key : keys) known_[key] = true;
  }
  void drop(std::span<const BlockKey> keys) {
    const std::lock_guard guard(mu_);
    for (const BlockKey& key : keys) known_.erase(key);
  }
  std::size_t prefix(std::span<const BlockKey> chain) const {
    const std::lock_guard guard(mu_);
    std::size_t n = 0;
    while (n < chain.size() && known_.contains(chain[n])) ++n;
    return n;
  }

 private:
  mutable std::mutex mu_;
  std::map<BlockKey, bool> known_;
};

// A lease, and the chain whose blocks from `first` on it holds. Acquired: on copies that others find too; a
// slot that was published while its block was known may be its holder's alone.
struct HeldBlocks {
  Lease lease;
  std::size_t chain = 0;
  std::size_t first = 0;
  bool acquired = false;
};

// One caller's dice.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

// A random link hangs from now on, for so many copies: until let go, until canceled, or until either; and
// what becomes of them then is random too.
inline void hang_some_link(Faults& faults, const ModelCase& run, Dice& dice) {
  const std::string lower = "lower" + std::to_string(1 + dice.below(run.lower_slots.size()));
  const std::string other = dice.one_in(4) ? "lower1" : "near";
  constexpr Trouble kLate[] = {Trouble::kNone, Trouble::kNone, Trouble::kError, Trouble::kGone};
  Fault fault;
  fault.link = dice.one_in(2) ? lower + ">" + other : other + ">" + lower;
  fault.trouble = kLate[dice.below(4)];
  fault.times = 1 + dice.below(6);
  fault.stuck = !dice.one_in(4);
  fault.held = !fault.stuck;
  faults.add(fault);
}

// Slots of the lower tiers that are neither free nor hold a block are those that a device has in hand.
inline ::testing::AssertionResult only_strays_are_missing(const Space& space) {
  const Stats stats = space.stats();
  for (std::size_t t = 1; t < stats.tiers.size(); ++t) {
    const TierStats& tier = stats.tiers[t];
    std::uint64_t in_hand = 0;
    for (const LinkStats& link : stats.links) {
      if (link.name.ends_with(">" + tier.name)) in_hand += link.strays;
    }
    const std::uint64_t missing = tier.slots - tier.free - tier.resident - tier.quarantined;
    if (missing != in_hand)
      return ::testing::AssertionFailure()
             << tier.name << ": " << missing << " missing, " << in_hand << " in hand";
  }
  return ::testing::AssertionSuccess();
}

// What match must find of `chain` because `held` is alive. A tier that is gone has no copies, leased or not.
inline std::size_t must_be_known(const HeldBlocks& held, std::size_t chain, const ModelCase& run) {
  const bool there = held.acquired && held.chain == chain && (held.lease.tier() == kNear || !run.goes());
  return there ? held.lease.size() : 0;
}

inline ::testing::AssertionResult holds_right_bytes(const HeldBlocks& held, const Family& family) {
  return blocks_are(held.lease, family.chain(held.chain).subspan(held.first));
}

// What an allocate may answer where callers hold leases and tiers come and go.
inline bool may_refuse(Code code) {
  return code == Code::kFull || code == Code::kBusy || code == Code::kUnavailable;
}

}  // namespace kelvin::testing
