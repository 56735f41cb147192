// The mover: the hands. It alone executes moves: routes them over links, reserves slots, submits in batches,
// polls, verifies, retries, publishes new copies, and completes tickets.
//
//   mover_intake.cc    holds and planned moves become moves
//   mover_launch.cc    a hop: reserve, stage, submit
//   mover_complete.cc  a hop is over: verify, publish, go on, retry or end
//   mover_finish.cc    entries and holds are answered
//   mover_streams.cc   kernels of the engine that write or use slots; devices that are lost
//   mover_hang.cc      a device does not answer: strays; tiers that go offline and come back
//   mover_scrub.cc     copies are read only to verify them
//
// Thread contract: `load`, `accept`, `room`, `leaving`, `bring_back`, `in_hand`, `part`, `parting`, `in_use`,
// `end_late_parted` and `report_lost` from any thread; everything else by the one thread that drives it (the
// driver's, or the caller of Space::poll). Invariants:
//   1. A move pins the copy it reads from, and owns (kFilling) the slot it writes to, from before submit to
//      after the completion.
//   2. Demand before prefetch before write-behind, on every link.
//   3. Queues are fixed arrays; what does not fit is refused (planned) or waits in its hold (demand).
//   4. Every entry of a loading hold is answered exactly once: leased or failed.
//   5. Nothing sets out over a link that has strays, nor to or from a tier that is offline. No tier comes
//      back while a copy is in flight on one of its links.
//   6. Nothing is copied out of a slot that kernels still write, and no slot goes free that they still use.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/spin_lock.h"
#include "leases/hold.h"
#include "mover/discards.h"
#include "mover/move.h"
#include "planner/planner.h"
#include "table/residency.h"
#include "topology/topology.h"

namespace kelvin {

class Mover final : public MoveSink {
 public:
  Mover(Residency& residency, Topology& topology, HoldPool& holds, Clock& clock, const MoverConfig& config);

  // Before anything else; the planner hands moves to this mover.
  void begin(Planner& planner) noexcept { planner_ = &planner; }

  // Before the first round: copies in `tier` are read, one after the other and no more bytes a second than
  // this, whenever nothing else is read from it. Those that are not what they should be are dropped.
  void scrub(TierIndex tier, std::uint64_t bytes_per_second) noexcept {
    scrubs_[tier.value].bytes_per_second = bytes_per_second;
  }
  // Copies that were read so, and of these, how many were dropped or could not be. Any thread.
  std::uint64_t scrubbed(TierIndex tier) const noexcept {
    return scrubs_[tier.value].read.load(std::memory_order_relaxed);
  }
  std::uint64_t scrubbed_bad(TierIndex tier) const noexcept {
    return scrubs_[tier.value].bad.load(std::memory_order_relaxed);
  }

  // A hold in state kLoading becomes the mover's.
  void load(Hold* hold) noexcept;

  // Kernels of the engine still use the hold's slots. By its owner.
  bool in_use(Hold& hold) noexcept;
  // A hold that is released becomes the mover's, until they do not. After the last round nobody looks: who
  // sees that, calls end_late_parted, which ends all that were handed in since.
  void part(Hold* hold) noexcept;
  void end_late_parted() noexcept;
  // So many holds of the tier are waited for.
  std::uint32_t parting(TierIndex tier) const noexcept {
    return parting_[tier.value].load(std::memory_order_relaxed);
  }
  // The tier's device is lost: the next round takes it offline.
  void report_lost(TierIndex tier) noexcept { lost_.fetch_or(1u << tier.value, std::memory_order_seq_cst); }

  bool accept(const PlannedMove& planned) noexcept override;
  std::uint32_t room(TierIndex tier) const noexcept override;
  std::uint32_t leaving(TierIndex tier) const noexcept override {
    return leaving_[tier.value].load(std::memory_order_relaxed);
  }

  // One round: complete, take in, launch, plan. Returns how many things happened.
  std::size_t round() noexcept;

  // Something has been handed in that no round has seen.
  bool has_mail() const noexcept {
    // Sequentially consistent with Driver::wake, as are the stores.
    return inbox_.load(std::memory_order_seq_cst) != nullptr ||
           parting_inbox_.load(std::memory_order_seq_cst) != nullptr ||
           planned_count_.load(std::memory_order_seq_cst) != 0 || lost_.load(std::memory_order_seq_cst) != 0;
  }
  // Nothing is queued or under way (the driving thread's view), and what the last round left (any thread's).
  // Strays and scrubs do not count: nobody waits for them.
  bool idle() const noexcept;
  bool was_idle() const noexcept { return !has_mail() && was_idle_.load(std::memory_order_acquire); }
  // Copies that somebody waits for are in flight on a link that has no wake_fd, or kernels are waited for:
  // somebody has to poll.
  bool must_poll() const noexcept;
  // Copies are in flight on this link (its place among the topology's edges). The driving thread's.
  bool in_flight(std::size_t edge) const noexcept { return links_[edge].in_flight != 0; }

