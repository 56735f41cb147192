// The planner: feeds the policy with events, and carries its proposals out as drops or hands them to the
// mover.
//
// Thread contract: any thread; everything behind `mu_`, which is held for one plan at a time and never while
// waiting. Lock order: Planner::mu_, then a table shard, then a free list's shard.
// Invariants:
//   1. A dropped copy was pinned by nobody, and nobody can pin it from the moment it was chosen.
//   2. The policy sees no event of a copy after its kLeave, and none of a block after its kForget: a copy is
//      made undroppable first (kDropping), then the rings are drained, then kLeave is said.
//   3. Nothing is planned towards a tier that is offline.
//   4. What a policy proposes against protection.h is refused; a drop of a pinned last copy becomes a
//   demotion.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_annotations.h"
#include "journal/journal.h"
#include "kelvin/policy.h"
#include "kelvin/space.h"
#include "planner/protection.h"
#include "planner/recall.h"
#include "planner/view.h"
#include "planner/write_budget.h"
#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin {

// A move that the planner decided on, as it travels to the mover.
struct PlannedMove {
  Move move;
  BlockKey key;  // the block's at that moment: its id may name another by the time the move starts
};

// Where planned moves go. Implemented by the mover.
class MoveSink {
 public:
  // False: no room; the plan is forgotten.
  virtual bool accept(const PlannedMove& planned) noexcept = 0;
  // How many more moves into `tier` would be accepted now; and how many under way will free a slot of it.
  virtual std::uint32_t room(TierIndex tier) const noexcept = 0;
  virtual std::uint32_t leaving(TierIndex tier) const noexcept = 0;

 protected:
  ~MoveSink() = default;
};

// kDemoted: a planned move has ended; kPromoted: an exclusive tier gave its copy up; kEngine: the engine
// takes its slots back. Only kBroken and kEngine end a pin.
enum class DropReason : std::uint8_t { kPolicy, kDemoted, kPromoted, kCaller, kEngine, kBroken };

// For whose sake slots are needed: a tenant, or that of a block.
struct Asker {
  TenantIndex tenant = kUnlisted;
  BlockId block;
};

struct DropCounters {
  std::atomic<std::uint64_t> clean{0}, last{0}, corrupt{0};
};

struct TierHealth {
  std::atomic<std::uint64_t> went_offline{0}, came_back{0};
  std::atomic<std::uint32_t> recovered{0};  // blocks that its ledger brought back
};

class Planner {
 public:
  struct Parts {
    Residency& residency;
    Journal& journal;
    MoveSink& sink;
    Clock& clock;
    Clock& event_clock;  // the time that the policy knows
    const Topology& topology;
    std::unique_ptr<Policy> policy;
    std::array<std::uint32_t, kMaxTiers> free_ahead{};  // slots to keep free, by tier
    std::array<double, kMaxTiers> write_budget{};       // blocks a second written behind to it; 0: no limit
  };
  explicit Planner(Parts parts) noexcept;

  // Once, before anything else. kFull: no memory.
  Status open(const ProtectionSetup& setup) noexcept;

  // Takes note of events; where the rings are full, brings them to the policy itself. Never fails.
  void record(std::span<const Event> events) noexcept;

  // One round of planning: each tier back to its free slots, plus `starved[t]` that moves wait for, plus what
  // callers wait for. `starved_for`: by tier, one of the blocks that wait there, if any. Returns how many
  // drops and moves came of it.
  std::size_t plan(std::span<const std::uint32_t> starved,
                   std::span<const BlockId> starved_for = {}) noexcept;

  // Frees up to `slots` slots of `tier` right now, by drops alone. Returns how many. With `newcomers`, the
  // last `slots` of which have no slot yet, the policy may refuse.
  std::size_t make_room(TierIndex tier, std::uint32_t slots, bool may_forget,
                        const Newcomers* newcomers = nullptr, Asker asker = {}) noexcept;

  // Drops the copies of `blocks` in `tier`. Returns how many could be (the others are held, pinned or gone).
  std::size_t drop(std::span<const BlockId> blocks, TierIndex tier, DropReason reason,
                   bool quarantine = false) noexcept;

  // Planned moves of these blocks out of `tier` are over; what has not left by now stays.
  void moves_ended(std::span<const BlockId> blocks, TierIndex tier) noexcept;

  // All of them, or none: kNotFound where one has no copy (in `tier`), kFull beyond the tier's share.
  // Precondition: the caller keeps their records alive.
  Status pin(std::span<const BlockId> blocks, TierIndex tier, std::uint64_t duration_s) noexcept;
  void unpin(std::span<const BlockId> blocks) noexcept;
  std::uint32_t pinned() noexcept;
  // Fills in the tenants' figures: first those that are not listed, then in the order of the config.
  void count_tenants(std::span<TenantStats> tenants) noexcept;

