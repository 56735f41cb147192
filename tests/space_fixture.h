// What the tests of a whole space share: small configs, chains of keys, blocks whose bytes their key names.
//
// Thread contract: free functions on values; VirtualClock may be read from any thread.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kelvin/space.h"
#include "slot_bytes.h"

namespace kelvin::testing {

using namespace std::chrono_literals;

inline constexpr std::uint64_t kBlockBytes = 4096;
inline constexpr TierIndex kNear{0};
inline constexpr TierIndex kFar{1};
inline constexpr TierIndex kFarthest{2};

// A tier of `slots` blocks that frees slots on demand only.
inline TierConfig tier_of(const std::string& name, const std::string& kind, std::uint32_t slots,
                          std::vector<Option> options = {}) {
  TierConfig tier;
  tier.name = name;
  tier.kind = kind;
  tier.capacity_bytes = slots * kBlockBytes;
  tier.free_ahead = 0;
  tier.options = std::move(options);
  return tier;
}

inline Config config_of(std::vector<TierConfig> tiers, std::uint32_t threads = 0) {
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.space.seed = 7;
  config.policy.name = "lru";  // whose order the tests know
  config.tiers = std::move(tiers);
  config.mover.threads = threads;
  return config;
}

// dram (near) over fake (far).
inline Config two_tiers(std::uint32_t near_slots, std::uint32_t far_slots, std::uint32_t threads = 0,
                        std::vector<Option> far_options = {}) {
  return config_of(
      {tier_of("dram", "dram", near_slots), tier_of("far", "fake", far_slots, std::move(far_options))},
      threads);
}

inline std::unique_ptr<Space> open_space(const Config& config, Parts parts = {}) {
  std::string why;
  auto space = Space::open(config, &why, std::move(parts));
  EXPECT_TRUE(space.ok()) << why;
  return space.ok() ? std::move(space).value() : nullptr;
}

// Time that passes only where a test says so.
class VirtualClock {
 public:
  Clock clock() {
    return [this] { return now_.load(); };
  }
  void pass(std::chrono::nanoseconds time) { now_ += static_cast<std::uint64_t>(time.count()); }

 private:
  std::atomic<std::uint64_t> now_{1'000'000'000};
};

inline std::vector<BlockKey> chain_of(std::uint64_t seed, std::size_t blocks) {
  std::vector<BlockKey> keys;
  for (std::size_t i = 0; i < blocks; ++i) keys.push_back({seed, i + 1});
  return keys;
}

inline std::uint64_t content_of(const BlockKey& key) { return key.hi * 1'000'003 + key.lo; }

inline const std::byte* bytes_of(const Lease& lease, std::size_t i) { return lease.address(i).pointer; }

// Of blocks that lie in one piece of host memory.
inline void write_block(const Lease& lease, std::size_t i, const BlockKey& key) {
  const auto bytes = pattern(content_of(key), kBlockBytes);
  std::memcpy(lease.address(i).pointer, bytes.data(), bytes.size());
}
inline bool block_is(const Lease& lease, std::size_t i, const BlockKey& key) {
  const auto bytes = pattern(content_of(key), kBlockBytes);
  return bytes_of(lease, i) != nullptr && std::memcmp(bytes_of(lease, i), bytes.data(), bytes.size()) == 0;
}
inline ::testing::AssertionResult blocks_are(const Lease& lease, std::span<const BlockKey> chain) {
  for (std::size_t i = 0; i < lease.size(); ++i) {
    if (!block_is(lease, i, chain[i])) return ::testing::AssertionFailure() << "wrong bytes in block " << i;
  }
  return ::testing::AssertionSuccess();
}

// Makes chain[first ..] blocks of `tier`; the lease on them, empty if there was no room: `status` says why.
inline Lease publish_blocks(Space& space, std::span<const BlockKey> chain, TierIndex tier = kNear,
                            std::size_t first = 0, Status* status = nullptr) {
  auto lease = space.allocate(static_cast<std::uint32_t>(chain.size() - first), tier);
  if (status != nullptr) *status = lease.status();
  if (!lease.ok()) return Lease();
  for (std::size_t i = 0; i < lease->size(); ++i) write_block(*lease, i, chain[first + i]);
  EXPECT_TRUE(space.publish(*lease, chain, first).ok());
  return std::move(lease).value();
}

// Acquires and waits; the lease may be shorter than the chain, `status` says why.
inline Lease acquire_blocks(Space& space, std::span<const BlockKey> chain, TierIndex tier = kNear,
                            Status* status = nullptr) {
  auto ticket = space.acquire(chain, tier);
  EXPECT_TRUE(ticket.ok()) << ticket.status().message();
  if (!ticket.ok()) return Lease();
  const Status ended = ticket->wait(10s);
  EXPECT_TRUE(ticket->done()) << ended.message();
  if (status != nullptr) *status = ended;
  return ticket->take();
}

// The same, released at once: the blocks are in `tier` alone.
inline void store_blocks(Space& space, std::span<const BlockKey> chain, TierIndex tier = kNear,
                         std::size_t first = 0) {
  Status status;
  Lease lease = publish_blocks(space, chain, tier, first, &status);
  ASSERT_EQ(lease.size(), chain.size() - first) << status.message();
  ASSERT_TRUE(lease.release().ok());
}

// Copies that a device has in hand and nobody waits for.
inline std::uint64_t strays(const Space& space) {
  std::uint64_t sum = 0;
  for (const LinkStats& link : space.stats().links) sum += link.strays;
  return sum;
}

// After everything was released and has settled: each slot is free, resident or quarantined, none is held.
inline ::testing::AssertionResult nothing_leaked(const Space& space) {
  const Stats stats = space.stats();
  if (stats.leases != 0) return ::testing::AssertionFailure() << stats.leases << " leases are alive";
  for (const TierStats& tier : stats.tiers) {
    if (tier.leased != 0)
      return ::testing::AssertionFailure() << tier.name << ": " << tier.leased << " leased";
    if (tier.free + tier.resident + tier.quarantined + tier.kept != tier.slots) {
      return ::testing::AssertionFailure()
             << tier.name << ": of " << tier.slots << " slots " << tier.free << " are free, " << tier.resident
             << " resident, " << tier.quarantined << " quarantined, " << tier.kept << " kept";
    }
  }
  for (const LinkStats& link : stats.links) {
    if (link.in_flight != 0) return ::testing::AssertionFailure() << link.name << ": copies in flight";
  }
  return ::testing::AssertionSuccess();
}

}  // namespace kelvin::testing
