// publish_on, acquire_on, release_on, and what a stream is told of a ticket: see core.h.
#include "space/core.h"

namespace kelvin {

// May throw. The list of slots is for calls that are made later, by the mover too.
void Core::reserve_entries(Hold& hold, std::size_t blocks) const {
  if (hold.entries.capacity() < blocks) hold.entries.reserve(blocks);
  if (topology_->tier(hold.tier).info().streams == nullptr) return;
  if (hold.streams.slots.capacity() < blocks) hold.streams.slots.reserve(blocks);
}

// Those in `tier` that are leased or writable.
std::span<const Slot> Core::list_slots(Hold& hold) noexcept {
  std::vector<Slot>& slots = hold.streams.slots;
  slots.clear();
  for (const HoldEntry& entry : hold.entries) {
    if (entry.kind != HoldEntry::Kind::kLoading) slots.push_back(entry.slot);
  }
  return slots;
}

Status Core::publish_on(Hold& hold, Stream stream, std::span<const BlockKey> chain, std::size_t first,
                        const Hints& hints, std::span<const RetainRange> ranges) noexcept {
  Streams* const streams = topology_->tier(hold.tier).info().streams;
  if (streams == nullptr)
    return Status(Code::kUnsupported, "publish_on: the tier has no streams; wait for the kernels, publish");
  if (const Status status = may_publish(hold, chain, first); !status.ok()) return status;
  const auto mark = streams->follow(stream, list_slots(hold));
  if (!mark.ok()) {
    if (mark.status().code() == Code::kUnavailable) report_lost(hold.tier);
    return mark.status();
  }
  hold.streams.written = *mark;
  return make_blocks(hold, chain, first, hints, ranges);
}

Result<Hold*> Core::acquire_on(std::span<const BlockKey> chain, TierIndex tier, Stream stream,
                               const AcquireOptions& options) noexcept {
  if (!has_tier(tier)) return Status(Code::kInvalid, "acquire_on: no such tier");
  Streams* const streams = topology_->tier(tier).info().streams;
  if (streams == nullptr)
    return Status(Code::kUnsupported, "acquire_on: the tier has no streams; use acquire");
  const auto hold = pin_known(chain, tier, options);
  if (!hold.ok()) return hold;
  const Status ordered = streams->precede(stream, list_slots(**hold));
  if (!ordered.ok()) {
    if (ordered.code() == Code::kUnavailable) report_lost(tier);
    for (const HoldEntry& entry : (*hold)->entries) residency_->slots(entry.source).unpin(entry.slot);
    holds_->give(*hold);
    return ordered;
  }
  if ((*hold)->pending != 0) {
    begin_early(**hold, stream, *streams);
    return load_rest(*hold);
  }
  (*hold)->state.store(Hold::kDone, std::memory_order_release);
  return hold;
}

void Core::begin_early(Hold& hold, Stream stream, Streams& streams) const noexcept {
  HoldStreams& own = hold.streams;
  const auto words = streams.words();
  own.early = true;
  own.stream = stream;
  // Where the last use of the hold has left it: what was put on a stream for that one waits no more.
  own.base = hold.index < words.size() ? words[hold.index].load(std::memory_order_relaxed) : 0;
  own.asked = static_cast<std::uint32_t>(hold.entries.size());
  own.unplaced = hold.pending;
  for (HoldEntry& entry : hold.entries) {
    if (entry.kind != HoldEntry::Kind::kLeased) continue;
    entry.into = entry.slot;
    entry.placed = true;
  }
}

// Whoever waits on a stream for a ticket that is answered already does not wait.
Status Core::wait_on_stream(const Hold& hold, std::uint32_t segments) noexcept {
  if (hold.state.load(std::memory_order_acquire) == Hold::kDone) return Status();
  const HoldStreams& own = hold.streams;
  if (!own.early) return Status(Code::kMisuse, "wait_on_stream: the ticket is not one of acquire_on");
  const TierInfo& info = topology_->tier(hold.tier).info();
  const bool all = segments >= info.segments;
  const Status status =
      info.streams->wait(own.stream, hold.index, own.base + (all ? info.segments + 1 : segments));
  if (status.code() == Code::kUnavailable) report_lost(hold.tier);
  return status;
}

Result<std::uint32_t> Core::slots(const Hold& hold, std::span<Slot> slots) const noexcept {
  const bool done = hold.state.load(std::memory_order_acquire) == Hold::kDone;
  if (!done && !hold.streams.placed.load(std::memory_order_acquire))
    return Status(Code::kBusy, "slots: not every block has its slot yet");
  const std::size_t count = done ? hold.entries.size() : hold.streams.asked;
  if (slots.size() < count) return Status(Code::kInvalid, "slots: the span is shorter than the prefix");
  const HoldEntry* const entries = hold.entries.data();
  for (std::size_t i = 0; i < count; ++i) slots[i] = done ? entries[i].slot : entries[i].into;
  return static_cast<std::uint32_t>(count);
}

std::uint32_t Core::segments_ready(const Hold& hold) const noexcept {
  if (hold.state.load(std::memory_order_acquire) == Hold::kDone)
    return topology_->tier(hold.tier).info().segments;
  return hold.streams.ready.load(std::memory_order_acquire);
}

Status Core::release_on(Hold* hold, Stream stream, const Hints& hints,
                        std::span<const RetainRange> ranges) noexcept {
  Streams* const streams = topology_->tier(hold->tier).info().streams;
  if (streams == nullptr)
    return Status(Code::kUnsupported, "release_on: the tier has no streams; wait for the kernels, release");
  // The lease's pins keep its slots: the slots themselves need not follow, and other readers not wait.
  const auto mark = streams->follow(stream, {});
  if (mark.ok()) {
    hold->streams.used = *mark;
  } else if (mark.status().code() != Code::kUnavailable) {
    return mark.status();
  } else {
    report_lost(hold->tier);
  }
  release(hold, hints, ranges);
  return Status();
}

// The mover looks after the hold until kernels have done with its slots; a space that is closing in this very
// moment does not any more.
void Core::part(Hold* hold) noexcept {
  refs_.fetch_add(1, std::memory_order_relaxed);  // the mover may be done with the last hold at once
  mover_->part(hold);
  if (closed_.load(std::memory_order_seq_cst)) {
    mover_->end_late_parted();
  } else if (driver_ != nullptr) {
    driver_->wake();
  }
  unref(this);
}

void Core::report_lost(TierIndex tier) noexcept {
  mover_->report_lost(tier);
  if (!closed() && driver_ != nullptr) driver_->wake();
}

}  // namespace kelvin
