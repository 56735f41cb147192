// Everything behind a Space: the parts, wired together, and the verbs that space.h declares.
//
//   open.cc     tiers, links, policy, planner and mover from a config
//   acquire.cc  match, acquire, expect
//   allocate.cc allocate, and waiting for room
//   publish.cc  publish
//   release.cc  release, drop, reclaim
//   streams.cc  publish_on, acquire_on, release_on, and what a stream is told of a ticket
//   save.cc     save
//   learned.cc  save_learned, load_learned
//   pin.cc      pin, unpin, and who a tenant is
//   stats.cc    stats, and how the mover is driven or awaited
//   tiers.cc    bring_back
//
// Thread contract: as space.h says.
// Invariants:
//   1. `refs_` counts the Space and every Hold in use; the last one gone deletes the Core.
//   2. Nothing reaches the mover after `close` has begun; holds that are loading then end as kCanceled.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "journal/journal.h"
#include "kelvin/space.h"
#include "leases/hold.h"
#include "mover/driver.h"
#include "mover/mover.h"
#include "planner/planner.h"
#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin {

class Core {
 public:
  static Result<Core*> open(const Config& config, std::string* why, Parts parts);
  void close() noexcept;  // by the Space's destructor; the Core may live on in leases

  Match match(std::span<const BlockKey> chain) const noexcept;
  Result<Hold*> acquire(std::span<const BlockKey> chain, TierIndex tier,
                        const AcquireOptions& options) noexcept;
  Result<Hold*> allocate(std::uint32_t n, TierIndex tier, const AllocateOptions& options) noexcept;
  Status publish(Hold& hold, std::span<const BlockKey> chain, std::size_t first, const Hints& hints,
                 std::span<const RetainRange> ranges) noexcept;
  void release(Hold* hold, const Hints& hints, std::span<const RetainRange> ranges = {}) noexcept;
  Status publish_on(Hold& hold, Stream stream, std::span<const BlockKey> chain, std::size_t first,
                    const Hints& hints, std::span<const RetainRange> ranges) noexcept;
  Result<Hold*> acquire_on(std::span<const BlockKey> chain, TierIndex tier, Stream stream,
                           const AcquireOptions& options) noexcept;
  // Ok: the hold is not the caller's any more.
  Status release_on(Hold* hold, Stream stream, const Hints& hints,
                    std::span<const RetainRange> ranges) noexcept;
  Status wait_on_stream(const Hold& hold, std::uint32_t segments) noexcept;
  Result<std::uint32_t> slots(const Hold& hold, std::span<Slot> slots) const noexcept;
  std::uint32_t segments_ready(const Hold& hold) const noexcept;
  void abandon(Hold* hold) noexcept;
  Status drop(std::span<const BlockKey> keys, TierIndex tier) noexcept;
  Status reclaim(TierIndex tier, std::span<const Slot> slots) noexcept;
  Status pin(std::span<const BlockKey> keys, std::chrono::seconds duration, TierIndex tier) noexcept;
  Status unpin(std::span<const BlockKey> keys) noexcept;
  void expect(std::span<const BlockKey> chain, std::chrono::nanoseconds ahead, const Hints& hints) noexcept;
  Result<std::size_t> poll() noexcept;
  Status bring_back(TierIndex tier, std::string* why) noexcept;
  std::uint64_t due_ns() const noexcept;
  Status settle(std::chrono::nanoseconds timeout) noexcept;
  Status save(std::chrono::nanoseconds timeout) noexcept;
  Status wait(Hold& hold, std::chrono::nanoseconds timeout) noexcept;
  Stats stats() const;
  Status save_learned(const std::string& path, std::string* why);
  Status load_learned(const std::string& path, std::string* why);

  Layout layout() const noexcept { return layout_; }
  const Topology& topology() const noexcept { return *topology_; }
  bool has_tier(TierIndex tier) const noexcept { return tier.value < topology_->tiers(); }
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

 private:
  friend class SpaceOpener;
  Core() = default;
  ~Core();

  Hold* take_hold() noexcept;
  Status save_block(PlannedMove planned, std::uint64_t deadline) noexcept;
  void drive() noexcept;
  void begin_learned(const std::string& path);
  void end_learned() noexcept;
  static void unref(Core* core) noexcept;
  std::uint64_t now() const noexcept { return event_clock_(); }
  void kick(TierIndex tier) noexcept;  // wakes the mover's thread if `tier` is short of free slots

  bool add_known(Hold& hold, const BlockKey& key, BlockId block, const AcquireOptions& options,
                 std::size_t i) noexcept;
  Status fill_hold(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept;
  Status take_named(Hold& hold, const AllocateOptions& options) noexcept;
  Status take_free(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept;
  std::size_t admit(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept;
  Status wait_for_room(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept;
  std::size_t take_more(Hold& hold, std::uint32_t n) noexcept;
  std::size_t make_room(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept;
  Status may_publish(const Hold& hold, std::span<const BlockKey> chain, std::size_t first) const noexcept;
  Status make_blocks(Hold& hold, std::span<const BlockKey> chain, std::size_t first, const Hints& hints,
                     std::span<const RetainRange> ranges) noexcept;
  void meet_known(Hold& hold, HoldEntry& entry, const BlockKey& key) noexcept;
  Result<Hold*> pin_known(std::span<const BlockKey> chain, TierIndex tier,
                          const AcquireOptions& options) noexcept;
  Hold* load_rest(Hold* hold) noexcept;
  void reserve_entries(Hold& hold, std::size_t blocks) const;
  static std::span<const Slot> list_slots(Hold& hold) noexcept;
  void begin_early(Hold& hold, Stream stream, Streams& streams) const noexcept;
  void part(Hold* hold) noexcept;
  void report_lost(TierIndex tier) noexcept;
  void record_holds(const Hold& hold, EventKind kind, const Hints& hints) noexcept;
  TenantIndex tenant_index(std::uint64_t tenant) const noexcept;
  Status keep_ranges(Hold& hold, std::span<const RetainRange> ranges) noexcept;

  // Constant after open.
  Layout layout_;
  Config config_;
  Clock clock_;
  std::string learned_path_;            // empty: none
  std::string learned_;                 // Stats::learned
  std::vector<std::string> remarks_;    // Stats::remarks
  Clock event_clock_;                   // the time that the policy knows
  std::vector<std::uint64_t> tenants_;  // ids, in the order of the config
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<HoldPool> holds_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Planner> planner_;
  std::unique_ptr<Driver> driver_;  // null: the caller polls

  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> refs_{1};

  std::array<std::atomic<std::uint64_t>, kMaxTiers> hits_{};
  std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> duplicates_{0};
};

}  // namespace kelvin