  // Ends everything with kCanceled as soon as links allow, and at the deadline though they do not: what they
  // have not given back by then is left to their destructors. Precondition: nothing is handed in any more.
  void cancel() noexcept;

  // Takes a tier that is offline into use again, on trial: its next failure takes it offline at once, unless
  // a copy has succeeded by then. kMisuse: it is online; kBusy: copies of it are in flight, leased or moving;
  // kUnavailable: its device is lost.
  Status bring_back(TierIndex tier) noexcept;
  // Copies in flight on the tier's links. Any thread; a snapshot.
  std::uint64_t in_hand(TierIndex tier) const noexcept;
  // When a round will have something to do though nothing happens until then, by the space's clock: a
  // deadline passes, a tier is tried again, a copy is to be verified. Policy::kNever: not foreseen.
  std::uint64_t due_ns() const noexcept;

  // Slots whose bytes the tier's devices were told that they are not needed. Any thread.
  std::uint64_t discarded(TierIndex tier) const noexcept { return discards_.slots(tier); }

  std::uint64_t load_failures() const noexcept { return load_failures_.load(std::memory_order_relaxed); }

  // Gives back what a finished hold holds, and the hold: for abandoned tickets.
  void release(Hold& hold) noexcept;

 private:
  struct LinkState {
    Topology::Edge* edge = nullptr;
    std::array<MoveList, 3> queues;  // by Urgency
    FlightList flights;
    std::uint32_t in_flight = 0;     // those, and the strays
    std::uint32_t strays = 0;        // of these
    std::uint32_t write_behind = 0;  // of these
    std::uint32_t depth = 1;
    std::uint64_t bit = 0;  // in shut_
  };
  struct Scrub {
    std::uint64_t bytes_per_second = 0;  // 0: none
    std::uint64_t due_ns = 0;            // when the next copy may be read
    std::uint32_t next = 0;              // slot to look at
    bool under_way = false;
    std::atomic<std::uint64_t> read{0}, bad{0};
  };
  enum class Reserve : std::uint8_t { kDone, kAlreadyThere, kBlocked, kNoRoom, kRefused, kOverdue };

  std::uint32_t planned_limit(TierIndex tier) const noexcept;
  bool way_is_open(TierIndex from, TierIndex to) const noexcept;
  bool usable(const Topology::Edge& edge, std::uint64_t bit) const noexcept {
    return residency_.online(edge.from) && residency_.online(edge.to) &&
           (shut_.load(std::memory_order_relaxed) & bit) == 0;
  }
  bool on_trial(const LinkState& link) const noexcept {
    return planner_->on_trial(link.edge->from) || planner_->on_trial(link.edge->to);
  }

  // mover_intake.cc
  std::size_t take_planned() noexcept;
  bool start_planned(const PlannedMove& planned) noexcept;
  void refuse(const PlannedMove& planned) noexcept;
  std::size_t take_holds() noexcept;
  std::size_t expand(Hold& hold) noexcept;
  bool resolve(Hold& hold, std::uint32_t i) noexcept;
  bool join(Hold& hold, std::uint32_t i, Slot there) noexcept;
  bool may_load() const noexcept;
  std::uint32_t new_move() noexcept;
  void wait_for(std::uint32_t n, Hold& hold, std::uint32_t i) noexcept;

  // mover_launch.cc
  void enqueue(std::uint32_t n) noexcept;
  std::size_t launch() noexcept;
  std::size_t launch_link(LinkState& link) noexcept;
  MoveList* next_queue(LinkState& link, std::uint32_t staged_writes) noexcept;
  Reserve look_ahead(const ActiveMove& move) const noexcept;
  Reserve reserve(std::uint32_t n) noexcept;
  void stage(LinkState& link, std::uint32_t n, std::size_t at) noexcept;
  std::size_t submit_staged(LinkState& link, std::size_t count) noexcept;
  std::size_t unblock() noexcept;
  std::size_t relieve_starved(bool moved) noexcept;
  std::uint32_t queued_loads(TierIndex tier) const noexcept;
  std::size_t give_up_on(TierIndex tier) noexcept;

