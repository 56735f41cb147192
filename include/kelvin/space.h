// Space: one virtual space of KV blocks of one layout, over any number of tiers.
//
// One request's life (docs/design.md walks through it):
//
//   auto match  = space->match(keys);                              // how much is known, where; pins nothing
//   auto ticket = space->acquire(keys, tier0);                     // lease what is known, load what is below
//   ticket->wait(1s);  Lease prefix = ticket->take();              // the prefix that can be had
//   auto fresh  = space->allocate(n, tier0);                       // writable slots for the rest
//   ... compute into fresh->address(i) ...
//   space->publish(*fresh, keys, first);                           // immutable, shareable from here
//   fresh->release(hints);  prefix.release(hints);                 // kept, warm, until they cool
//
// On a device with streams (TierInfo::streams: GPU memory) no CPU need wait for a kernel or a copy. What the
// engine puts on its stream and what Kelvin does are put in order on the device:
//
//   auto ticket = space->acquire_on(keys, hbm, stream);  // what is there is in order with `stream`
//   ticket->slots(slots);                          // where the blocks are or will be; kBusy: poll
//   for (layer ...) {                              // or wait_on_stream() once, for all of it
//     ticket->wait_on_stream(segments so far);     // the stream waits, this thread does not
//     ... launch the layer's kernels on `stream`: they read `slots`, and write fresh->slot(i) ...
//   }
//   space->publish_on(*fresh, stream, keys, first);  // matchable at once, before they have run
//   ... ticket->done(): ticket->status() says whether the results may be used ...
//   prefix = ticket->take();
//   prefix.release_on(stream, hints);                // the slots go when the kernels are done
//   fresh->release_on(stream, hints);
//
// Thread contract: match, acquire, acquire_on, allocate, publish, publish_on, drop, reclaim, pin, unpin,
// bring_back, expect and stats may be called from any thread at any time. A Lease or Ticket object belongs to
// one thread at a time. poll() is called by one thread at a time, and only where mover.threads = 0.
//
// Ownership: a Lease or Ticket may outlive its Space: the memory under it stays until the last one is gone,
// and its calls then answer kUnavailable, but for release, which works.
//
// On the hot path (match, acquire of resident blocks, allocate from the free list, publish, release) nothing
// allocates once warmed up, takes a global lock, or does I/O. Nothing throws.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/config.h"
#include "kelvin/hash.h"
#include "kelvin/link.h"
#include "kelvin/policy.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin {

class Core;   // src/space: everything behind Space
struct Hold;  // src/space: what a Ticket becomes a Lease of

// What is known of a prompt's prefix. A snapshot: it may be less by the time of acquire.
struct Match {
  std::uint32_t blocks = 0;                        // longest prefix whose every block has a copy somewhere
  std::array<std::uint32_t, kMaxTiers> in_tier{};  // of these, by the nearest tier that holds a copy
  std::uint64_t load_ns = 0;       // estimate: all of them into the nearest tier, at measured speeds
  std::uint64_t recompute_ns = 0;  // estimate: computing them again
};

// Leased blocks or writable slots of one tier. Move-only; releases itself at the end.
// As long as it lives, its slots are neither moved, dropped nor overwritten.
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const noexcept {
    return hold_ != nullptr;
  }                                         // false: empty, released or moved from
  std::size_t size() const noexcept;        // blocks or slots; 0 if empty
  TierIndex tier() const noexcept;          // kNoTier if empty
  Slot slot(std::size_t i) const noexcept;  // none if i >= size()
  // Where the bytes are. Address::pointer is null if i or segment is out of range.
  Address address(std::size_t i, std::uint32_t segment = 0) const noexcept;

  // Ends the lease; published blocks stay, unpublished slots are free again. kMisuse if already released.
  // What was published by publish_on keeps its slots until its kernels are done, though the lease is gone,
  // and so it is when a lease is destroyed. `ranges`: wishes for runs of its blocks, instead of those that
  // publish was given; where ranges overlap the last one counts, and blocks in none are kept as `hints` say.
  // Copied.
  Status release(const Hints& hints = {}, std::span<const RetainRange> ranges = {}) noexcept;

  // The same for slots, published or not, that the kernels on `stream` may still read or write: nobody else
  // gets them until all that is on the stream now is done. The lease is empty at once, and counts against
  // max_leases until then. Where the status is not ok the lease is as it was. kBusy: the device has too many
  // marks open, ask again when some kernels are done; kUnsupported: the tier has no streams; kMisuse. On a
  // device that is lost nothing runs any more: ok.
  Status release_on(Stream stream, const Hints& hints = {},
                    std::span<const RetainRange> ranges = {}) noexcept;

 private:
  friend class Space;
  friend class Ticket;
  explicit Lease(Hold* hold) noexcept : hold_(hold) {}

  Hold* hold_ = nullptr;
};

