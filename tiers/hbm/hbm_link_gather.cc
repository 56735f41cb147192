// HbmLink: from copies that wait to groups.
#include <algorithm>

#include "checksum/crc32c.h"
#include "tiers/hbm/hbm_link.h"

namespace kelvin::hbm {

void HbmLink::pump() noexcept {
  while (!waiting_.empty()) {
    Lane* const lane = lane_to_put_on();
    if (lane == nullptr) return;
    const std::uint32_t id = free_groups_.front();
    groups_[id] = {};
    if (!gather(groups_[id])) return;
    free_groups_.pop();
    lane->active.push(id);
    lane->putting = id;
    put(*lane);
  }
}

// In turn, as far as they are not full.
HbmLink::Lane* HbmLink::lane_to_put_on() noexcept {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[next_lane_];
    next_lane_ = (next_lane_ + 1) % lanes_.size();
    if (lane.putting == kNone) return &lane;
  }
  return nullptr;
}

// Takes what waits into a group, as much as is good for one; false: nothing can set out now. Copies that are
// waited for by segment stay together: the first segments of all of them come first.
bool HbmLink::gather(Group& group) noexcept {
  const bool steps = layered(operations_[waiting_.front()]);
  for (std::uint64_t bytes = 0; !waiting_.empty();) {
    const std::uint32_t id = waiting_.front();
    Operation& operation = operations_[id];
    if (layered(operation) != steps) break;
    if (bytes > 0 && !steps && bytes + slot_bytes_ > kGroupBytes) break;
    if (!prepare(operation)) break;
    waiting_.pop();
    operation.on_device = true;
    (group.last == kNone ? group.first : operations_[group.last].next) = id;
    group.last = id;
    bytes += slot_bytes_;
  }
  group.operation = group.first;
  group.steps = steps ? std::min(info_.to->info().segments, kSteps) : 1;
  return group.first != kNone;
}

// Whether it can set out: its host memory is pinned, or it has got a buffer; nobody uses its slot on another
// device.
bool HbmLink::prepare(Operation& operation) noexcept {
  if (direction_ == Direction::kToPeer) {
    // A queue cannot wait for the work of another device.
    return to_->streams().open_mark({&operation.copy.to, 1}) == 0;
  }
  if (host_ == nullptr) return true;
  if (!registration_->covers(host_slot(operation.copy))) {
    if (free_buffers_.empty() || (!to_host() && host_bytes_ >= kHostBytesPerCall)) return false;
    operation.buffer = free_buffers_.pop();
    if (!to_host()) fill_buffer(operation);
  } else if (!to_host() && operation.copy.checksum) {
    operation.on_host = true;
    to_host_work_.push(static_cast<std::uint32_t>(&operation - operations_.data()));
  }
  return true;
}

void HbmLink::fill_buffer(Operation& operation) noexcept {
  const BlockBytes from{host_, operation.copy.from, nullptr};
  const BlockBytes to{nullptr, {}, buffer(operation.buffer)};
  each_piece(from, to, 0, slot_bytes_, [&](const std::byte* source, std::byte* target, std::uint64_t bytes) {
    if (operation.copy.checksum) {
      operation.checksum = copy_crc32c(target, source, bytes, operation.checksum);
    } else {
      copy_stream(target, source, bytes);
    }
  });
  host_bytes_ += slot_bytes_;
}

}  // namespace kelvin::hbm
