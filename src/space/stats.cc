// stats, and the two ways to drive or await the mover: see core.h.
#include <algorithm>

#include "base/clock.h"
#include "base/futex.h"
#include "space/core.h"

namespace kelvin {

// Looks at every slot word: exact while nothing moves, a snapshot of many moments otherwise.
static void count_slots(const SlotMap& slots, TierStats* stats) noexcept {
  for (std::uint32_t s = 0; s < slots.size(); ++s) {
    const SlotWord word = slots.word(Slot(s));
    if (word.state() == SlotState::kKept) ++stats->kept;
    if (word.state() != SlotState::kResident) continue;
    ++stats->resident;
    if (word.pins() != 0) ++stats->leased;
  }
}

Stats Core::stats() const {
  Stats stats;
  for (std::uint8_t t = 0; t < topology_->tiers(); ++t) {
    const TierIndex tier(t);
    const TierInfo& info = topology_->tier(tier).info();
    const SlotMap& slots = residency_->slots(tier);
    TierStats& s = stats.tiers.emplace_back();
    s.name = info.name;
    s.slots = s.ready = info.slots;
    if (info.growth != nullptr) {
      s.ready = info.growth->ready.load(std::memory_order_acquire);
      const char* stopped = info.growth->stopped.load(std::memory_order_acquire);
      if (stopped != nullptr) s.stopped = stopped;
    }
    s.slot_bytes = info.slot_bytes;
    s.free = slots.free_count();
    s.quarantined = slots.quarantined();
    count_slots(slots, &s);
    s.hits = hits_[t].load(std::memory_order_relaxed);
    const DropCounters& drops = planner_->drops(tier);
    s.dropped_clean = drops.clean.load(std::memory_order_relaxed);
    s.dropped_last = drops.last.load(std::memory_order_relaxed);
    s.dropped_corrupt = drops.corrupt.load(std::memory_order_relaxed);
    s.recovered = planner_->health(tier).recovered.load(std::memory_order_relaxed);
    s.discarded = mover_->discarded(tier);
    s.scrubbed = mover_->scrubbed(tier);
    s.scrubbed_bad = mover_->scrubbed_bad(tier);
    s.online = residency_->online(tier);
    s.went_offline = planner_->health(tier).went_offline.load(std::memory_order_relaxed);
    s.came_back = planner_->health(tier).came_back.load(std::memory_order_relaxed);
  }
  for (const auto& edge : topology_->edges()) {
    const LinkInfo& info = edge->link->info();
    LinkStats& link = stats.links.emplace_back(edge->meter.stats(info.name));
    const char* const slowed =
        info.slowed != nullptr ? info.slowed->load(std::memory_order_acquire) : nullptr;
    if (slowed != nullptr) link.slowed = slowed;
  }
  stats.blocks = residency_->table().size();
  stats.block_capacity = residency_->table().capacity();
  stats.table_bytes = residency_->table().bytes();
  for (std::uint8_t t = 0; t < topology_->tiers(); ++t)
    stats.table_bytes += residency_->slots(TierIndex(t)).bytes();
  stats.published = published_.load(std::memory_order_relaxed);
  stats.duplicates = duplicates_.load(std::memory_order_relaxed);
  stats.load_failures = mover_->load_failures();
  stats.moves_refused = planner_->refused();
  stats.pinned = planner_->pinned();
  if (!tenants_.empty()) {
    stats.tenants.resize(tenants_.size() + 1);
    for (std::size_t n = 0; n < tenants_.size(); ++n) stats.tenants[n + 1].name = config_.tenants[n].name;
    planner_->count_tenants(stats.tenants);
  }
  stats.leases = holds_->in_use();
  stats.oldest_lease_ns = holds_->oldest_ns(clock_());
  stats.learned = learned_;
  stats.remarks = remarks_;
  return stats;
}

Result<std::size_t> Core::poll() noexcept {
  if (driver_ != nullptr)
    return Status(Code::kMisuse, "poll: mover.threads is not 0, the mover's thread polls");
  if (closed()) return Status(Code::kUnavailable, "poll: the space is closed");
  return mover_->round();
}

std::uint64_t Core::due_ns() const noexcept {
  const std::uint64_t plan_ns = planner_->due_ns();
  return driver_ != nullptr ? plan_ns : std::min(plan_ns, mover_->due_ns());
}

Status Core::settle(std::chrono::nanoseconds timeout) noexcept {
  const std::uint64_t deadline = deadline_after(timeout);
  for (;;) {
    const std::uint32_t seen = driver_ != nullptr ? driver_->progress().load(std::memory_order_acquire) : 0;
    std::size_t done = planner_->sweep() + planner_->plan({});
    if (driver_ == nullptr) done += mover_->round();
    if (done == 0 && mover_->was_idle()) return Status();
    if (monotonic_ns() >= deadline) return Status(Code::kTimeout, "settle: moves are still under way");
    if (driver_ == nullptr) continue;
    driver_->wake();
    futex_wait(driver_->progress(), seen, 1'000'000);
  }
}

Status Core::wait(Hold& hold, std::chrono::nanoseconds timeout) noexcept {
  const std::uint64_t deadline = deadline_after(timeout);
  while (hold.state.load(std::memory_order_acquire) == Hold::kLoading) {
    const bool drives = driver_ == nullptr && !closed();
    if (drives && mover_->round() != 0 && hold.state.load(std::memory_order_acquire) != Hold::kLoading) break;
    const std::uint64_t now_ns = monotonic_ns();
    if (now_ns >= deadline) return Status(Code::kTimeout, "waiting for blocks: they are still being loaded");
    if (driver_ != nullptr) futex_wait(hold.state, Hold::kLoading, deadline - now_ns);
  }
  return hold.status;
}

}  // namespace kelvin
