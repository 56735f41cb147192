// Events that differ in their block only, handed to the planner in batches.
//
// Thread contract: one thread, on its stack.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "kelvin/policy.h"
#include "planner/planner.h"

namespace kelvin {

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
  event.retain_s =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(hints.retain_for.count(), 0, 0xFFFF'FFFF));
  return event;
}

class EventBatch {
 public:
  EventBatch(Planner& planner, const Event& common) noexcept : planner_(planner), common_(common) {}
  ~EventBatch() { flush(); }
  EventBatch(const EventBatch&) = delete;
  EventBatch& operator=(const EventBatch&) = delete;

  void add(BlockId block) noexcept { add(block, common_.tier); }
  void add(BlockId block, TierIndex tier) noexcept {
    Event& event = events_[count_++];
    event = common_;
    event.block = block;
    event.tier = tier;
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
