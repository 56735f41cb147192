// A device does not answer: who waits is answered, its tier goes offline, and comes back on trial. See
// mover.h.
//
// What a device has in hand cannot be taken from it: it may write into the target, and read from the source,
// until its completion comes from the link. Such a copy becomes a stray: it keeps its two slots, and an heir
// takes over all else that the move was (who waits for it, and that it was planned).
#include <algorithm>
#include <bit>

#include "mover/mover.h"

namespace kelvin {

// Tier 0 is where the engine computes. In host memory it is there as long as the engine is; a device can be
// lost without it.
bool Mover::may_go_offline(TierIndex tier) const noexcept {
  return tier.value != 0 || topology_.tier(tier).info().space == AddressSpace::kDevice;
}

// The oldest copy of each link tells: they set out in the order in which they are listed.
std::size_t Mover::check_deadlines() noexcept {
  if (config_.deadline_ns == 0) return 0;
  std::size_t done = 0;
  std::uint64_t now = 0;
  for (LinkState& link : links_) {
    if (link.flights.empty()) continue;
    if (now == 0) now = clock_();
    const ActiveMove& oldest = moves_[link.flights.oldest()];
    if (now - oldest.submitted_ns < config_.deadline_ns) continue;
    constexpr Status kHangs(Code::kUnavailable,
                            "moving a block: a device did not answer before the deadline");
    // Where it stays, what leads over this link ends until all is given back.
    const TierIndex culprit = blamed(oldest);
    if (may_go_offline(culprit)) take_offline(culprit, kHangs);
    done += abandon(link, kHangs);
  }
  return done;
}

// The rest follows in leave_offline_tiers(): completions may be at hand.
void Mover::take_offline(TierIndex tier, const Status& status) noexcept {
  if (!residency_.online(tier)) return;
  const std::uint64_t longest = kLongestRetry * config_.retry_offline_ns;
  std::uint64_t& wait = retry_wait_[tier.value];
  wait = planner_->on_trial(tier) && wait != 0 ? std::min(2 * wait, longest) : config_.retry_offline_ns;
  retry_at_[tier.value] = clock_() + wait;
  failures_[tier.value] = 0;
  left_for_[tier.value] = status;
  left_ |= 1u << tier.value;
  planner_->take_offline(tier);
}

// Whatever is in flight to or from a tier that went offline is not waited for any more.
std::size_t Mover::leave_offline_tiers() noexcept {
  std::size_t done = 0;
  for (; left_ != 0; left_ &= left_ - 1) {
    const TierIndex tier(static_cast<std::uint8_t>(std::countr_zero(left_)));
    for (LinkState& link : links_) {
      if (link.edge->from == tier || link.edge->to == tier) done += abandon(link, left_for_[tier.value]);
    }
  }
  return done;
}

std::size_t Mover::abandon(LinkState& link, const Status& status) noexcept {
  if (link.flights.empty()) return 0;
  link.edge->link->cancel_all();
  std::size_t done = 0;
  for (; !link.flights.empty(); ++done) make_stray(link, link.flights.oldest(), status);
  return done;
}

void Mover::make_stray(LinkState& link, std::uint32_t n, const Status& status) noexcept {
  ActiveMove& move = moves_[n];
  link.flights.remove(moves_, n);
  link.edge->meter.strayed();
  ++link.strays;
  ++strays_;
  shut_.fetch_or(link.bit, std::memory_order_relaxed);
  // Nobody finds the slot any more: the block may go to another one. The pinned source keeps the record.
  if (!move.scrub) residency_.table().detach(move.block, move.next, [](BlockId) { assert(false); });
  const std::uint32_t heir = make_heir(n);
  // An adopted slot that the engine named is in the device's hands: no other copy can go there.
  if (residency_.slots(move.next).adopted()) {
    end(heir, status);
  } else {
    go_another_way(heir, status);
  }
}

// There is always a free one: moves_ has room for as many strays as can be in flight.
std::uint32_t Mover::make_heir(std::uint32_t n) noexcept {
  const std::uint32_t heir = new_move();
  moves_[heir] = moves_[n];
  moves_[heir].target = Slot{};
  moves_[heir].as_write = false;
  [[maybe_unused]] const bool pinned = residency_.slots(moves_[n].at).pin(moves_[n].source, moves_[n].block);
  assert(pinned);
  moves_[n].waiting_hold = IndexStack::kNone;
  moves_[n].planned = false;
  moves_[n].stray = true;
  return heir;
}

// A stray's completion, at last. Whatever it says: its block has gone another way, and an error during an
// outage says nothing of the slot.
void Mover::give_back(LinkState& link, std::uint32_t n) noexcept {
  ActiveMove& move = moves_[n];
  residency_.slots(move.next).free({&move.target, 1});
  residency_.slots(move.at).unpin(move.source);
  move.stray = false;
  --strays_;
  if (--link.strays == 0) shut_.fetch_and(~link.bit, std::memory_order_relaxed);
  free_moves_.push_back(n);
  link.edge->meter.stray_ended();  // last: the tier may come back from now on
}

// Nothing can set out over the link: what is queued goes another way, or ends.
std::size_t Mover::turn_away(LinkState& link) noexcept {
  constexpr Status kClosed(Code::kUnavailable,
                           "moving a block: on its way a tier is offline, or a device holds copies back");
  std::size_t done = 0;
  for (MoveList& queue : link.queues) {
    while (!queue.empty()) {
      const std::uint32_t n = queue.pop(moves_);
      give_up_target(moves_[n], false);
      const bool looks = !moves_[n].scrub && residency_.online(moves_[n].next);
      const Reserve ahead = looks ? look_ahead(moves_[n]) : Reserve::kDone;
      if (ahead == Reserve::kBlocked) {
        blocked_.push(moves_, n);
        continue;
      }
      ++done;
      if (ahead == Reserve::kAlreadyThere) {
        advance(n);
      } else {
        go_another_way(n, kClosed);
      }
    }
  }
  return done;
}

void Mover::go_another_way(std::uint32_t n, const Status& status) noexcept {
  moves_[n].failed_at |= 1u << moves_[n].at.value;
  if (!try_other_source(n)) end(n, status);
}

// --- coming back ---

std::uint64_t Mover::in_hand(TierIndex tier) const noexcept {
  std::uint64_t copies = 0;
  for (const LinkState& link : links_) {
    if (link.edge->from == tier || link.edge->to == tier) copies += link.edge->meter.in_flight();
  }
  return copies;
}

// While a tier is offline nothing is submitted to its links: what is not in flight now stays so.
Status Mover::bring_back(TierIndex tier) noexcept {
  if (residency_.online(tier)) return Status(Code::kMisuse, "bringing a tier back: it is online");
  Streams* const streams = streams_[tier.value];
  if (streams != nullptr && !streams->passed(0).ok())
    return Status(Code::kUnavailable, "bringing a tier back: its device is lost");
  if (in_hand(tier) != 0)
    return Status(Code::kBusy, "bringing a tier back: its device has not given back all copies");
  return planner_->bring_back(tier);
}

std::size_t Mover::retry_tiers() noexcept {
  const std::uint32_t all = (1u << residency_.tiers()) - 1;
  std::uint32_t offline = all & ~residency_.online_mask();
  if (offline == 0 || config_.retry_offline_ns == 0) return 0;
  const std::uint64_t now = clock_();
  std::size_t done = 0;
  for (; offline != 0; offline &= offline - 1) {
    const auto t = static_cast<std::uint8_t>(std::countr_zero(offline));
    if (now >= retry_at_[t] && bring_back(TierIndex(t)).ok()) ++done;
  }
  return done;
}

std::uint64_t Mover::due_ns() const noexcept {
  std::uint64_t due = std::min(scrub_due_ns(), discards_.due_ns());
  if (config_.deadline_ns != 0) {
    for (const LinkState& link : links_) {
      if (!link.flights.empty())
        due = std::min(due, moves_[link.flights.oldest()].submitted_ns + config_.deadline_ns);
    }
  }
  if (config_.retry_offline_ns == 0) return due;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    // What waits for the device, or for a lease, is not a question of time.
    if (!residency_.online(TierIndex(t)) && in_hand(TierIndex(t)) == 0 && retry_at_[t] > clock_())
      due = std::min(due, retry_at_[t]);
  }
  return due;
}

}  // namespace kelvin
