// One move under way, and lists of them.
//
// Thread contract: the mover's thread.
//
// Life of a move:  queued on its link -> (target reserved) -> submitted -> verified -> next hop or ended
//                                   \-> blocked behind another move into the same place -> queued
//                  a failure: queued again (retry), queued from another source, or ended with a Status
//                  a device that does not answer: a stray, which waits for its completion and does nothing
//                  else; another move, its heir, goes on from another source or ends with a Status
#pragma once

#include <cstdint>
#include <vector>

#include "base/index_stack.h"
#include "kelvin/block.h"
#include "kelvin/policy.h"
#include "topology/topology.h"

namespace kelvin {

struct ActiveMove {
  BlockId block;
  TierIndex from;  // where it set out; owner of the `leaving` count
  TierIndex to;    // where it ends
  TierIndex at;    // source of this hop, whose copy is pinned by the move in slot `source`
  TierIndex next;  // destination of this hop
  Slot source;
  Slot target;  // reserved (kFilling) in `next`; none before
  Slot into;    // adopted destination: the engine's slot
  Urgency urgency = Urgency::kDemand;
  bool keep_source = true;
  bool planned = false;         // counted in pending_to_ (and leaving_): came from the planner
  bool as_write = false;        // submitted against the link's write-behind depth
  bool stray = false;           // nobody waits for it: it only keeps its two slots until the completion
  bool scrub = false;           // reads a copy only to verify it: the target does not become one
  std::uint8_t attempts = 0;    // failures of this hop so far
  std::uint32_t failed_at = 0;  // bit t: a copy in tier t could not be read: no other source from there
  std::uint32_t bad = 0;        // bit t: the copy that is in tier t is the one that could not: to be dropped
  std::uint32_t damaged = 0;    // bit t: of these, the device failed: the slot is not used again
  std::uint32_t waiting_hold = IndexStack::kNone;  // first entry that waits
  std::uint32_t waiting_entry = 0;
  std::uint64_t submitted_ns = 0;
  std::uint64_t unwritten_ns = 0;  // since when its source was found to be written still; 0: it was not
  std::uint32_t following = IndexStack::kNone;  // in a MoveList, or in a FlightList
  std::uint32_t preceding = IndexStack::kNone;  // in a FlightList
};

// The copies in flight on one link that somebody waits for, oldest first, through ActiveMove::following and
// ::preceding. They leave it in any order.
class FlightList {
 public:
  bool empty() const noexcept { return oldest_ == IndexStack::kNone; }
  std::uint32_t oldest() const noexcept { return oldest_; }

  void push(std::vector<ActiveMove>& moves, std::uint32_t n) noexcept {
    moves[n].following = IndexStack::kNone;
    moves[n].preceding = newest_;
    (newest_ == IndexStack::kNone ? oldest_ : moves[newest_].following) = n;
    newest_ = n;
  }
  void remove(std::vector<ActiveMove>& moves, std::uint32_t n) noexcept {
    const ActiveMove& move = moves[n];
    (move.preceding == IndexStack::kNone ? oldest_ : moves[move.preceding].following) = move.following;
    (move.following == IndexStack::kNone ? newest_ : moves[move.following].preceding) = move.preceding;
  }

 private:
  std::uint32_t oldest_ = IndexStack::kNone;
  std::uint32_t newest_ = IndexStack::kNone;
};

// A first-in-first-out list through ActiveMove::following.
class MoveList {
 public:
  bool empty() const noexcept { return head_ == IndexStack::kNone; }
  std::uint32_t size() const noexcept { return size_; }
  std::uint32_t front() const noexcept { return head_; }

  void push(std::vector<ActiveMove>& moves, std::uint32_t n) noexcept {
    moves[n].following = IndexStack::kNone;
    if (empty()) {
      head_ = n;
    } else {
      moves[tail_].following = n;
    }
    tail_ = n;
    ++size_;
  }
  void push_front(std::vector<ActiveMove>& moves, std::uint32_t n) noexcept {
    moves[n].following = head_;
    if (empty()) tail_ = n;
    head_ = n;
    ++size_;
  }
  std::uint32_t pop(std::vector<ActiveMove>& moves) noexcept {
    const std::uint32_t n = head_;
    head_ = moves[n].following;
    --size_;
    return n;
  }

 private:
  std::uint32_t head_ = IndexStack::kNone;
  std::uint32_t tail_ = IndexStack::kNone;
  std::uint32_t size_ = 0;
};

}  // namespace kelvin
