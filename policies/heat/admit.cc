// Whether a heat policy lets new blocks in: see policy.h.
#include <algorithm>
#include <limits>

#include "policies/heat/policy.h"

namespace kelvin::heat {
namespace {

constexpr float kHottest = std::numeric_limits<float>::max();

}  // namespace

// What its request will look like once they are in. It may be known already, by the blocks it hit.
void HeatPolicy::begin_admission(const Newcomers* newcomers, std::uint64_t now_ns) noexcept {
  admission_.newcomers = newcomers;
  if (newcomers == nullptr) return;
  learn_returns();
  Request& request = admission_.request;
  admission_.serial = request_of(*newcomers);
  if (const Request* known = requests_.find(admission_.serial)) {
    request = *known;
  } else {
    request = Request{};
    request.begin_ns = now_ns;
    request.previous = request.sibling = Requests::kNone;
    if (newcomers->parent.value < blocks_.size()) {
      requests_.follow(request, blocks_[newcomers->parent.value].request, newcomers->depth);
    }
  }
  hear(request, newcomers->hints);
  request.depth = newcomers->depth + static_cast<std::uint32_t>(newcomers->keys.size());
  for (const BlockKey& key : newcomers->keys) ghosts_.prefetch(key);
  Ghost ghost;
  for (const BlockKey& key : newcomers->keys) {
    if (!ghosts_.find(key, &ghost)) break;
    if (ghost.request != admission_.serial) requests_.follow(request, ghost.request, request.known + 1);
  }
  requests_.describe(request);
  admission_.next = newcomers->granted;
  admission_.rank = kHottest;
  rank_newcomer(now_ns);
}

// The request whose prefix was found is open while its lease lasts.
std::uint32_t HeatPolicy::request_of(const Newcomers& newcomers) const noexcept {
  if (admitted_.serial != Requests::kNone && admitted_.first == newcomers.keys.front())
    return admitted_.serial;
  if (newcomers.parent.value >= blocks_.size()) return Requests::kNone;
  const std::uint32_t serial = blocks_[newcomers.parent.value].request;
  const Request* request = requests_.find(serial);
  const bool open = request != nullptr && !request->closed && request->tail == newcomers.parent;
  return open ? serial : Requests::kNone;
}

// Without what stands before it a block is of no use: it is no hotter.
void HeatPolicy::rank_newcomer(std::uint64_t now_ns) noexcept {
  const Newcomers& newcomers = *admission_.newcomers;
  if (admission_.next >= newcomers.keys.size()) return;
  Ghost ghost;
  const bool known = ghosts_.find(newcomers.keys[admission_.next], &ghost);
  const Part part = part_of(known ? ghost.forks : 0, known, admission_.next + 1 == newcomers.keys.size());
  const float heat = requests_.heat(admission_.request, part, now_ns);
  const Retention retention = retention_of(newcomers.hints, now_ns);
  admission_.rank = std::min(admission_.rank, weigh(heat, admission_.request.depth, retention, now_ns));
}

// False: what would go is hotter than the newcomer, which is refused with all that builds on it.
bool HeatPolicy::admit(const Candidate& victim, std::uint64_t now_ns) noexcept {
  if (admission_.newcomers == nullptr || admission_.next >= admission_.newcomers->keys.size()) return true;
  if (victim.rank <= admission_.rank) {
    ++admission_.next;
    rank_newcomer(now_ns);
    return true;
  }
  refuse(now_ns);
  return false;
}

// They are remembered as if they had been there and gone: what comes of them is learned all the same.
void HeatPolicy::refuse(std::uint64_t now_ns) noexcept {
  const Newcomers& newcomers = *admission_.newcomers;
  const bool begun = admission_.serial == Requests::kNone;
  const std::uint32_t serial = begun ? begin_request(now_ns) : admission_.serial;
  Request& request = *requests_.find(serial);
  request.session = admission_.request.session;
  request.output = admission_.request.output;
  request.finish = admission_.request.finish;
  request.depth = admission_.request.depth;
  requests_.follow(request, admission_.request.previous, admission_.request.known);
  for (std::size_t i = newcomers.keys.size(); i-- > admission_.next;) {
    remember(newcomers.keys[i], serial, i + 1 == newcomers.keys.size(), now_ns);
  }
  learn_returns();
  admitted_ = {};
  if (begun && admission_.next == 0) {
    settle(serial, request);
  } else if (begun) {
    requests_.describe(request);
    admitted_ = {newcomers.keys.front(), serial};
  }
  admission_.newcomers = nullptr;
}

void HeatPolicy::remember(const BlockKey& key, std::uint32_t serial, bool tail,
                          std::uint64_t now_ns) noexcept {
  Ghost ghost;
  const bool known = ghosts_.take(key, &ghost);
  if (known) note_return(ghost.request, ghost.part, now_ns);
  const Part part = part_of(known ? ghost.forks : 0, known, tail);
  ++requests_.find(serial)->waiting[static_cast<std::size_t>(part)];
  Ghost displaced;
  if (ghosts_.put(key, {serial, part, known ? ghost.forks : std::uint8_t{0}}, requests_.newest(),
                  &displaced)) {
    requests_.lose(displaced.request, displaced.part);
  }
}

}  // namespace kelvin::heat