// An acquire under way. Move-only. Destroying it gives the blocks up; loads already under way end by
// themselves and their blocks stay known.
class Ticket {
 public:
  Ticket() noexcept = default;
  Ticket(Ticket&& other) noexcept;
  Ticket& operator=(Ticket&& other) noexcept;
  ~Ticket();

  bool done() const noexcept;  // true for an empty ticket

  // Waits until done; where mover.threads = 0 it drives Space::poll() meanwhile. kTimeout: not done yet,
  // call again (once done() it is a device's word). Otherwise `status()`. kMisuse for an empty ticket.
  Status wait(std::chrono::nanoseconds timeout) noexcept;

  // An eventfd that becomes readable when done; valid until the ticket or its lease is gone. For event
  // loops. The fd is the library's: do not close it.
  Result<int> event_fd() noexcept;

  // Once done: ok if every block asked for that is known was had; else why the prefix is shorter.
  // kBusy while not done.
  Status status() const noexcept;

  // Tickets of acquire_on, before they are done. Lets what is put on the ticket's stream from now on wait, on
  // the device, until the ticket is answered, however; or, of a tier with segments, until as many as
  // `segments`, from the first on, have arrived in every block. Whether the blocks are what they should be
  // the status says, in the end: results that used them count only if it is ok, or as far as the lease goes.
  // After done() nothing is put on the stream. The wait ends even if the ticket is dropped; with
  // mover.threads = 0, somebody has to poll meanwhile. kUnsupported: the device cannot, wait() instead;
  // kBusy: too many tickets are waited for on streams, likewise; kMisuse: not a ticket of acquire_on;
  // kUnavailable: the device is lost.
  Status wait_on_stream(std::uint32_t segments = kAllSegments) noexcept;
  static constexpr std::uint32_t kAllSegments = ~0u;

  // Where the blocks are, or will be; returns how many. A block of which this turns out wrong is not in the
  // lease: the prefix ends before it. kBusy: a block's place is not known yet, poll or wait a little; of a
  // ticket of acquire: it is not done. kInvalid: more blocks than places in the span. kMisuse: empty.
  Result<std::uint32_t> slots(std::span<Slot> slots) const noexcept;

  // So many segments of every block have arrived, from the first on; all of them once done(). It only rises,
  // and counts what will be had: if a block fails, the status says so. Tickets of acquire: none before
  // done().
  std::uint32_t segments_ready() const noexcept;

  // Once done: the leased prefix, possibly empty or shorter than asked for. The ticket is empty afterwards.
  // An empty lease while not done.
  Lease take() noexcept;

 private:
  friend class Space;
  explicit Ticket(Hold* hold) noexcept : hold_(hold) {}

  Hold* hold_ = nullptr;
};

struct AcquireOptions {
  // Adopted tiers: the engine's slot for each key, used where that block has to be loaded; a block that
  // already has a copy in the tier keeps its slot. As many as keys. A slot whose load ended with
  // kUnavailable may be in a device's hands still: reclaim says kBusy of it until it is the engine's again.
  std::span<const Slot> into;
  Hints hints;
};

enum class WhenFull : std::uint8_t {
  kWait,    // use only what can be freed without loss; wait for moves until the timeout, then kBusy
  kForget,  // drop the coldest blocks at once, even their last copies
};

struct AllocateOptions {
  WhenFull when_full = WhenFull::kForget;
  std::chrono::nanoseconds timeout{0};  // with kWait
  // Admission. The prefix, from its root on, whose last blocks the slots are for. If given, and if nothing
  // but forgetting makes room, the policy may grant fewer slots, for the first of these blocks: the others
  // it holds worth less than what they would push out, and the engine does not keep them. None granted:
  // kFull.
  std::span<const BlockKey> chain;
  // Of the request that makes the blocks, as far as known. A tenant at its share finds room among its own
  // blocks, and among those of others, only if it is told here.
  Hints hints;
  // Adopted tiers: the engine's slots, which must be free. As many as asked for.
  std::span<const Slot> slots;
};

