// Writing what only volatile tiers hold to a persistent one, before an orderly end: see core.h.
#include <algorithm>
#include <bit>
#include <new>
#include <vector>

#include "base/clock.h"
#include "base/futex.h"
#include "space/core.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kPauseNs = 1'000'000;

struct Unsaved {
  std::uint32_t depth = 0;
  PlannedMove planned;
};

// Bit t: tier t has a ledger.
std::uint32_t persistent_tiers(const Topology& topology) noexcept {
  std::uint32_t tiers = 0;
  for (std::uint8_t t = 0; t < topology.tiers(); ++t) {
    if (topology.tier(TierIndex(t)).info().ledger != nullptr) tiers |= 1u << t;
  }
  return tiers;
}

// Parents before children: what the time is too short for leaves no orphans.
std::vector<Unsaved> unsaved_blocks(Residency& residency, std::uint32_t persistent, TierIndex to) {
  std::vector<Unsaved> all;
  for (std::uint8_t t = 0; t < residency.tiers(); ++t) {
    if ((persistent >> t & 1) != 0) continue;
    const SlotMap& slots = residency.slots(TierIndex(t));
    for (std::uint32_t s = 0; s < slots.size(); ++s) {
      const SlotWord word = slots.word(Slot(s));
      if (word.state() != SlotState::kResident) continue;
      const BlockState state = residency.state(word.block());
      const bool nearest = (state.tiers & ((1u << t) - 1)) == 0;  // else a nearer tier's copy is written
      if ((state.tiers >> t & 1) == 0 || (state.tiers & persistent) != 0 || !nearest) continue;
      const Move move{word.block(), TierIndex(t), to, true, Urgency::kWriteBehind};
      all.push_back({state.depth, {move, state.key}});
    }
  }
  std::ranges::stable_sort(all, {}, &Unsaved::depth);
  return all;
}

}  // namespace

Status Core::save(std::chrono::nanoseconds timeout) noexcept try {
  const std::uint64_t deadline = deadline_after(timeout);
  const std::uint32_t persistent = persistent_tiers(*topology_) & residency_->online_mask();
  if (persistent == 0) return Status(Code::kUnsupported, "save: no tier that is online outlives the process");
  const std::uint32_t online = residency_->online_mask();
  const TierIndex to(static_cast<std::uint8_t>(std::countr_zero(persistent)));
  for (const Unsaved& block : unsaved_blocks(*residency_, persistent, to)) {
    if (const Status status = save_block(block.planned, deadline); !status.ok()) return status;
  }
  const std::uint64_t now = monotonic_ns();
  const Status settled = settle(std::chrono::nanoseconds(now < deadline ? deadline - now : 0));
  if (!settled.ok() || (online & ~residency_->online_mask()) == 0) return settled;
  return Status(Code::kUnavailable, "save: a tier went offline, and what only it held is not written");
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "save: no memory for the list of blocks");
}

// The tier that the block is in may go offline meanwhile: then it is written from another one, if there is
// one.
Status Core::save_block(PlannedMove planned, std::uint64_t deadline) noexcept {
  Move& move = planned.move;
  while (mover_->room(move.to) == 0 || !mover_->accept(planned)) {
    if (!residency_->online(move.to))
      return Status(Code::kUnavailable, "save: the persistent tier went offline");
    if (!residency_->online(move.from)) {
      move.from = residency_->nearest(move.block);
      if (move.from == kNoTier || move.from == move.to) return Status();
    }
    if (monotonic_ns() >= deadline) return Status(Code::kTimeout, "save: blocks are left unwritten");
    drive();
  }
  return Status();
}

// One step of the mover, or a short wait for its thread.
void Core::drive() noexcept {
  if (driver_ == nullptr) {
    mover_->round();
    return;
  }
  const std::uint32_t seen = driver_->progress().load(std::memory_order_acquire);
  driver_->wake();
  futex_wait(driver_->progress(), seen, kPauseNs);
}

}  // namespace kelvin
