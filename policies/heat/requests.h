// The latest requests, and how many of the blocks each touched still wait for their next use.
//
// All blocks that one request used last, in one part of it, share one fate: heat is computed once for them.
// A ring: a new request takes the place of the oldest one, whose blocks then count as forgotten.
//
// Thread contract: one thread. Allocates at construction only.
// Invariants:
//   1. Serials grow; a serial names the same request until capacity() newer ones have begun.
//   2. waiting[p] counts the blocks, resident or ghost, that this request used last and has counted.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/policy.h"
#include "policies/heat/hazard.h"
#include "policies/heat/pace.h"

namespace kelvin::heat {

// The first cache line is what ranking blocks reads.
struct alignas(64) Request {
  std::uint64_t begin_ns = 0;
  std::uint8_t bin = 0;
  std::uint8_t ready = 0;  // bit p: the heats of part p were computed for `bin`
  std::uint8_t moved = 0;  // requests of the session since then that do not continue this one
  FinishReason finish = FinishReason::kUnknown;
  bool closed = false;                    // its lease ended: the blocks are counted
  bool settled = false;                   // the gap before it was learned from, forks were counted
  std::array<float, kParts> heat{};       // uses a second, at the beginning of `bin`
  std::array<float, kParts> next_heat{};  // at its end

  std::uint64_t session = 0;   // 0: unknown
  BlockId tail;                // deepest block so far
  std::uint32_t depth = 0;     // blocks of the prompt so far, with those that were refused
  std::uint32_t kept = 0;      // of these, how many were not: the depth of the tail and one
  std::uint32_t known = 0;     // of these, how many from the root were known before
  std::uint32_t previous = 0;  // serial of the request that used the deepest known block before
  std::uint32_t sibling = 0;   // serial of an earlier request of the session
  std::uint32_t output = 0;    // tokens
  std::uint16_t turn = 0;      // requests that this one continues
  float last_gap = 0;          // logarithms, as Pace has them; where turn > 0
  float mean_gap = 0;          // recent gaps weigh more
  float linear_gap = 0;        // recent mean of the gaps themselves, seconds
  float surprise = 0;          // recent mean of gaps less what was foreseen
  std::array<std::uint32_t, kParts> waiting{};
  Traits traits;
};
static_assert(sizeof(Request) == 192);

class Requests {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  Requests(std::uint32_t capacity, const Hazard::Rates& rates);

  // Begins a request; it is the newest until the next call. First learns from the time that passed.
  std::uint32_t begin(std::uint64_t now_ns) noexcept;

  // Those that reached another bin of ages since they were forgotten, as far as there was room.
  std::span<const std::uint32_t> grown() const noexcept { return grown_; }
  void forget_grown() noexcept { grown_.clear(); }

  std::uint32_t newest() const noexcept { return next_ - 1; }

  // Null: never given out, or overwritten.
  Request* find(std::uint32_t serial) noexcept { return valid(serial) ? &at(serial) : nullptr; }
  const Request* find(std::uint32_t serial) const noexcept {
    return valid(serial) ? &ring_[place_of(serial)] : nullptr;
  }

  void prefetch(std::uint32_t serial) const noexcept { __builtin_prefetch(&ring_[place_of(serial)]); }

  // Says that the request continues what `previous` did, as far as it is known. Cheap; may be repeated.
  void follow(Request& request, std::uint32_t previous, std::uint32_t known) noexcept;
  // Brings what the model knows of the request up to date. True: it continues a session.
  bool describe(Request& request) noexcept;
  // Learns from the gap before a request that continues a session; once for each request.
  void learn_gap(const Request& request) noexcept;

  // The session of this request has left its other latest requests behind, but for the one that it continues.
  // Once for each request.
  void move_on(std::uint32_t serial, Request& request) noexcept;

  // `count` blocks of one part were used again.
  void returned(std::uint32_t serial, Part part, std::uint32_t count, std::uint64_t now_ns) noexcept;
  // A block is not watched any more.
  void lose(std::uint32_t serial, Part part) noexcept;

  float heat(Request& request, Part part, std::uint64_t now_ns) noexcept;

  std::uint32_t capacity() const noexcept { return capacity_; }
  Hazard& hazard() noexcept { return hazard_; }
  const Hazard& hazard() const noexcept { return hazard_; }
  Pace& pace() noexcept { return pace_; }
  const Pace& pace() const noexcept { return pace_; }

 private:
  bool valid(std::uint32_t serial) const noexcept {
    const std::uint32_t age = next_ - serial;
    return age != 0 && age <= count_;
  }
  // In 32 bits: a division in 64 takes several times as long.
  std::uint32_t place_of(std::uint32_t serial) const noexcept { return serial % capacity_; }
  Request& at(std::uint32_t serial) noexcept { return ring_[place_of(serial)]; }
  void prefetch_all(std::uint32_t serial) const noexcept {
    const auto* const lines = reinterpret_cast<const char*>(&ring_[place_of(serial)]);
    for (std::size_t at = 0; at < sizeof(Request); at += 64) __builtin_prefetch(lines + at);
  }
  bool continues(const Request& request, const Request& before) const noexcept;
  void let_time_pass(std::uint64_t now_ns) noexcept;
  static Pace::Inputs inputs(const Request& request) noexcept;

  const std::uint32_t capacity_;
  std::vector<Request> ring_;
  std::vector<std::uint32_t> latest_;  // by hash of the session: serial of its latest request
  std::vector<std::uint32_t> grown_;
  std::uint32_t next_ = 0;   // serial
  std::uint32_t count_ = 0;  // valid ones before next_
  // Serial of the first request that has not reached the end of this bin.
  std::array<std::uint32_t, kBins> reached_{};
  std::array<std::uint64_t, kBins> due_ns_{};  // when that one will reach it; 0: to be looked up
  Hazard hazard_;
  Pace pace_;
};

}  // namespace kelvin::heat