struct LatencyStats {
  std::uint64_t count = 0, p50_ns = 0, p99_ns = 0, max_ns = 0;
};

struct TierStats {
  std::string name;
  std::uint32_t slots = 0, free = 0, resident = 0, leased = 0, quarantined = 0;
  std::uint32_t kept = 0;   // slots of a persistent tier that is offline, or has just come back, whose blocks
                            // are yet to be found again
  std::uint32_t ready = 0;  // of the slots; fewer than all while the tier's memory is still being made ready
  std::string stopped;      // why it has fewer than all for good; empty: it has not
  std::uint64_t slot_bytes = 0;
  std::uint64_t hits = 0;             // blocks acquired whose nearest copy was here
  std::uint64_t dropped_clean = 0;    // copies dropped while another tier had one
  std::uint64_t dropped_last = 0;     // last copies dropped: blocks forgotten
  std::uint64_t dropped_corrupt = 0;  // copies dropped after a failed check or read
  std::uint32_t recovered = 0;        // blocks found here when the space was opened, or the tier came back
  std::uint64_t discarded = 0;        // slots that its devices were told hold nothing any more
  std::uint64_t scrubbed = 0;         // copies read only to verify them (TierConfig::scrub)
  std::uint64_t scrubbed_bad = 0;     // of these, not what they should be, or unreadable: dropped
  bool online = true;
  std::uint64_t went_offline = 0, came_back = 0;  // so often
};

// What a tenant has; the first one stands for all that the config does not list.
struct TenantStats {
  std::string name;                               // as in the config; "" for the first
  std::uint64_t hits = 0;                         // blocks acquired
  std::array<std::uint32_t, kMaxTiers> blocks{};  // copies, by tier
  std::array<std::uint32_t, kMaxTiers> share{};   // of these, as many are guarded against other tenants
};

struct LinkStats {
  std::string name;  // "dram>nvme"
  std::uint64_t copies = 0, bytes = 0, failures = 0, retries = 0, corrupt = 0, in_flight = 0;
  std::uint64_t strays = 0;            // of those in flight: nobody waits for them, see Space::bring_back
  std::uint64_t latency_ns = 0;        // moving average, submit to completion of one copy
  std::uint64_t bytes_per_second = 0;  // moving average while busy
  std::string slowed;                  // why it is slower than it could be; empty: it is not
};

struct Stats {
  std::vector<TierStats> tiers;
  std::vector<LinkStats> links;
  std::vector<TenantStats> tenants;  // empty where the config lists none
  std::uint64_t blocks = 0;          // known to the table, with or without a copy
  std::uint64_t block_capacity = 0;  // records in the table
  std::uint64_t table_bytes = 0;     // memory of table and slot words
  std::uint64_t published = 0, duplicates = 0, load_failures = 0, moves_refused = 0;
  std::uint32_t pinned = 0;           // blocks pinned, see Space::pin
  std::uint32_t leases = 0;           // leases and tickets alive
  std::uint64_t oldest_lease_ns = 0;  // its age
  // How tiers are joined, where there was a choice, and why not otherwise: "nvme>hbm: ...".
  std::vector<std::string> remarks;
  std::string learned;  // of policy.learned: "loaded", or "fresh: " and why; empty: none is configured
};

// A clock for mover.threads = 0; must never go backwards.
using Clock = std::function<std::uint64_t()>;

// Memory of the engine, of the host or (kind "hbm") of a device, that becomes a tier (TierInfo::adopted).
// Slot s of segment g is at bases[g] + s * stride_bytes and has segment_bytes.
struct AdoptedMemory {
  std::vector<std::byte*> bases;
  std::uint64_t stride_bytes = 0;
  std::uint64_t segment_bytes = 0;  // bases.size() * segment_bytes = block_bytes
  std::uint32_t slots = 0;
};

