// The engine's side of EmulatedDevice, and what can go wrong with it.
#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "tiers/hbm/emulated_device.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kNoStream = "a stream of an emulated device";

}  // namespace

EmulatedLane* EmulatedDevice::lane_of(Stream stream) noexcept {
  if (stream == nullptr) return streams_.front().get();
  const auto known =
      std::ranges::find(streams_, stream, [](const auto& owned) -> Stream { return owned.get(); });
  return known == streams_.end() ? nullptr : known->get();
}

EmulatedLane* EmulatedDevice::lane_with_room(Stream stream) noexcept {
  EmulatedLane* const lane = lane_of(stream);
  if (lane != nullptr) lane->wait_for_room(stream_room_);
  return lane;
}

Result<Record> EmulatedDevice::record(Stream stream) noexcept {
  const MutexLock lock(mu_);
  const EmulatedLane* lane = lane_with_room(stream);
  if (lane == nullptr) return Status(Code::kInvalid, kNoStream);
  return lanes_.record(*lane);
}

Status EmulatedDevice::after(Stream stream, Record record) noexcept {
  const MutexLock lock(mu_);
  EmulatedLane* lane = lane_with_room(stream);
  if (lanes_.lost()) return {Code::kUnavailable, kNoStream, ENODEV};
  if (lane == nullptr) return {Code::kInvalid, kNoStream};
  try {
    lane->put(lanes_.after(record));
    return {};
  } catch (const std::bad_alloc&) {
    return {Code::kFull, kNoStream};
  }
}

Status EmulatedDevice::wait(Stream stream, const std::atomic<std::uint32_t>* word,
                            std::uint32_t value) noexcept {
  const MutexLock lock(mu_);
  EmulatedLane* lane = lane_with_room(stream);
  if (lanes_.lost()) return {Code::kUnavailable, kNoStream, ENODEV};
  if (!properties_.waits_for_words) return {Code::kUnsupported, "waiting for a word"};
  if (!covers(registered_, word, sizeof *word)) return {Code::kInvalid, "waiting for a word", EFAULT};
  if (lane == nullptr) return {Code::kInvalid, kNoStream};
  EmulatedOperation operation;
  operation.kind = EmulatedOperation::Kind::kWord;
  operation.word = word;
  operation.value = value;
  try {
    lane->put(operation);
    return {};
  } catch (const std::bad_alloc&) {
    return {Code::kFull, kNoStream};
  }
}

Stream EmulatedDevice::make_stream() {
  auto lane = std::make_unique<EmulatedLane>(mu_, lanes_);
  EmulatedLane* const stream = lane.get();
  const MutexLock lock(mu_);
  streams_.push_back(std::move(lane));
  return stream;
}

void EmulatedDevice::close_stream(Stream stream) {
  std::unique_ptr<EmulatedLane> ending;
  const MutexLock lock(mu_);
  EmulatedLane* const lane = lane_of(stream);
  if (lane == nullptr || stream == nullptr) return;
  lane->drain();
  const auto known = std::ranges::find(streams_, lane, [](const auto& owned) { return owned.get(); });
  ending = std::move(*known);
  streams_.erase(known);
}

void EmulatedDevice::launch(Stream stream, std::function<void()> call) {
  auto owned = std::make_unique<std::function<void()>>(std::move(call));
  const MutexLock lock(mu_);
  EmulatedLane* lane = lane_with_room(stream);
  if (lane == nullptr || lanes_.lost()) return;
  EmulatedOperation operation;
  operation.kind = EmulatedOperation::Kind::kCall;
  operation.call = owned.get();
  lane->put(operation);
  static_cast<void>(owned.release());  // the lane's now
}

void EmulatedDevice::synchronize(Stream stream) {
  const MutexLock lock(mu_);
  if (EmulatedLane* lane = lane_of(stream)) lane->drain();
}

void EmulatedDevice::lose() noexcept {
  const MutexLock lock(mu_);
  lanes_.lose(mu_);
}

void EmulatedDevice::stall() noexcept {
  const MutexLock lock(mu_);
  lanes_.stall(true);
}

void EmulatedDevice::resume() noexcept {
  const MutexLock lock(mu_);
  lanes_.stall(false);
}

void EmulatedDevice::fail_copies(std::uint32_t calls, Code code) noexcept {
  const MutexLock lock(mu_);
  failure_ = code;
  failing_copies_ = calls;
}

void EmulatedDevice::fail_registrations(std::uint32_t calls) noexcept {
  const MutexLock lock(mu_);
  failing_registrations_ = calls;
}

void EmulatedDevice::limit_memory(std::uint64_t bytes) noexcept {
  const MutexLock lock(mu_);
  limit_bytes_ = bytes;
}

void EmulatedDevice::limit_streams(std::uint32_t operations) noexcept {
  const MutexLock lock(mu_);
  stream_room_ = operations;
}

void EmulatedDevice::delay(Way way, EmulatedCost cost) noexcept {
  const MutexLock lock(mu_);
  costs_[static_cast<std::size_t>(way)] = cost;
}

void EmulatedDevice::delay_checksums(EmulatedCost cost) noexcept {
  const MutexLock lock(mu_);
  checksum_cost_ = cost;
}

std::uint64_t EmulatedDevice::delayed_ns() const noexcept {
  const MutexLock lock(mu_);
  return static_cast<std::uint64_t>(delayed_.count());
}

void EmulatedDevice::pause(EmulatedLane& lane, const EmulatedCost& cost, std::size_t pieces) {
  EmulatedOperation operation;
  operation.kind = EmulatedOperation::Kind::kDelay;
  operation.delay = cost.call + cost.piece * static_cast<std::int64_t>(pieces);
  delayed_ += operation.delay;
  if (operation.delay > std::chrono::nanoseconds(0)) lane.put(operation);
}

}  // namespace kelvin::hbm
