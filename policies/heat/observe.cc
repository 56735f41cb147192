// What a heat policy takes note of: see policy.h.
#include <algorithm>
#include <bit>
#include <utility>

#include "policies/heat/policy.h"

namespace kelvin::heat {
namespace {

// Blocks published so long after their request's lease ended still belong to it.
constexpr std::uint64_t kAfterthoughtNs = 2'000'000'000;

constexpr std::uint32_t kLongest = 0x7FFF'FFFF;  // seconds

std::uint32_t seconds_of(std::uint64_t time_ns) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(time_ns / 1'000'000'000, 0xFFFF'0000));
}

}  // namespace

void HeatPolicy::observe(const View& view, std::span<const Event> events) noexcept {
  for (const Event& event : events) {
    if (event.block.value >= blocks_.size()) continue;
    switch (event.kind) {
      case EventKind::kHit: hit(view, event); break;
      case EventKind::kPublish: publish(view, event); break;
      case EventKind::kRelease: release(view, event); break;
      case EventKind::kArrive: arrive(view, event); break;
      case EventKind::kLeave: leave(view, event); break;
      case EventKind::kForget: forget(event); break;
      case EventKind::kExpect: expect(event); break;
    }
  }
}

void HeatPolicy::meet(const View& view, BlockId id) noexcept {
  Block& block = blocks_[id.value];
  if (block.met) return;
  const BlockState state = view.block(id);
  block.met = true;
  block.parent = state.parent.value < blocks_.size() ? state.parent.value : kNone;
  block.orphan = block.parent == kNone && state.depth != 0;
}

// The events of several leases may come in turns.
HeatPolicy::Run& HeatPolicy::run_of(const Event& event) noexcept {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    Run& run = runs_[(last_run_ + i) % runs_.size()];
    if (run.expected != event.block.value || run.time_ns != event.time_ns) continue;
    last_run_ = (last_run_ + i) % runs_.size();
    return run;
  }
  last_run_ = (last_run_ + 1) % runs_.size();
  runs_[last_run_] = {};
  return runs_[last_run_];
}

std::uint32_t HeatPolicy::begin_request(std::uint64_t now_ns) noexcept {
  const std::uint32_t serial = requests_.begin(now_ns);
  if (prefetch_) foresee(now_ns);
  return serial;
}

void HeatPolicy::hit(const View& view, const Event& event) noexcept {
  meet(view, event.block);
  Block& block = blocks_[event.block.value];
  Run& run = run_of(event);
  if (run.request == Requests::kNone) {
    learn_returns();
    run = {kNone, begin_request(event.time_ns), event.time_ns};
    Request& request = *requests_.find(run.request);
    request.tail = event.block;
    request.depth = request.kept = view.block(event.block).depth + 1;
    requests_.follow(request, block.request, request.depth);
    hear(request, event);
    requests_.describe(request);
  }
  use(block, run.request, event.time_ns);
  block.part = static_cast<std::uint8_t>(Part::kOwn) & 7;
  run.expected = block.parent;
}

// The request that a new copy of a block belongs to: its parent's, if that ends there, else a new one.
std::uint32_t HeatPolicy::joined(const Block& block, const BlockState& state, const Event& event) noexcept {
  if (admitted_.serial != Requests::kNone && admitted_.first == state.key) {
    const std::uint32_t serial = std::exchange(admitted_, {}).serial;
    if (requests_.find(serial) != nullptr) return serial;
  }
  std::uint32_t before = Requests::kNone;
  if (block.parent != kNone) {
    before = blocks_[block.parent].request;
    const Request* request = requests_.find(before);
    if (request != nullptr && request->tail.value == block.parent &&
        (!request->closed || event.time_ns - request->begin_ns < kAfterthoughtNs)) {
      return before;
    }
  }
  learn_returns();
  const std::uint32_t serial = begin_request(event.time_ns);
  requests_.follow(*requests_.find(serial), before, before == Requests::kNone ? 0 : state.depth);
  return serial;
}