// Parts an engine, a test or a simulator brings itself; all optional.
struct Parts {
  struct Adopted {
    std::string tier;  // name of a tier of kind "adopted" or "hbm" in the config
    AdoptedMemory memory;
  };
  std::vector<Adopted> adopted;
  Clock clock;  // default: CLOCK_MONOTONIC
  // The time that policies know, if it is another: that of the trace, where a replay hurries. Default: clock.
  Clock event_clock;
  std::unique_ptr<Policy> policy;  // instead of the configured one
  // Wraps or replaces each link as it is made (fault injection, tracing).
  std::function<std::unique_ptr<Link>(std::unique_ptr<Link>)> wrap_link;
};

class Space {
 public:
  // Opens every tier, connects links, starts the mover. On failure `why` (if not null) says what to mend.
  static Result<std::unique_ptr<Space>> open(const Config& config, std::string* why = nullptr,
                                             Parts parts = {});

  // Stops the mover, waits for I/O in flight, closes the tiers (as soon as the last lease is gone). Tickets
  // are answered after mover.deadline at the latest. A device that gives its copies back never, though they
  // were canceled, is waited for in the end, by the links: nobody may free memory that it may still write to.
  // So are kernels of the engine whose lease was released on their stream, for as long as they run, and
  // streams that wait for a ticket, by the device's tier. A device that is lost is waited for by nobody.
  ~Space();

  Layout layout() const noexcept;
  std::size_t tier_count() const noexcept;
  const TierInfo* tier_info(TierIndex tier) const noexcept;     // null: no such tier
  TierIndex find_tier(const std::string& name) const noexcept;  // kNoTier: no such tier

  // The longest known prefix of `chain`. Pins nothing, renews nothing.
  Match match(std::span<const BlockKey> chain) const noexcept;

  // Leases the longest known prefix of `chain` in `tier`, loading what is in other tiers only. Blocks that
  // cannot be had shorten the prefix; the ticket says why. It is done when the kernels are that write what
  // was published by publish_on. kInvalid: no such tier, `into` of another size; kBusy: max_leases reached.
  Result<Ticket> acquire(std::span<const BlockKey> chain, TierIndex tier,
                         const AcquireOptions& options = {}) noexcept;

  // The same for kernels on `stream`: what is put on it from now on comes after what writes the blocks that
  // are there already, and the ticket is done when the others are: the engine's threads wait for neither (see
  // Ticket::wait_on_stream). A done ticket says that the blocks are in order on this stream, not that the
  // host or another stream may read them. A stream that is full makes whoever puts more on it wait, in all
  // calls with a stream as in launches; so with mover.threads = 0 another thread has to poll meanwhile, if a
  // load is what the stream waits for. kUnsupported: the tier has no streams; kUnavailable: its device is
  // lost; kBusy: its stream takes nothing more, or as above.
  Result<Ticket> acquire_on(std::span<const BlockKey> chain, TierIndex tier, Stream stream,
                            const AcquireOptions& options = {}) noexcept;

  // `n` writable slots, which hold no block yet; fewer where admission (`chain`) grants fewer. kFull:
  // more than can ever be freed while the present leases live; kBusy: not now, moves are under way; kMisuse:
  // adopted slots that are not free.
  Result<Lease> allocate(std::uint32_t n, TierIndex tier, const AllocateOptions& options = {}) noexcept;

  // Makes the lease's slots blocks: slot i holds chain[first + i], where chain is the whole prefix from its
  // root, chain.size() == first + lease.size(). The bytes must be complete and are never written again.
  // Where a key is known already in this tier, the lease moves to the block that is there and the slot is
  // freed: read slot(i) afresh. kMisuse: not a lease of unpublished slots of this space. kFull: no records
  // left; the slots not published stay writable and go free on release. `ranges`: as in Lease::release, and
  // they hold from the release on as well, for blocks that were known already too.
  Status publish(Lease& lease, std::span<const BlockKey> chain, std::size_t first, const Hints& hints = {},
                 std::span<const RetainRange> ranges = {}) noexcept;

  // The same for bytes that kernels on `stream` are writing: the blocks can be matched and acquired at once,
  // and whoever acquires them gets them when all that is on the stream now is done. Where a key is known
  // already, the lease keeps its own slot, which nobody shares: slots do not change. kUnsupported: the tier
  // has no streams; kUnavailable: its device is lost; kBusy: too many marks are open there; the lease is as
  // it was.
  Status publish_on(Lease& lease, Stream stream, std::span<const BlockKey> chain, std::size_t first,
                    const Hints& hints = {}, std::span<const RetainRange> ranges = {}) noexcept;