  // Says that a record ended without a copy being dropped (a guard of a publish was its last).
  void forgotten(BlockId block) noexcept;

  // All blocks that the tier's ledger lists, at once. Throws std::bad_alloc. Precondition: nobody uses the
  // space yet.
  void recover(TierIndex tier);

  // Takes a tier out of use; its copies are dropped by later rounds of plan(), and by sweep() at once, but
  // for those that are pinned: these when they are not any more. What a ledger lists stays in it.
  void take_offline(TierIndex tier) noexcept;
  std::size_t sweep() noexcept;
  bool sweep_due() const noexcept {
    const std::uint64_t due_ns = sweep_due_ns_.load(std::memory_order_relaxed);
    return due_ns != Policy::kNever && clock_() >= due_ns;
  }

  // Takes it into use again, on trial until `proven`; what its ledger lists is then recalled by later rounds
  // of plan(). kMisuse: it is online; kBusy: copies there are pinned still. Precondition: no I/O of that tier
  // is in flight.
  Status bring_back(TierIndex tier) noexcept;
  bool on_trial(TierIndex tier) const noexcept {
    return (on_trial_.load(std::memory_order_relaxed) >> tier.value & 1) != 0;
  }
  void proven(TierIndex tier) noexcept;
  bool recalling() const noexcept { return recalling_.load(std::memory_order_relaxed) != 0; }

  // A lower tier takes what leaves this one: without a caller in a hurry nothing is forgotten here.
  bool demotes_from(TierIndex tier) const noexcept { return static_cast<bool>(below(tier)); }

  // A caller waits for `slots` free slots of `tier`: planned for until the matching withdraw.
  void demand(TierIndex tier, std::uint32_t slots, TenantIndex tenant = kUnlisted) noexcept {
    demand_[tier.value].fetch_add(slots);
    if (tenant != kUnlisted) waiting_[tenant][tier.value].fetch_add(slots);
  }
  void withdraw(TierIndex tier, std::uint32_t slots, TenantIndex tenant = kUnlisted) noexcept {
    demand_[tier.value].fetch_sub(slots);
    if (tenant != kUnlisted) waiting_[tenant][tier.value].fetch_sub(slots);
  }

  // Fewer slots are free, or about to be, than should be: the mover's thread should plan.
  bool short_of(TierIndex tier, std::uint32_t leaving) const noexcept {
    const SlotMap& slots = residency_.slots(tier);
    return slots.free_count() + slots.coming() + leaving <
           ahead(tier) + demand_[tier.value].load(std::memory_order_relaxed);
  }
  // The policy wants to be asked, though nothing happened; when that will be (Policy::kNever: not foreseen).
  bool due() const noexcept { return due_ns() != Policy::kNever && now() >= due_ns(); }
  std::uint64_t due_ns() const noexcept { return due_ns_.load(std::memory_order_relaxed); }
  std::uint64_t now() const noexcept { return event_clock_(); }

  // What the policy has learned. May throw std::bad_alloc.
  void save_learned(std::vector<std::byte>& bytes);
  Status load_learned(std::span<const std::byte> bytes);

  // Events pile up; there are events that the policy has not seen.
  bool pressing() const noexcept { return journal_.pressing(); }
  bool has_news() const noexcept { return !journal_.empty(); }
  std::uint32_t free_ahead(TierIndex tier) const noexcept { return free_ahead_[tier.value]; }
  // The same share of a tier whose memory ended before it was whole.
  std::uint32_t ahead(TierIndex tier) const noexcept {
    const SlotMap& slots = residency_.slots(tier);
    const std::uint64_t all = std::max<std::uint64_t>(slots.size(), 1);
    return static_cast<std::uint32_t>(std::uint64_t{free_ahead_[tier.value]} * slots.usable() / all);
  }

  const TierHealth& health(TierIndex tier) const noexcept { return health_[tier.value]; }
  const DropCounters& drops(TierIndex tier) const noexcept { return drops_[tier.value]; }
  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

 private:
  struct Victim {
    BlockId block;
    TierIndex tier;
    Slot slot;
  };

  // What one question to the policy is about.
  struct Wants {
    std::array<std::uint32_t, kMaxTiers> free{};
    std::array<std::uint32_t, kMaxTiers> room{};
    std::uint32_t spent = 0;  // bit t: no budget of writes
  };

