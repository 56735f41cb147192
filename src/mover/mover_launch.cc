// One hop sets out: queue, reserve the target, submit. See mover.h.
#include <algorithm>

#include "mover/mover.h"

namespace kelvin {

Mover::LinkState& Mover::link_of(const ActiveMove& move) noexcept {
  return links_[link_at_[move.at.value][move.next.value]];
}

void Mover::enqueue(std::uint32_t n) noexcept {
  ActiveMove& move = moves_[n];
  const Topology::Edge* edge = topology_.next_hop(move.at, move.to);
  if (edge == nullptr) {
    end(n, Status(Code::kUnsupported, "moving a block: no link leads there"));
    return;
  }
  move.next = edge->to;
  link_of(move).queues[static_cast<std::size_t>(move.urgency)].push(moves_, n);
}

std::size_t Mover::launch() noexcept {
  starved_.fill(0);
  waits_for_source_ = false;
  std::size_t done = unblock();
  for (LinkState& link : links_) done += launch_link(link);
  return done;
}

// Those that wait for another move into the same place look again; most find their copy there.
std::size_t Mover::unblock() noexcept {
  for (std::uint32_t left = blocked_.size(); left > 0; --left) {
    const std::uint32_t n = blocked_.pop(moves_);
    link_of(moves_[n]).queues[static_cast<std::size_t>(moves_[n].urgency)].push_front(moves_, n);
  }
  return 0;
}

// The most urgent queue with something to launch; write-behind only within its own depth.
MoveList* Mover::next_queue(LinkState& link, std::uint32_t staged_writes) noexcept {
  for (MoveList& queue : link.queues) {
    if (queue.empty()) continue;
    const bool writes = &queue == &link.queues[static_cast<std::size_t>(Urgency::kWriteBehind)];
    if (!writes || link.write_behind + staged_writes < config_.write_depth) return &queue;
  }
  return nullptr;
}

std::size_t Mover::launch_link(LinkState& link) noexcept {
  if (!usable(*link.edge, link.bit)) return turn_away(link);
  std::size_t done = 0;
  std::size_t staged = 0;
  std::uint32_t staged_writes = 0;
  const std::uint32_t depth = on_trial(link) ? 1 : link.depth;
  while (link.in_flight + staged < depth && staged < staged_.size()) {
    MoveList* queue = next_queue(link, staged_writes);
    if (queue == nullptr) break;
    const std::uint32_t n = queue->front();
    const Reserve reserved = moves_[n].target ? Reserve::kDone : reserve(n);
    if (reserved == Reserve::kNoRoom) {
      for (const MoveList& waiting : link.queues) starved_[moves_[n].next.value] += waiting.size();
      starved_for_[moves_[n].next.value] = moves_[n].block;
      break;
    }
    queue->pop(moves_);
    switch (reserved) {
      case Reserve::kDone:
        if (moves_[n].urgency == Urgency::kWriteBehind) ++staged_writes;
        stage(link, n, staged++);
        break;
      case Reserve::kAlreadyThere:
        advance(n);
        ++done;
        break;
      case Reserve::kBlocked: blocked_.push(moves_, n); break;
      case Reserve::kOverdue:
        end(n, Status(Code::kUnavailable,
                      "moving a block: the kernels that write it were not done before the deadline"));
        ++done;
        break;
      default:
        end(n, Status(Code::kMisuse, "loading a block: the slot named for it is not free"));
        ++done;
        break;
    }
  }
  return done + submit_staged(link, staged);
}

// What the record says of the next place; kDone: there is nothing.
Mover::Reserve Mover::look_ahead(const ActiveMove& move) const noexcept {
  const Slot there = residency_.table().record(move.block).copy(move.next);
  if (!there) return Reserve::kDone;
  const SlotWord word = residency_.slots(move.next).word(there);
  const bool readable = word.state() == SlotState::kResident && word.block() == move.block;
  return readable ? Reserve::kAlreadyThere : Reserve::kBlocked;
}

Mover::Reserve Mover::reserve(std::uint32_t n) noexcept {
  ActiveMove& move = moves_[n];
  SlotMap& slots = residency_.slots(move.next);
  if (const Reserve ahead = look_ahead(move); ahead != Reserve::kDone) return ahead;
  if (const Reserve source = look_at_source(move); source != Reserve::kDone) return source;
  Slot target = move.into;
  if (slots.adopted()) {
    if (!slots.claim_filling(target, move.block, n)) return Reserve::kRefused;
  } else {
    target = slots.take_filling(move.block, n);
    if (!target) return Reserve::kNoRoom;
  }
  if (!residency_.table().attach(move.block, move.next, target)) {
    slots.free({&target, 1});  // published in this very moment
    return Reserve::kBlocked;
  }
  move.target = target;
  place_waiters(move);
  return Reserve::kDone;
}

void Mover::stage(LinkState& link, std::uint32_t n, std::size_t at) noexcept {
  const ActiveMove& move = moves_[n];
  const BlockRecord& record = residency_.table().record(move.block);
  Copy& copy = staged_[at];
  copy.tag = n;
  copy.from = move.source;
  copy.to = move.target;
  copy.key = record.key();
  const BlockId parent(record.parent.load(std::memory_order_relaxed));
  copy.has_parent = static_cast<bool>(parent);
  copy.parent = parent ? residency_.table().record(parent).key() : BlockKey{};
  copy.depth = record.depth.load(std::memory_order_relaxed);
  const bool known = (record.state.load(std::memory_order_acquire) & BlockRecord::kChecksumKnown) != 0;
  copy.known_checksum = known ? record.checksum.load(std::memory_order_relaxed) : 0;
  const TierInfo& to = link.edge->link->info().to->info();
  copy.checksum = makes_checksum(link.edge->link->info(), known);
  const bool counts = to.segments > 1 && move.next == move.to;
  copy.arrived = counts ? &arrived_[n] : nullptr;
  if (counts) arrived_[n].store(0, std::memory_order_relaxed);
}

// Made once, on the first copy; verified on all that come from a device. What is already known need not be
// computed again on the way to a device: it is checked on the way back, and, if it lies in a file or comes
// from a peer, on the way to another device as well.
bool Mover::makes_checksum(const LinkInfo& link, bool known) noexcept {
  const AddressSpace from = link.from->info().space;
  const bool stored = from == AddressSpace::kFile || from == AddressSpace::kRemote;
  return !known || stored || link.to->info().space == AddressSpace::kHost;
}

std::size_t Mover::submit_staged(LinkState& link, std::size_t count) noexcept {
  if (count == 0) return 0;
  const std::size_t taken = link.edge->link->submit({staged_.data(), count});
  const std::uint64_t now = clock_();
  link.edge->meter.submitted(taken, now);
  for (std::size_t i = 0; i < taken; ++i) {
    ActiveMove& move = moves_[staged_[i].tag];
    move.submitted_ns = now;
    link.flights.push(moves_, static_cast<std::uint32_t>(staged_[i].tag));
    ++link.in_flight;
    move.as_write = move.urgency == Urgency::kWriteBehind;
    if (move.as_write) ++link.write_behind;
  }
  // Not taken: they keep their target and go first next time.
  for (std::size_t i = count; i-- > taken;) {
    const auto n = static_cast<std::uint32_t>(staged_[i].tag);
    link.queues[static_cast<std::size_t>(moves_[n].urgency)].push_front(moves_, n);
  }
  return taken;
}

// Tiers in which moves found no slot: plan for them. Where nothing will come of that, a load may cost the
// coldest blocks, and what nothing can be done about is ended, so that nobody waits for ever.
std::size_t Mover::relieve_starved(bool moved) noexcept {
  std::size_t done = planner_->plan(starved_, starved_for_);
  // Nothing moves and nothing will: what should leave waits for room itself, each for the other.
  const bool stuck = !moved && done == 0 && planned_count_.load(std::memory_order_acquire) == 0 &&
                     std::ranges::all_of(links_, [](const LinkState& link) { return link.flights.empty(); });
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const TierIndex tier(t);
    if (starved_[t] == 0 || residency_.slots(tier).free_count() != 0) continue;
    if (residency_.slots(tier).coming() != 0 || (leaving(tier) != 0 && !stuck)) continue;
    const std::uint32_t loads = queued_loads(tier);
    if (loads != 0 && planner_->make_room(tier, loads, true, {}, {kUnlisted, starved_for_[t]}) != 0) {
      ++done;
    } else if (parted_lately_[t] == 0 || early_loads_ != 0) {
      // Else kernels will soon be done with slots. Where a stream waits for a ticket it might be theirs.
      done += give_up_on(tier);
    }
  }
  return done;
}

std::uint32_t Mover::queued_loads(TierIndex tier) const noexcept {
  std::uint32_t loads = 0;
  for (const LinkState& link : links_) {
    if (link.edge->to == tier) loads += link.queues[static_cast<std::size_t>(Urgency::kDemand)].size();
  }
  return loads;
}

// Every slot of the tier is leased: ends the moves that wait for one, and takes no planned ones for a while,
// for they would end the same way again and again.
std::size_t Mover::give_up_on(TierIndex tier) noexcept {
  shut_until_ns_[tier.value].store(clock_() + kShutNs, std::memory_order_relaxed);
  std::size_t ended = 0;
  for (LinkState& link : links_) {
    if (link.edge->to != tier) continue;
    for (MoveList& queue : link.queues) {
      for (std::uint32_t left = queue.size(); left > 0; --left) {
        const std::uint32_t n = queue.pop(moves_);
        if (moves_[n].target) {
          queue.push(moves_, n);
          continue;
        }
        end(n, Status(Code::kFull,
                      "loading a block: every slot of the tier is leased, pinned or another tenant's"));
        ++ended;
      }
    }
  }
  return ended;
}

}  // namespace kelvin
