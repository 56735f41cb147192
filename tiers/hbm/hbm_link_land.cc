// HbmLink: from groups that are done to completions.
#include "checksum/crc32c.h"
#include "tiers/hbm/hbm_link.h"

namespace kelvin::hbm {
namespace {

// What a Completion may say.
Status failure(const Status& status) noexcept {
  const bool gone = status.code() == Code::kUnavailable;
  return {gone ? Code::kUnavailable : Code::kIo, status.context(), status.native()};
}

}  // namespace

void HbmLink::collect(Lane& lane) noexcept {
  put(lane);
  while (!lane.active.empty() && ended(groups_[lane.active.front()])) {
    const std::uint32_t id = lane.active.pop();
    const Group& group = groups_[id];
    for (std::uint32_t op = group.first; op != kNone;) {
      const std::uint32_t next = operations_[op].next;
      land(op, group.status);
      op = next;
    }
    free_groups_.push(id);
  }
}

bool HbmLink::ended(Group& group) noexcept {
  while (group.passed < group.made) {
    const Status status = device_.passed(group.records[group.passed]);
    // Anything but the loss of the device leaves open whether it is done.
    if (!status.ok() && status.code() != Code::kUnavailable) return false;
    if (!status.ok()) group.status = status;
    device_.give_back(group.records[group.passed]);
    if (group.status.ok()) tell_arrived(group, group.arrived[group.passed]);
    ++group.passed;
  }
  return group.stage == Stage::kPut;
}

void HbmLink::tell_arrived(const Group& group, std::uint32_t segments) const noexcept {
  for (std::uint32_t id = group.first; id != kNone; id = operations_[id].next) {
    // Release: the segments' bytes are there for whoever reads the number.
    if (auto* arrived = operations_[id].copy.arrived) arrived->store(segments, std::memory_order_release);
  }
}

void HbmLink::land(std::uint32_t id, const Status& status) noexcept {
  Operation& operation = operations_[id];
  operation.on_device = false;
  if (!status.ok()) {
    operation.status = failure(status);
  } else if (sums_on_device_ && operation.copy.checksum) {
    operation.checksum = *sum_of(id);
  }
  const bool sums = operation.copy.checksum && !sums_on_device_;
  if (to_host() && status.ok() && (operation.buffer != kNone || sums)) {
    operation.on_host = true;
    to_host_work_.push(id);
  }
  if (!operation.on_host) finish(id);
}

void HbmLink::work_on_host() noexcept {
  while (!to_host_work_.empty() && host_bytes_ < kHostBytesPerCall) {
    const std::uint32_t id = to_host_work_.pop();
    Operation& operation = operations_[id];
    operation.on_host = false;
    if (operation.status.ok()) {
      if (operation.buffer != kNone) {
        empty_buffer(operation);
      } else {
        sum_on_host(operation);
      }
      host_bytes_ += slot_bytes_;
    }
    if (!operation.on_device) finish(id);
  }
}

void HbmLink::sum_on_host(Operation& operation) const noexcept {
  const Slot slot = host_slot(operation.copy);
  const TierInfo& info = host_->info();
  for (std::uint32_t segment = 0; segment < info.segments; ++segment) {
    operation.checksum =
        crc32c(host_->address(slot, segment).pointer, info.segment_bytes, operation.checksum);
  }
}

void HbmLink::empty_buffer(Operation& operation) noexcept {
  const BlockBytes from{nullptr, {}, buffer(operation.buffer)};
  const BlockBytes to{host_, operation.copy.to, nullptr};
  const bool sums = operation.copy.checksum && !sums_on_device_;
  each_piece(from, to, 0, slot_bytes_, [&](const std::byte* source, std::byte* target, std::uint64_t bytes) {
    if (sums) {
      operation.checksum = copy_crc32c(target, source, bytes, operation.checksum);
    } else {
      copy_stream(target, source, bytes);
    }
  });
}

void HbmLink::finish(std::uint32_t id) noexcept {
  Operation& operation = operations_[id];
  if (operation.buffer != kNone) free_buffers_.push(operation.buffer);
  operation.buffer = kNone;
  finished_.push(id);
}

}  // namespace kelvin::hbm