  // Pins blocks for so long, to the second and never shorter; all of them or none. With a tier: their copies
  // there stay there. Without: the blocks are not forgotten; a last copy may be demoted, never dropped. Pins
  // end by themselves, with unpin, with reclaim, and where a fault takes the copy. A further pin of a block
  // prolongs it and decides the tier anew. A prefix is of use only if all of it is pinned.
  // kNotFound: one is not known, or has no copy there. kFull: the tier's pin_share; pins without a tier count
  // in the last tier that is no adopted one. kInvalid: no such tier, an adopted one, or no time.
  // Takes the planner's lock and allocates: not for the hot path.
  Status pin(std::span<const BlockKey> keys, std::chrono::seconds duration,
             TierIndex tier = kNoTier) noexcept;
  // Ends the pins of these blocks, whoever made them. Unknown and unpinned ones are no error.
  Status unpin(std::span<const BlockKey> keys) noexcept;

  // Drops the copies of these blocks in `tier` (all tiers: kNoTier). Those leased, pinned or moving stay:
  // kBusy. Unknown keys are no error.
  Status drop(std::span<const BlockKey> keys, TierIndex tier = kNoTier) noexcept;

  // Adopted tiers: the engine takes slots back to write into them; the copies there are forgotten.
  // kBusy: one is leased or being moved; those before it in `slots` are already the engine's.
  Status reclaim(TierIndex tier, std::span<const Slot> slots) noexcept;

  // Takes a tier that went offline into use again, empty; mover.retry_offline does the same after a while by
  // itself. Until a copy to or from it has succeeded it is on trial: one copy at a time, and the first
  // failure takes it offline again. kMisuse: it is online. kBusy, and `why` (if not null) says what it waits
  // for: its device has not given back all copies that were in flight, or copies there are leased. kInvalid:
  // no such tier; kUnavailable: its device is lost. Not for the hot path.
  Status bring_back(TierIndex tier, std::string* why = nullptr) noexcept;

  // Announces that these keys will be needed in about `ahead`: the policy may bring them near.
  void expect(std::span<const BlockKey> chain, std::chrono::nanoseconds ahead,
              const Hints& hints = {}) noexcept;

  // mover.threads = 0: one round of planning, moving and completing. Returns how many things it did;
  // 0 = nothing to do at this moment. With a mover thread: kMisuse.
  Result<std::size_t> poll() noexcept;
  // When poll() will have something to do though nothing happens until then, by the space's clock in
  // nanoseconds: the policy means to bring something near, a copy's deadline passes, a tier is tried again.
  // ~0: nothing is foreseen. With mover.threads = 0: by the thread that polls.
  std::uint64_t due_ns() const noexcept;

  // Waits until no move is queued or under way; kTimeout otherwise. What a device did not give back before
  // its deadline is not waited for. For tests, tools and tidy ends.
  Status settle(std::chrono::nanoseconds timeout) noexcept;

  // Writes to the nearest persistent tier all blocks that only other tiers hold, as far as the policy makes
  // room for them there, so that the next space finds them: before an orderly end. Blocks that are published
  // meanwhile may be left out. kUnsupported: no tier that is online is persistent; kUnavailable: it went
  // offline, or another tier did meanwhile, and all is written but what was only there; kTimeout: blocks are
  // left, prefixes first are written. Any thread, one at a time.
  Status save(std::chrono::nanoseconds timeout) noexcept;

  Stats stats() const;  // allocates

  // Writes what the policy has learned to a file (anew: a reader sees the old one or the new one), or takes
  // it from one. On failure `why` (if not null) says what to mend, and neither policy nor file has changed.
  // kNotFound: no such file; kCorrupt: damaged; kUnsupported: of another policy or version, or this policy
  // learns nothing; kIo. Both allocate.
  Status save_learned(const std::string& path, std::string* why = nullptr) const;
  Status load_learned(const std::string& path, std::string* why = nullptr);

 private:
  explicit Space(Core* core) noexcept : core_(core) {}
  Status check(const Lease& lease) const noexcept;
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  Core* core_;  // ends itself when the space and every lease are gone
};

}  // namespace kelvin
