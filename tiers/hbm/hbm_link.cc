// See hbm_link.h and hbm.h.
#include "tiers/hbm/hbm_link.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "tiers/hbm/hbm.h"

namespace kelvin::hbm {
namespace {

// Devices of one make reach each other's memory.
bool same_make(const Device& a, const Device& b) {
  const std::string& one = a.properties().name;
  const std::string& other = b.properties().name;
  return one.substr(0, one.find(':')) == other.substr(0, other.find(':'));
}

Direction direction_of(const HbmTier* from, const HbmTier* to) noexcept {
  if (from == nullptr) return Direction::kFromHost;
  if (to == nullptr) return Direction::kToHost;
  return &from->device() == &to->device() ? Direction::kWithin : Direction::kToPeer;
}

bool grained(const TierInfo& info) noexcept {
  return info.alignment % kKernelGrain == 0 && info.segment_bytes % kKernelGrain == 0;
}

bool joins(const LinkContext& context, const HbmTier* from, const HbmTier* to) {
  if (from == nullptr && to == nullptr) return false;
  if (context.from.info().slot_bytes != context.to.info().slot_bytes) return false;
  if (from == nullptr || to == nullptr)
    return (from == nullptr ? context.from : context.to).info().space == AddressSpace::kHost;
  return same_make(from->device(), to->device()) && from->device().properties().checksums;
}

}  // namespace

Result<std::unique_ptr<Link>> HbmLink::connect(const LinkContext& context, std::string* why) {
  const HbmTier* const from = HbmTier::of(context.from);
  const HbmTier* const to = HbmTier::of(context.to);
  if (!joins(context, from, to)) return std::unique_ptr<Link>();
  const HbmTier& main = from != nullptr ? *from : *to;
  std::unique_ptr<HbmLink> link(new HbmLink(context, main, direction_of(from, to)));
  if (const Status status = link->open(why); !status.ok()) {
    *why = format_text("link '{}': {}", link->info_.name, why->empty() ? status.message() : *why);
    return status;
  }
  return std::unique_ptr<Link>(std::move(link));
}

HbmLink::HbmLink(const LinkContext& context, const HbmTier& main, Direction direction)
    : main_(main),
      from_(HbmTier::of(context.from)),
      to_(HbmTier::of(context.to)),
      host_(from_ == nullptr ? &context.from : (to_ == nullptr ? &context.to : nullptr)),
      device_(main.device()),
      direction_(direction),
      slot_bytes_(context.from.info().slot_bytes),
      grained_(grained(context.from.info()) && grained(context.to.info())),
      sums_on_device_(from_ != nullptr && (host_ == nullptr || main.sums_on_device())),
      operations_(main.settings().depth),
      groups_(main.settings().depth),
      free_(numbered(main.settings().depth)),
      free_groups_(numbered(main.settings().depth)),
      free_buffers_(numbered(host_ == nullptr ? 0
                                              : static_cast<std::uint32_t>(
                                                    std::max<std::uint64_t>(kBufferBytes / slot_bytes_, 2)))),
      waiting_(main.settings().depth),
      to_host_work_(main.settings().depth),
      finished_(main.settings().depth) {
  info_.name = context.from.info().name + ">" + context.to.info().name;
  info_.from = &context.from;
  info_.to = &context.to;
  info_.depth = main.settings().depth;
  slots_.reserve(info_.depth);
  extents_.reserve(std::max(context.from.info().segments, context.to.info().segments));
  estimate();
}

Status HbmLink::open(std::string* why) {
  if (main_.settings().way == Way::kKernel && !grained_) {
    *why = format_text(
        "copy = \"kernel\" needs slots and segments at multiples of {} bytes on both sides: set copy to auto",
        kKernelGrain);
    return {Code::kInvalid, "joining an hbm tier"};
  }
  auto sums = Pinned::make(device_, info_.depth * sizeof(std::uint32_t), why);
  if (!sums.ok()) return sums.status();
  sums_ = std::move(*sums);
  if (host_ != nullptr) {
    auto buffers = Pinned::make(device_, free_buffers_.size() * slot_bytes_, why);
    if (!buffers.ok()) return buffers.status();
    buffers_ = std::move(*buffers);
    registration_ = &main_.registrations().acquire(*host_);
    info_.slowed = &registration_->failure();
  }
  for (std::uint32_t i = 0; i < main_.settings().queues; ++i) {
    auto queue = device_.open_queue(why);
    if (!queue.ok()) return queue.status();
    lanes_.push_back({std::move(*queue), Fifo<std::uint32_t>(info_.depth)});
  }
  return {};
}

void HbmLink::estimate() {
  const std::uint32_t segments = std::max(info_.from->info().segments, info_.to->info().segments);
  const std::uint64_t piece = slot_bytes_ / segments;
  const std::uint64_t blocks = std::max<std::uint64_t>(Calibration::kMostBytes / slot_bytes_, 1);
  const Calibration& calibration = main_.calibration();
  info_.latency_ns = calibration.estimate_ns(direction_, piece, segments);
  const std::uint64_t ns = calibration.estimate_ns(direction_, piece, segments * blocks);
  const double speed = static_cast<double>(slot_bytes_ * blocks) * 1e9 / static_cast<double>(ns);
  info_.bytes_per_second = std::max<std::uint64_t>(static_cast<std::uint64_t>(speed), 1);
}

HbmLink::~HbmLink() {
  for (Lane& lane : lanes_) {
    lane.queue.reset();  // waits for the device
    while (!lane.active.empty()) {
      const Group& group = groups_[lane.active.pop()];
      for (std::uint32_t i = group.passed; i < group.made; ++i) device_.give_back(group.records[i]);
    }
  }
  if (registration_ != nullptr) main_.registrations().release(*registration_);
}

std::size_t HbmLink::submit(std::span<const Copy> copies) noexcept {
  const std::size_t taken = std::min(copies.size(), free_.size());
  for (const Copy& copy : copies.first(taken)) {
    assert(copy.from.value < info_.from->info().slots && copy.to.value < info_.to->info().slots);
    const std::uint32_t id = free_.pop();
    operations_[id] = {};
    operations_[id].copy = copy;
    waiting_.push(id);
  }
  host_bytes_ = 0;
  pump();
  return taken;
}

std::size_t HbmLink::poll(std::span<Completion> done) noexcept {
  host_bytes_ = 0;
  for (Lane& lane : lanes_) collect(lane);
  work_on_host();
  pump();
  std::size_t count = 0;
  while (count < done.size() && !finished_.empty()) {
    const std::uint32_t id = finished_.pop();
    const Operation& operation = operations_[id];
    done[count++] = {operation.copy.tag, operation.status, operation.status.ok() ? operation.checksum : 0};
    free_.push(id);
  }
  return count;
}

// What the device has is not to be had back; it is bounded by the depth.
void HbmLink::cancel_all() noexcept {
  while (!waiting_.empty()) {
    const std::uint32_t id = waiting_.pop();
    operations_[id].status = Status(Code::kCanceled, "copying to or from a device");
    finish(id);
  }
}

namespace {

Result<std::unique_ptr<Link>> connect_hbm(const LinkContext& context, std::string* why) {
  try {
    return HbmLink::connect(context, why);
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "joining an hbm tier");
  }
}

}  // namespace
}  // namespace kelvin::hbm

namespace kelvin {

constinit const LinkFactory kHbmLink = {"hbm", hbm::connect_hbm};

}  // namespace kelvin
