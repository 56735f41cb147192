// allocate, and waiting for room: see core.h.
#include <algorithm>
#include <new>
#include <utility>

#include "base/clock.h"
#include "base/futex.h"
#include "space/core.h"

namespace kelvin {
namespace {

constexpr std::size_t kBatch = 64;
constexpr const char* kNothingCanGo =
    "allocate: every slot of the tier is leased, pinned or another tenant's";
constexpr std::uint64_t kLookAgainNs = 20'000'000;  // in case a wake-up was meant for somebody else

}  // namespace

Result<Hold*> Core::allocate(std::uint32_t n, TierIndex tier, const AllocateOptions& options) noexcept {
  if (closed()) return Status(Code::kUnavailable, "allocate: the space is closed");
  if (!has_tier(tier)) return Status(Code::kInvalid, "allocate: no such tier");
  const bool adopted = topology_->tier(tier).info().adopted;
  if (adopted ? options.slots.size() != n : !options.slots.empty()) {
    return Status(Code::kInvalid, "allocate: `slots` names as many slots as asked for, of an adopted tier");
  }
  if (!options.chain.empty() && options.chain.size() < n) {
    return Status(Code::kInvalid, "allocate: `chain` names at least as many blocks as slots are asked for");
  }
  if (!residency_->online(tier)) return Status(Code::kUnavailable, "allocate: the tier is offline");
  const SlotMap& slots = residency_->slots(tier);
  if (options.chain.empty() && n > slots.size() - slots.quarantined())
    return Status(Code::kFull, "allocate: more slots than the tier has");
  Hold* hold = take_hold();
  if (hold == nullptr) return Status(Code::kBusy, "allocate: space.max_leases leases and tickets are alive");
  hold->tier = tier;
  const Status status = fill_hold(*hold, n, options);
  if (!status.ok()) {
    let_go(*hold, residency_->slots(tier));
    holds_->give(hold);
    return status;
  }
  hold->state.store(Hold::kDone, std::memory_order_relaxed);
  kick(tier);
  return hold;
}

Status Core::fill_hold(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept {
  try {
    reserve_entries(hold, n);
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "allocate: no memory for the lease");
  }
  return options.slots.empty() ? take_free(hold, n, options) : take_named(hold, options);
}

Status Core::take_named(Hold& hold, const AllocateOptions& options) noexcept {
  for (const Slot slot : options.slots) {
    if (!residency_->slots(hold.tier).claim_held(slot))
      return Status(Code::kMisuse, "allocate: a named slot is not free");
    hold.entries.emplace_back().slot = slot;
  }
  return Status();
}

// Slots from the free list until the hold has n; returns how many are still missing.
std::size_t Core::take_more(Hold& hold, std::uint32_t n) noexcept {
  std::array<Slot, kBatch> slots;
  while (hold.entries.size() < n) {
    const std::size_t want = std::min(slots.size(), n - hold.entries.size());
    const std::size_t got = residency_->slots(hold.tier).take_held({slots.data(), want});
    for (std::size_t i = 0; i < got; ++i) hold.entries.emplace_back().slot = slots[i];
    if (got < want) break;
  }
  return n - hold.entries.size();
}

Status Core::take_free(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept {
  std::size_t missing = take_more(hold, n);
  if (missing == 0) return Status();
  const bool forget = options.when_full == WhenFull::kForget;
  const bool asks = !options.chain.empty() && (forget || !planner_->demotes_from(hold.tier));
  if (asks) {
    if (admit(hold, n, options) != 0) return Status();
  } else {
    missing = make_room(hold, n, options);
    if (missing == 0) return Status();
    if (!forget) {
      const Status status = wait_for_room(hold, n, options);
      const bool fewer = status.code() == Code::kFull && !options.chain.empty() && !hold.entries.empty();
      return fewer ? Status() : status;
    }
  }
  if (mover_->leaving(hold.tier) != 0)
    return Status(Code::kBusy, "allocate: no room yet; moves that make room are under way");
  if (mover_->parting(hold.tier) != 0)
    return Status(Code::kBusy, "allocate: no room yet; kernels still use slots that were released");
  if (residency_->slots(hold.tier).coming() != 0)
    return Status(Code::kBusy, "allocate: no room yet; the tier's memory is still being made ready");
  if (asks)
    return Status(Code::kFull, "allocate: what is there is worth more, leased, pinned or another tenant's");
  return Status(Code::kFull, kNothingCanGo);
}

// Frees slots at once and takes them; returns how many are still missing. Others free some too, a mover's
// thread that keeps slots free for one: then nothing may be left to ask for, and enough to take.
std::size_t Core::make_room(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept {
  const bool forget = options.when_full == WhenFull::kForget;
  const Asker asker{tenant_index(options.hints.tenant), {}};
  for (std::size_t missing = n - hold.entries.size();;) {
    const std::size_t freed =
        planner_->make_room(hold.tier, static_cast<std::uint32_t>(missing), forget, nullptr, asker);
    const std::size_t before = std::exchange(missing, take_more(hold, n));
    if (missing == 0 || (freed == 0 && missing == before)) return missing;
  }
}

// As many slots as the policy grants, by forgetting; returns how many the hold has. Where others are quicker
// to take what was freed, the policy is asked again.
std::size_t Core::admit(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept {
  Newcomers newcomers;
  newcomers.keys = options.chain.last(n);
  newcomers.hints = options.hints;
  newcomers.depth = static_cast<std::uint32_t>(options.chain.size() - n);
  std::array<BlockId, 1> parent;
  if (newcomers.depth != 0 &&
      residency_->find_prefix(options.chain.subspan(newcomers.depth - 1, 1), parent) != 0)
    newcomers.parent = parent[0];
  const Asker asker{tenant_index(options.hints.tenant), {}};
  for (;;) {
    const auto missing = static_cast<std::uint32_t>(n - hold.entries.size());
    newcomers.granted = hold.entries.size();
    const std::size_t freed = planner_->make_room(hold.tier, missing, true, &newcomers, asker);
    if (take_more(hold, n) == 0 || freed < missing) return hold.entries.size();
  }
}

Status Core::wait_for_room(Hold& hold, std::uint32_t n, const AllocateOptions& options) noexcept {
  const auto missing_at_first = static_cast<std::uint32_t>(n - hold.entries.size());
  const std::uint64_t deadline = deadline_after(options.timeout);
  const TenantIndex tenant = tenant_index(options.hints.tenant);
  planner_->demand(hold.tier, missing_at_first, tenant);
  Status status;
  for (;;) {
    const std::uint32_t seen = driver_ != nullptr ? driver_->progress().load(std::memory_order_acquire) : 0;
    std::size_t done = planner_->plan({});
    if (driver_ == nullptr) done += mover_->round();
    const bool growing = residency_->slots(hold.tier).coming() != 0;
    const bool nothing_comes =
        done == 0 && !growing && mover_->leaving(hold.tier) == 0 && mover_->parting(hold.tier) == 0;
    if (take_more(hold, n) == 0) break;
    if (nothing_comes) {
      status = Status(Code::kFull, kNothingCanGo);
      break;
    }
    const std::uint64_t now_ns = monotonic_ns();
    if (now_ns >= deadline || closed()) {
      status = Status(Code::kBusy, "allocate: no room yet; what makes room is under way");
      break;
    }
    if (driver_ == nullptr) continue;
    driver_->wake();
    futex_wait(driver_->progress(), seen, std::min(deadline - now_ns, kLookAgainNs));
  }
  planner_->withdraw(hold.tier, missing_at_first, tenant);
  return status;
}

}  // namespace kelvin
