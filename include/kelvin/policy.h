// Policy: arithmetic. Sees what happens to blocks, proposes what to move and what to drop.
//
// A policy does no I/O, takes no lock, reads no clock (time arrives in events), logs nothing, and
// allocates nothing after construction: the same events give the same plan, live or replayed. Eviction,
// admission, promotion, prefetch and write-behind are all Moves; a Move without a destination drops a copy.
// The mover may refuse any Move (leased, already moving, no room); a refused Move simply did not happen.
//
// Thread contract: one thread at a time calls it (the planner, under its lock).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin {

inline constexpr std::size_t kMaxTenants = 1023;  // in one config: Event::tenant counts so far

enum class EventKind : std::uint8_t {
  kHit,      // a request found the block; `tier` = the nearest tier that held a copy
  kPublish,  // a new block was made; `tier` = where its first copy is
  kRelease,  // a lease on the block in `tier` ended; the blocks of one lease come deepest first
  kArrive,   // a copy appeared in `tier` (a move ended)
  kLeave,    // the copy in `tier` is gone
  kForget,   // the block is gone altogether; its BlockId may name another block from now on
  kExpect,   // a scheduler announced that it will need the block at `time_ns`
};

// What happened. Order: the events of one thread in their order; those of different threads may be
// interleaved freely (a kHit may precede the kPublish of the same block), but no event of a block
// follows its kForget, and none of a copy follows its kLeave.
struct Event {
  EventKind kind = EventKind::kHit;
  TierIndex tier;
  FinishReason finish = FinishReason::kUnknown;  // kRelease
  std::uint8_t priority = 50;                    // Hints::priority: kPublish, kRelease
  BlockId block;
  std::uint64_t time_ns = 0;        // the space's clock
  std::uint64_t session = 0;        // Hints::session
  std::uint32_t output_tokens = 0;  // Hints::output_tokens: kRelease
  std::uint32_t retain_s : 22 = 0;  // Hints::retain_for: kPublish, kRelease
  std::uint32_t tenant : 10 = 0;  // place of Hints::tenant in the config, from 1 on; 0 = not there: kPublish

  static constexpr std::uint32_t kMostRetainS = (1u << 22) - 1;  // 48 days
};
static_assert(sizeof(Event) == 32);

// One tier as a policy sees it.
struct TierState {
  const TierInfo* info = nullptr;
  std::uint32_t free_slots = 0;  // free now
  std::uint32_t leaving = 0;     // slots that moves under way will free, or that are still being made ready
  std::uint64_t load_ns = 0;     // measured: one block from here into tier 0; 0 for tier 0
  bool online = true;            // false: nothing can be moved to or from it
  bool exclusive = false;        // a promotion out of it leaves no copy there
};

// One block as a policy sees it, at the moment of asking.
struct BlockState {
  BlockKey key;
  BlockId parent;              // none: a root, or its parent was not known at publish
  std::uint32_t depth = 0;     // blocks before it in its prefix
  std::uint32_t children = 0;  // known blocks whose parent it is
  std::uint32_t tiers = 0;     // bit t: a readable copy in tier t
  std::uint32_t leased = 0;    // bit t: that copy is leased, moving or kept: it cannot be dropped now
  // Bit t: nobody holds that copy, but this plan may not take it: pinned, retained, or in its tenant's share.
  // Set while planning only, and then in `leased` too. It may last: no reason to count the block as used.
  std::uint32_t kept = 0;
};

// What a policy may look at. Valid during one call of observe or plan.
class View {
 public:
  virtual std::span<const TierState> tiers() const noexcept = 0;
  virtual BlockState block(BlockId block) const noexcept = 0;

 protected:
  ~View() = default;
};

// Blocks of one request that ask to be let into a tier, in the order of their prefix.
struct Newcomers {
  std::span<const BlockKey> keys;
  std::size_t granted = 0;  // of these, how many have their slots already
  std::uint32_t depth = 0;  // of the first
  BlockId parent;           // of the first; none: a root, or not known
  Hints hints;              // of the request
};

// What a plan is for and how large it may be.
struct Budget {
  std::uint64_t now_ns = 0;
  std::span<const std::uint32_t> want_free;  // by tier: how many more slots should be freed
  std::span<const std::uint32_t> may_write;  // by tier: how many blocks may be written to it now
  std::uint32_t spent = 0;  // bit t: nothing may be written to tier t because its budget of bytes a second is
                            // used up, not because its links are busy: forget instead of waiting
  bool at_once = false;     // a caller waits: only drops help
  bool may_forget = false;  // with at_once: last copies may be dropped though a lower tier would take them
  // With at_once, if not null: the blocks that the slots are for. Proposing fewer drops than wanted then
  // refuses the last of them, which ends the matter: do so where what would go is worth more. Only where
  // nothing but forgetting makes room.
  const Newcomers* newcomers = nullptr;
};

enum class Urgency : std::uint8_t { kDemand, kPrefetch, kWriteBehind };

struct Move {
  BlockId block;
  TierIndex from;
  TierIndex to;              // kNoTier: drop the copy in `from`
  bool keep_source = false;  // leave the source's copy when the move has ended
  Urgency urgency = Urgency::kWriteBehind;
};

class Policy {
 public:
  virtual ~Policy() = default;

  // Takes note of events, oldest first.
  virtual void observe(const View& view, std::span<const Event> events) noexcept = 0;

  // Writes up to moves.size() proposals, most useful first; returns how many. Called again after they
  // were carried out or refused; proposing nothing says that nothing can be done.
  virtual std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept = 0;

  // What was learned, for a later run; nothing: there is no such thing. Both may allocate and throw
  // std::bad_alloc. load takes what save of the same policy gave; kCorrupt, kUnsupported: nothing changed.
  virtual void save(std::vector<std::byte>& /*bytes*/) const {}
  virtual Status load(std::span<const std::byte> /*bytes*/) {
    return Status(Code::kUnsupported, "loading what a policy has learned: this one learns nothing");
  }

  // When plan should be called though nothing happened until then, by the time that events have.
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  virtual std::uint64_t due_ns() const noexcept { return kNever; }

 protected:
  Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
};

}  // namespace kelvin