void HeatPolicy::publish(const View& view, const Event& event) noexcept {
  const std::uint32_t id = event.block.value;
  meet(view, event.block);
  Block& block = blocks_[id];
  const BlockState state = view.block(event.block);
  const std::uint32_t serial = joined(block, state, event);
  Request& request = *requests_.find(serial);
  request.tail = event.block;
  request.kept = state.depth + 1;
  request.depth = std::max(request.depth, request.kept);
  request.closed = false;
  hear(request, event);
  Ghost ghost;
  if (block.request == Requests::kNone && ghosts_.take(state.key, &ghost)) {
    block.request = ghost.request;
    block.part = static_cast<std::uint8_t>(ghost.part) & 7;
    block.forks = ghost.forks & Ghosts::kMostForks;
    block.counted = true;
  }
  const bool known = block.request != Requests::kNone;
  if (known && block.request != serial && request.known == state.depth) {
    requests_.follow(request, block.request, state.depth + 1);
  }
  use(block, serial, event.time_ns);
  block.part = static_cast<std::uint8_t>(known ? Part::kOwn : Part::kBody) & 7;
  retain(block, event);
  if (event.tier.value < tiers_.size()) add_copy(id, event.tier);
}

// A known block without any copy got one again: a request made it anew, though no kPublish says so.
void HeatPolicy::arrive(const View& view, const Event& event) noexcept {
  meet(view, event.block);
  if (blocks_[event.block.value].tiers == 0) {
    Event made = event;
    made.priority = blocks_[event.block.value].priority;
    publish(view, made);
  } else if (event.tier.value < tiers_.size()) {
    add_copy(event.block.value, event.tier);
  }
}

// The deepest block's lease ends first: then all is known that will be known of the request.
void HeatPolicy::release(const View& view, const Event& event) noexcept {
  meet(view, event.block);
  Block& block = blocks_[event.block.value];
  retain(block, event);
  Request* request = requests_.find(block.request);
  if (request == nullptr || request->tail != event.block) return;
  hear(*request, event);
  learn_returns();
  close(block.request, *request);
}

void HeatPolicy::leave(const View& view, const Event& event) noexcept {
  const std::uint32_t id = event.block.value;
  if (event.tier.value >= tiers_.size()) return;
  remove_copy(id, event.tier);
  const Block& block = blocks_[id];
  if (block.tiers != 0 || !block.counted) return;
  Ghost displaced;
  const Ghost ghost{block.request, static_cast<Part>(block.part), block.forks};
  if (ghosts_.put(view.block(event.block).key, ghost, requests_.newest(), &displaced)) {
    requests_.lose(displaced.request, displaced.part);
  }
}

void HeatPolicy::forget(const Event& event) noexcept {
  const std::uint32_t id = event.block.value;
  for (std::uint8_t t = 0; t < tiers_.size(); ++t) {
    remove_copy(id, TierIndex(t));
    tiers_[t].copies.reset(id);
  }
  blocks_[id] = Block{};
}

void HeatPolicy::use(Block& block, std::uint32_t request, std::uint64_t now_ns) noexcept {
  if (block.counted && block.request != request) {
    note_return(block.request, static_cast<Part>(block.part), now_ns);
  }
  block.request = request;
  block.counted = false;
  if (block.expected) {
    block.expected = false;
    block.keep_until_s = 0;
  }
}

void HeatPolicy::note_return(std::uint32_t request, Part part, std::uint64_t now_ns) noexcept {
  if (returns_.count != 0 && (returns_.request != request || returns_.part != part)) learn_returns();
  returns_.request = request;
  returns_.part = part;
  returns_.time_ns = now_ns;
  ++returns_.count;
}

void HeatPolicy::learn_returns() noexcept {
  if (returns_.count == 0) return;
  requests_.returned(returns_.request, returns_.part, returns_.count, returns_.time_ns);
  returns_.count = 0;
}

Part HeatPolicy::part_of(unsigned forks, bool known, bool tail) noexcept {
  if (!known) return tail ? Part::kTail : Part::kBody;
  if (forks == 0) return Part::kOwn;
  if (forks == 1) return Part::kForked;
  return forks < 8 ? Part::kShared : Part::kCommon;
}

