// HbmLink: from groups to what is on the device's queues.
#include <algorithm>

#include "tiers/hbm/hbm_link.h"

namespace kelvin::hbm {

// Goes on with the lane's last group until it is put, or the queue is full.
void HbmLink::put(Lane& lane) noexcept {
  if (lane.putting == kNone) return;
  Group& group = groups_[lane.putting];
  while (group.stage != Stage::kPut) {
    const Status status = put_stage(*lane.queue, group);
    if (status.code() == Code::kBusy) return;
    if (status.ok()) continue;
    if (group.status.ok()) group.status = status;
    const bool lost = status.code() == Code::kUnavailable;
    // Something may be under way all the same: a record tells when it is over. Without one nothing does.
    if (!lost && group.stage == Stage::kRecord) return;
    group.stage = lost ? Stage::kPut : Stage::kRecord;
  }
  lane.putting = kNone;
}

Status HbmLink::put_stage(Queue& queue, Group& group) noexcept {
  Status status;
  switch (group.stage) {
    case Stage::kOrder:
      status = put_order(queue, group);
      if (status.ok()) group.stage = Stage::kBytes;
      break;
    case Stage::kBytes: status = put_bytes(queue, group); break;
    case Stage::kSums: status = put_sums(queue, group); break;
    case Stage::kRecord:
      status = put_record(queue, group, info_.to->info().segments);
      if (status.ok()) group.stage = Stage::kPut;
      break;
    case Stage::kPut: break;
  }
  return status;
}

Status HbmLink::put_order(Queue& queue, const Group& group) noexcept {
  const auto order = [&](const HbmTier* tier, Slot Copy::*side) -> Status {
    if (tier == nullptr || &tier->device() != &device_) return {};
    slots_.clear();
    for (std::uint32_t id = group.first; id != kNone; id = operations_[id].next)
      slots_.push_back(operations_[id].copy.*side);
    return tier->streams().order(queue, slots_);
  };
  const Status status = order(from_, &Copy::from);
  return status.ok() ? order(to_, &Copy::to) : status;
}

// One call of the device. At the end of a step a record, which may be missing: those behind it tell of more.
Status HbmLink::put_bytes(Queue& queue, Group& group) noexcept {
  Group next = group;
  list_pieces(next);
  const std::uint64_t count = pieces_.all().size();
  const Way way = main_.way(direction_, pieces_.bytes() / count, count, grained_);
  if (const Status status = queue.copy(direction_, way, pieces_.all()); !status.ok()) return status;
  group.operation = next.operation;
  group.offset = next.offset;
  if (group.operation != kNone) return {};
  group.operation = group.first;
  if (++group.step == group.steps) {
    group.stage = sums_on_device_ ? Stage::kSums : Stage::kRecord;
    return {};
  }
  const Status recorded = put_record(queue, group, segments_by(group, group.step));
  return recorded.code() == Code::kUnavailable ? recorded : Status();
}

// The pieces that come next, up to the end of the step, and moves on behind them.
void HbmLink::list_pieces(Group& group) noexcept {
  const std::uint64_t segment_bytes = info_.to->info().segment_bytes;
  const std::uint64_t begin = segments_by(group, group.step) * segment_bytes;
  const std::uint64_t end = segments_by(group, group.step + 1) * segment_bytes;
  pieces_.clear();
  while (group.operation != kNone && !pieces_.full()) {
    const Operation& operation = operations_[group.operation];
    group.offset = std::max(group.offset, begin);
    BlockWalk from(source(operation), group.offset);
    BlockWalk to(target(operation), group.offset);
    while (group.offset < end && !pieces_.full()) {
      const std::uint64_t bytes = std::min({from.left(), to.left(), end - group.offset});
      pieces_.add(from.here(), to.here(), bytes);
      from.advance(bytes);
      to.advance(bytes);
      group.offset += bytes;
    }
    if (group.offset < end) return;
    pieces_.end_block();
    group.operation = operation.next;
    group.offset = 0;
  }
}

// How many of the target's segments are under way when so many steps are put.
std::uint32_t HbmLink::segments_by(const Group& group, std::uint32_t step) const noexcept {
  const std::uint64_t segments = info_.to->info().segments;
  return static_cast<std::uint32_t>(segments * step / group.steps);
}

BlockBytes HbmLink::source(const Operation& operation) const noexcept {
  if (operation.buffer != kNone && !to_host()) return {nullptr, {}, buffer(operation.buffer)};
  return {info_.from, operation.copy.from, nullptr};
}

BlockBytes HbmLink::target(const Operation& operation) const noexcept {
  if (operation.buffer != kNone && to_host()) return {nullptr, {}, buffer(operation.buffer)};
  return {info_.to, operation.copy.to, nullptr};
}

Status HbmLink::put_sums(Queue& queue, Group& group) noexcept {
  for (; group.operation != kNone; group.operation = operations_[group.operation].next) {
    if (!operations_[group.operation].copy.checksum) continue;
    extents_.clear();
    add_extents(*info_.from, operations_[group.operation].copy.from, extents_);
    if (const Status s = queue.checksum(extents_, sum_of(group.operation)); !s.ok()) return s;
  }
  group.stage = Stage::kRecord;
  return {};
}

Status HbmLink::put_record(Queue& queue, Group& group, std::uint32_t arrived) noexcept {
  const auto made = queue.record();
  if (!made.ok()) return made.status();
  group.records[group.made] = *made;
  group.arrived[group.made++] = arrived;
  return {};
}

}  // namespace kelvin::hbm