  // mover_complete.cc
  std::size_t poll_links() noexcept;
  void complete(LinkState& link, const Completion& completion) noexcept;
  Status verify(const ActiveMove& move, const Completion& completion) noexcept;
  void arrive(std::uint32_t n) noexcept;
  void advance(std::uint32_t n) noexcept;
  void fail(std::uint32_t n, Status status, const Completion& completion) noexcept;
  bool retry(std::uint32_t n, const Status& status) noexcept;
  bool try_other_source(std::uint32_t n) noexcept;
  bool change_source(std::uint32_t n, TierIndex other) noexcept;
  void drop_bad(ActiveMove& move, TierIndex tier) noexcept;
  void give_up_target(ActiveMove& move, bool quarantine) noexcept;
  TierIndex blamed(const ActiveMove& move, Side failed = Side::kUnknown) const noexcept;
  void note_health(TierIndex tier, const Status& status, bool again = false) noexcept;
  void end(std::uint32_t n, const Status& status) noexcept;
  std::size_t drop_sources() noexcept;

  // mover_streams.cc
  bool overdue(std::uint64_t since_ns) const noexcept;
  std::span<const Slot> unordered_slots(Hold& hold) const noexcept;
  bool wait_for_marks(Hold& hold) noexcept;
  std::size_t check_marks() noexcept;
  bool still_waits(Hold& hold) noexcept;
  void fail_unwritten(Hold& hold, const Status& status) noexcept;
  void fail_lost(Hold& hold) noexcept;
  void fail_entry(Hold& hold, HoldEntry& entry, const Status& status) noexcept;
  Reserve look_at_source(ActiveMove& move) noexcept;
  std::size_t end_parted() noexcept;
  void end_parted(Hold& hold) noexcept;
  void place(Hold& hold, HoldEntry& entry, Slot slot) noexcept;
  void place_waiters(const ActiveMove& move) noexcept;
  void spoil_waiters(const ActiveMove& move) noexcept;
  void fail_spoiled(Hold& hold) noexcept;
  void note_arrivals() noexcept;
  void tell_ready(Hold& hold, std::uint32_t segments) noexcept;
  void answer_streams(Hold& hold) noexcept;
  void set_word(const Hold& hold, std::uint32_t value) noexcept;
  std::size_t take_lost() noexcept;

  // Who waits for the move: act(hold, entry).
  template <class Act>
  void each_waiter(const ActiveMove& move, Act&& act) noexcept {
    std::uint32_t h = move.waiting_hold;
    for (std::uint32_t e = move.waiting_entry; h != IndexStack::kNone;) {
      Hold& hold = holds_.at(h);
      HoldEntry& entry = hold.entries[e];
      h = entry.next_hold;
      e = entry.next_entry;
      act(hold, entry);
    }
  }
  // Who waits for a last copy that is under way into segments, and is told of them: act(hold, move's number).
  template <class Act>
  void each_early_waiter(Act&& act) noexcept {
    for (const LinkState& link : links_) {
      if (link.edge->link->info().to->info().segments == 1) continue;
      for (std::uint32_t n = link.flights.oldest(); n != IndexStack::kNone; n = moves_[n].following) {
        if (moves_[n].next != moves_[n].to) continue;
        each_waiter(moves_[n], [&](Hold& hold, HoldEntry&) {
          if (hold.streams.early && hold.tier == moves_[n].to) act(hold, n);
        });
      }
    }
  }

  // mover_hang.cc
  bool may_go_offline(TierIndex tier) const noexcept;
  std::size_t check_deadlines() noexcept;
  void take_offline(TierIndex tier, const Status& status) noexcept;
  std::size_t leave_offline_tiers() noexcept;
  std::size_t abandon(LinkState& link, const Status& status) noexcept;
  void make_stray(LinkState& link, std::uint32_t n, const Status& status) noexcept;
  std::uint32_t make_heir(std::uint32_t n) noexcept;
  void give_back(LinkState& link, std::uint32_t n) noexcept;
  std::size_t turn_away(LinkState& link) noexcept;
  void go_another_way(std::uint32_t n, const Status& status) noexcept;
  std::size_t retry_tiers() noexcept;

  // mover_scrub.cc
  void start_scrubs() noexcept;
  bool start_scrub(TierIndex tier, Scrub& scrub) noexcept;
  bool nobody_reads(TierIndex tier) const noexcept;
  Slot pin_next(TierIndex tier, Scrub& scrub) noexcept;
  void end_scrub(const ActiveMove& move, const Status& status) noexcept;
  std::uint64_t scrub_due_ns() const noexcept;

  // mover_finish.cc
  std::uint32_t waiters_in(const ActiveMove& move, TierIndex tier) noexcept;
  void answer_waiters(ActiveMove& move, TierIndex tier, Slot slot) noexcept;
  void rest_waiters_on(const ActiveMove& move, TierIndex from, TierIndex to, Slot slot) noexcept;
  void fail_waiters(ActiveMove& move, const Status& status) noexcept;
  void settle_entry(Hold& hold) noexcept;
  void finish_if_ready(Hold& hold) noexcept;
  void finish(Hold& hold) noexcept;
  void shorten(Hold& hold) noexcept;
  void announce(Hold& hold) noexcept;