void HeatPolicy::count(Block& block, Request& request, Part part) noexcept {
  const auto before = static_cast<Part>(block.part);
  if (block.counted && before == part) return;
  if (block.counted) --request.waiting[static_cast<std::size_t>(before)];
  ++request.waiting[static_cast<std::size_t>(part)];
  block.part = static_cast<std::uint8_t>(part) & 7;
  block.counted = true;
}

// The request is over: what it was like is known, and what its session did before it. True: it continues it.
bool HeatPolicy::settle(std::uint32_t serial, Request& request) noexcept {
  const bool continued = requests_.describe(request);
  if (!request.settled) {
    if (continued) {
      requests_.learn_gap(request);
      requests_.describe(request);
    }
    requests_.move_on(serial, request);
  }
  request.settled = request.closed = true;
  return continued;
}

// Up from the deepest block, as far as no other request came by. Where a request left a known path before
// its end, all that it shares with that path is forked once more. Blocks of a piece that was released before
// are counted already, the last of them as a tail.
void HeatPolicy::close(std::uint32_t serial, Request& request) noexcept {
  const bool first = !request.settled;
  const bool fork = !settle(serial, request) && first;
  std::uint32_t depth = request.kept;
  for (std::uint32_t id = request.tail.value; id != kNone && depth-- > 0;) {
    Block& block = blocks_[id];
    if (block.request != serial) return;
    const bool tail = depth + 1 == request.depth;
    const bool done = block.counted && !tail;
    const bool known = depth < request.known;
    if (fork && known && block.forks < Ghosts::kMostForks) block.forks = (block.forks + 1) & 15;
    count(block, request, part_of(block.forks, known, tail));
    if (done && !fork) return;
    id = block.parent;
  }
}

std::uint32_t HeatPolicy::end_of(std::uint32_t seconds, std::uint64_t start_ns) noexcept {
  return seconds_of(start_ns) + std::min(seconds, kLongest);
}

void HeatPolicy::retain(Block& block, const Event& event) noexcept {
  if (!use_hints_) return;
  block.priority = std::min<std::uint8_t>(event.priority, 100);
  if (event.retain_s == 0) return;
  block.keep_until_s = std::max(block.keep_until_s, end_of(event.retain_s, event.time_ns));
  block.expected = false;
}

HeatPolicy::Retention HeatPolicy::retention_of(const Hints& hints, std::uint64_t now_ns) const noexcept {
  if (!use_hints_) return {};
  const auto seconds =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(hints.retain_for.count(), 0, kLongest));
  return {std::min<std::uint8_t>(hints.priority, 100), seconds == 0 ? 0 : end_of(seconds, now_ns)};
}

void HeatPolicy::add_copy(std::uint32_t id, TierIndex tier) noexcept {
  Block& block = blocks_[id];
  const unsigned bit = 1U << tier.value;
  if ((block.tiers & bit) != 0) return;
  const unsigned before = block.tiers == 0 ? static_cast<unsigned>(tiers_.size())
                                           : static_cast<unsigned>(std::countr_zero(block.tiers));
  block.tiers = static_cast<std::uint8_t>(block.tiers | bit);
  tiers_[tier.value].copies.add(id);
  if (!tiers_[tier.value].unsaved.empty()) queue_unsaved(tiers_[tier.value], id);
  if (block.parent == kNone) return;
  for (std::size_t t = tier.value; t < before; ++t) tiers_[t].copies.add_child(block.parent);
}

void HeatPolicy::remove_copy(std::uint32_t id, TierIndex tier) noexcept {
  Block& block = blocks_[id];
  const unsigned bit = 1U << tier.value;
  if ((block.tiers & bit) == 0) return;
  const bool nearest = (block.tiers & (bit - 1)) == 0;
  block.tiers = static_cast<std::uint8_t>(block.tiers & ~bit);
  tiers_[tier.value].copies.remove(id);
  if (!nearest || block.parent == kNone) return;
  const unsigned after = block.tiers == 0 ? static_cast<unsigned>(tiers_.size())
                                          : static_cast<unsigned>(std::countr_zero(block.tiers));
  for (std::size_t t = tier.value; t < after; ++t) tiers_[t].copies.remove_child(block.parent);
}

}  // namespace kelvin::heat
