// Link: an edge. Moves bytes from slots of one tier to slots of another, one direction, in batches.
//
// Thread contract: one thread at a time calls submit, poll and cancel_all (the mover's). `info()` is
// constant and may be called from any thread.
//
// Contract of every link (tests/conformance holds each to it):
//   1. `submit` takes a prefix of what it is given and copies the descriptors; fewer taken means full.
//   2. Every taken Copy completes exactly once, and only through `poll`, in any order.
//   3. Both slots stay untouched by others from submit to completion: that is the caller's promise.
//   4. A Completion with ok() says that all slot_bytes are at the destination. After any other status
//      the destination's bytes are undefined; the source is never changed.
//   5. After `cancel_all` everything taken completes within bounded time, as kCanceled or as it went; what is
//      submitted later is not affected. A device may break this: nobody relies on it but to end sooner.
//   6. Destruction with copies in flight waits for them: the device touches no slot afterwards.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kelvin/block.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin {

// One block to be copied.
struct Copy {
  std::uint64_t tag = 0;  // returned in the Completion
  Slot from;              // in LinkInfo::from
  Slot to;                // in LinkInfo::to
  bool checksum = true;   // compute crc32c of the bytes and report it
  // For links that store it beside the bytes:
  std::uint32_t known_checksum = 0;  // crc32c of the bytes, where `checksum` is false
  BlockKey key;
  BlockKey parent;          // if has_parent
  bool has_parent = false;  // false: the first block of its prompt, or its parent is not known
  std::uint32_t depth = 0;  // blocks before it in its prefix; saturates
  // If not null: a link into segments stores here how many of them, from the first on, have arrived, and so
  // copies the first segments of all its copies first. It only rises, and lives until the completion; links
  // may leave it alone, for the completion says that all have.
  std::atomic<std::uint32_t>* arrived = nullptr;
};

// An end of a link.
enum class Side : std::uint8_t { kUnknown, kFrom, kTo };

struct Completion {
  std::uint64_t tag = 0;
  Status status;               // kIo, kUnavailable (device gone), kCanceled, kTimeout, kCorrupt
  std::uint32_t checksum = 0;  // crc32c of the bytes that arrived, if asked for and status.ok()
  // With kIo: the device of this slot has failed, and others of the tier go on. The slot is not used again;
  // the failure does not count toward taking the tier offline.
  bool slot_only = false;
  // Whose device failed, where the link knows: it is that tier which goes offline, and a copy in the other
  // one is as good as before. kUnknown: of a device and host memory the device, else the farther tier.
  Side failed = Side::kUnknown;
};

struct LinkInfo {
  std::string name;  // "dram>nvme"
  const Tier* from = nullptr;
  const Tier* to = nullptr;
  std::uint32_t depth = 1;             // copies it can have in flight
  std::uint64_t latency_ns = 0;        // estimate for one block at start-up; the mover measures on
  std::uint64_t bytes_per_second = 0;  // likewise
  int wake_fd = -1;  // readable when `poll` has something; -1: poll whenever something is in flight
  // Of a link that may find out while it serves that it has to take a slower way: why, for a person, once it
  // does; lives as long as the link. Null: it has no slower way.
  const std::atomic<const char*>* slowed = nullptr;
};

class Link {
 public:
  virtual ~Link() = default;

  virtual const LinkInfo& info() const noexcept = 0;

  // Returns how many of `copies` were taken, from the first. Precondition: slots are in range.
  virtual std::size_t submit(std::span<const Copy> copies) noexcept = 0;

  // Writes up to done.size() completions; returns how many. Never blocks. A synchronous link does its
  // work here.
  virtual std::size_t poll(std::span<Completion> done) noexcept = 0;

  // Asks for an early end of everything in flight; the completions still come from `poll`.
  virtual void cancel_all() noexcept = 0;

 protected:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
};

}  // namespace kelvin