  LinkState& link_of(const ActiveMove& move) noexcept;
  static bool makes_checksum(const LinkInfo& link, bool known) noexcept;

  static constexpr std::size_t kBatch = 64;
  static constexpr std::uint64_t kShutNs = 10'000'000;  // a full tier takes no planned moves for so long
  static constexpr std::uint64_t kLongestRetry = 32;    // times retry_offline
  static constexpr std::uint64_t kScrubPauseNs = 10'000'000;  // where no copy can be verified just now
  static constexpr std::uint64_t kScrubLagNs = 100'000'000;   // as much of its budget is in hand at most
  static constexpr std::uint32_t kScrubSlots = 4096;          // looked at for the next copy in one round

  // Constant after construction.
  Residency& residency_;
  Topology& topology_;
  HoldPool& holds_;
  Clock& clock_;
  const MoverConfig config_;
  Planner* planner_ = nullptr;

  std::array<Streams*, kMaxTiers> streams_{};  // null: the tier has none

  // Any thread.
  std::atomic<Hold*> inbox_{nullptr};
  std::atomic<Hold*> parting_inbox_{nullptr};
  std::array<std::atomic<std::uint32_t>, kMaxTiers> parting_{};
  std::atomic<std::uint32_t> lost_{0};  // bit t: the device of tier t
  SpinLock planned_lock_;
  std::vector<PlannedMove> planned_ KELVIN_GUARDED_BY(planned_lock_);  // a ring
  std::uint32_t planned_first_ KELVIN_GUARDED_BY(planned_lock_) = 0;
  std::atomic<std::uint32_t> planned_count_{0};
  std::array<std::atomic<std::uint32_t>, kMaxTiers> pending_to_{};  // planned moves not ended, by destination
  std::array<std::atomic<std::uint32_t>, kMaxTiers>
      leaving_{};  // of these, those that will free a slot, by source
  std::array<std::atomic<std::uint64_t>, kMaxTiers> shut_until_ns_{};  // see give_up_on
  std::atomic<std::uint64_t> load_failures_{0};
  std::atomic<std::uint64_t> shut_{0};  // bit e: edge e has strays
  std::atomic<bool> was_idle_{true};    // false before mail is taken in, so that work is never out of sight

  // The driving thread's.
  std::vector<ActiveMove> moves_;
  std::vector<std::uint32_t> free_moves_;
  std::uint32_t planned_moves_ = 0;  // of those in use
  std::uint32_t strays_ = 0;         // likewise; in a part of moves_ that is theirs
  std::uint32_t scrubbing_ = 0;      // likewise
  std::vector<LinkState> links_;
  std::array<std::array<std::uint8_t, kMaxTiers>, kMaxTiers> link_at_{};  // index into links_
  MoveList blocked_;
  Hold* expanding_first_ = nullptr;
  Hold* expanding_last_ = nullptr;
  Hold* marked_ = nullptr;                                // loaded, and waiting for kernels that write
  Hold* parted_ = nullptr;                                // released, and waiting for kernels that use
  std::array<std::uint32_t, kMaxTiers> parted_lately_{};  // of these, by tier, those that will go soon
  std::uint32_t early_loads_ = 0;                         // loading holds that streams may wait for
  std::uint64_t arrivals_round_ = 0;
  bool waits_for_source_ = false;                          // a move does, in blocked_
  std::unique_ptr<std::atomic<std::uint32_t>[]> arrived_;  // by move: Copy::arrived
  std::array<std::uint32_t, kMaxTiers> starved_{};         // queued moves that found no free slot, by tier
  std::array<BlockId, kMaxTiers> starved_for_{};           // the block of one of them
  std::array<std::uint32_t, kMaxTiers> failures_{};        // in a row, by tier
  std::array<Copy, kBatch> staged_;
  std::array<Completion, kBatch> completions_;
  struct Departure {
    BlockId block;
    TierIndex tier;
    bool counted;  // in leaving_
    bool arrived;  // else the source stays
  };
  std::vector<Departure> departures_;                  // sources to drop, after their moves
  std::uint32_t left_ = 0;                             // bit t: tier t went offline in this round
  std::array<Status, kMaxTiers> left_for_{};           // why
  std::array<std::uint64_t, kMaxTiers> retry_wait_{};  // how long tier t stays offline
  std::array<std::uint64_t, kMaxTiers> retry_at_{};    // and until when
  std::array<Scrub, kMaxTiers> scrubs_{};
  Discards discards_;
  bool canceling_ = false;
};

}  // namespace kelvin