  Ledger* ledger(TierIndex tier) const noexcept { return topology_.tier(tier).info().ledger; }
  void drain() noexcept KELVIN_REQUIRES(mu_);
  void take_note(std::span<const Event> events) noexcept KELVIN_REQUIRES(mu_);
  Wants look(std::span<const std::uint32_t> starved, std::uint64_t now_ns) noexcept KELVIN_REQUIRES(mu_);
  std::uint32_t ways_down(const Wants& wants) const noexcept KELVIN_REQUIRES(mu_);
  void note_needs(std::span<const std::uint32_t> starved, std::span<const BlockId> starved_for) noexcept
      KELVIN_REQUIRES(mu_);
  std::uint32_t hopeless(std::span<const std::uint32_t> starved, std::uint64_t now_ns) noexcept
      KELVIN_REQUIRES(mu_);
  TenantIndex tenant_of(const Asker& asker) const noexcept KELVIN_REQUIRES(mu_);
  TierIndex below(TierIndex tier) const noexcept;
  void drop_or_demote(const Move& move, std::size_t* victims, std::size_t* handed) noexcept
      KELVIN_REQUIRES(mu_);
  void tell(EventKind kind, BlockId block, TierIndex tier) noexcept KELVIN_REQUIRES(mu_);
  std::size_t carry_out(std::span<const Move> moves, bool drops_only) noexcept KELVIN_REQUIRES(mu_);
  bool hand_over(const Move& move) noexcept KELVIN_REQUIRES(mu_);
  bool choose(BlockId block, TierIndex tier, Victim* victim) noexcept KELVIN_REQUIRES(mu_);
  enum class After : std::uint8_t { kFree, kBad, kKept };  // what becomes of the slot
  void finish(std::span<const Victim> victims, DropReason reason, After after) noexcept KELVIN_REQUIRES(mu_);
  void count_drop(const Victim& victim, DropReason reason) noexcept;
  std::size_t sweep_offline(std::uint32_t slots) noexcept KELVIN_REQUIRES(mu_);
  std::size_t sweep_on(TierIndex tier, std::uint32_t last) noexcept KELVIN_REQUIRES(mu_);
  void schedule_sweeps(std::size_t dropped) noexcept KELVIN_REQUIRES(mu_);
  std::size_t recall_some() noexcept KELVIN_REQUIRES(mu_);
  void go_on(Recall& recall, TierIndex tier) noexcept KELVIN_REQUIRES(mu_);
  Recall::Forgotten tell_forgotten() noexcept;

  static constexpr std::size_t kBatch = 128;
  static constexpr std::uint32_t kSweepSlots = 8192;          // looked at in one plan
  static constexpr std::uint64_t kSweepPauseNs = 10'000'000;  // where all that is left is pinned

  // Constant after construction.
  Residency& residency_;
  Journal& journal_;
  MoveSink& sink_;
  Clock& clock_;
  Clock& event_clock_;
  const Topology& topology_;
  std::array<std::uint32_t, kMaxTiers> free_ahead_{};

  std::array<WriteBudget, kMaxTiers> budgets_ KELVIN_GUARDED_BY(mu_);
  std::array<std::atomic<std::uint32_t>, kMaxTiers> demand_{};
  // The part of demand_ that is a listed tenant's; none without tenants. Constant after open but for the
  // figures.
  std::vector<std::array<std::atomic<std::uint32_t>, kMaxTiers>> waiting_;
  std::array<DropCounters, kMaxTiers> drops_{};
  std::array<TierHealth, kMaxTiers> health_{};
  std::atomic<std::uint32_t> on_trial_{0};   // bit t: tier t has come back, and no copy has succeeded since
  std::atomic<std::uint32_t> recalling_{0};  // bit t: what the ledger of tier t lists is being brought back
  std::atomic<std::uint64_t> sweep_due_ns_{Policy::kNever};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> due_ns_{Policy::kNever};

  Mutex mu_;
  std::unique_ptr<Policy> policy_ KELVIN_GUARDED_BY(mu_);
  Protection protection_ KELVIN_GUARDED_BY(mu_);
  SpaceView view_ KELVIN_GUARDED_BY(mu_);
  std::array<Move, kBatch> moves_ KELVIN_GUARDED_BY(mu_){};
  std::array<Victim, kBatch> victims_ KELVIN_GUARDED_BY(mu_){};
  struct Sweep {
    std::uint32_t next = 0;  // slot to look at
    bool found = false;      // a copy, in this pass
    bool dropped = false;    // one, in this pass
    bool finished = true;    // the last pass found none
    bool pinned = false;     // the last pass found some and dropped none
  };
  std::array<Sweep, kMaxTiers> sweeps_ KELVIN_GUARDED_BY(mu_){};  // of tiers that went offline
  std::array<std::unique_ptr<Recall>, kMaxTiers> recalls_ KELVIN_GUARDED_BY(mu_);
};

}  // namespace kelvin
