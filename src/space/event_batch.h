// Events that differ in their block only, handed to the planner in batches.
//
// Thread contract: one thread, on its stack.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "kelvin/policy.h"
#include "planner/planner.h"

namespace kelvin {

inline std::uint32_t retain_seconds(std::chrono::seconds wish) noexcept {
  constexpr std::int64_t kMost = Event::kMostRetainS;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(wish.count(), 0, kMost));
}

// An event of no block yet.
inline Event event_of(EventKind kind, TierIndex tier, const Hints& hints, std::uint64_t now_ns) noexcept {
  Event event;
  event.kind = kind;
  event.tier = tier;
  event.finish = hints.finish;
  event.priority = hints.priority;
  event.time_ns = now_ns;
  event.session = hints.session;
  event.output_tokens = hints.output_tokens;
  event.retain_s = retain_seconds(hints.retain_for) & Event::kMostRetainS;
  return event;
}

// The wish for block `i` of a lease: that of the last range which names it, else `event`'s own.
inline void apply(std::span<const RetainRange> ranges, std::size_t i, Event& event) noexcept {
  for (const RetainRange& range : ranges) {
    if (i < range.first || i - range.first >= range.blocks) continue;
    event.priority = range.priority;
    event.retain_s = retain_seconds(range.retain_for) & Event::kMostRetainS;
  }
}

class EventBatch {
 public:
  EventBatch(Planner& planner, const Event& common) noexcept : planner_(planner), common_(common) {}
  ~EventBatch() { flush(); }
  EventBatch(const EventBatch&) = delete;
  EventBatch& operator=(const EventBatch&) = delete;

  void add(BlockId block) noexcept { add(block, common_.tier); }
  // `ranges`: those of the lease in which the block is number `i`.
  void add(BlockId block, TierIndex tier, std::span<const RetainRange> ranges = {},
           std::size_t i = 0) noexcept {
    Event& event = events_[count_++];
    event = common_;
    event.block = block;
    event.tier = tier;
    if (!ranges.empty()) apply(ranges, i, event);
    ++size_;
    if (count_ == events_.size()) flush();
  }

  std::uint64_t size() const noexcept { return size_; }

 private:
  void flush() noexcept {
    if (count_ != 0) planner_.record({events_.data(), count_});
    count_ = 0;
  }

  Planner& planner_;
  const Event common_;
  std::array<Event, 64> events_;
  std::size_t count_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace kelvin
