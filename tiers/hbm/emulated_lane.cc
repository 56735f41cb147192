// See emulated_lane.h.
#include "tiers/hbm/emulated_lane.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "checksum/crc32c.h"

namespace kelvin::hbm {
namespace {

constexpr std::chrono::microseconds kLookAtWord{20};

}  // namespace

EmulatedLanes::EmulatedLanes(std::uint32_t records) : marks_(records) {
  free_marks_.reserve(records);
  for (std::uint32_t i = records; i-- > 0;) free_marks_.push_back(i);
}

Result<Record> EmulatedLanes::record(const EmulatedLane& lane) noexcept {
  if (lost_) return Status(Code::kUnavailable, "recording on an emulated device", ENODEV);
  if (free_marks_.empty()) return Status(Code::kBusy, "recording on an emulated device");
  const std::uint32_t index = free_marks_.back();
  free_marks_.pop_back();
  Mark& mark = marks_[index];
  mark.lane = lane.number_;
  mark.done = lane.put_;
  return (static_cast<Record>(++mark.turn) << 32) | (index + 1);
}

const EmulatedLanes::Mark* EmulatedLanes::find(Record record) const noexcept {
  const std::uint64_t index = (record & 0xFFFFFFFFU) - 1;
  if (index >= marks_.size() || marks_[index].turn != record >> 32) return nullptr;
  return &marks_[index];
}

bool EmulatedLanes::reached(std::uint64_t lane, std::uint64_t done) const noexcept {
  const auto at = std::ranges::find(lanes_, lane, [](const EmulatedLane* l) { return l->number_; });
  return at == lanes_.end() || (*at)->done_ >= done;
}

Status EmulatedLanes::passed(Record record) const noexcept {
  if (lost_) return {Code::kUnavailable, "asking an emulated device", ENODEV};
  if (record == 0) return {};
  const Mark* mark = find(record);
  if (mark == nullptr) return {Code::kMisuse, "asking for a record that was given back"};
  return reached(mark->lane, mark->done) ? Status() : Status(Code::kBusy, "work on an emulated device");
}

void EmulatedLanes::give_back(Record record) noexcept {
  const Mark* mark = find(record);
  if (mark == nullptr) return;
  const auto index = static_cast<std::uint32_t>(mark - marks_.data());
  ++marks_[index].turn;
  free_marks_.push_back(index);
}

EmulatedOperation EmulatedLanes::after(Record record) const noexcept {
  EmulatedOperation wait;
  wait.kind = EmulatedOperation::Kind::kAfter;
  if (const Mark* mark = find(record)) {
    wait.lane = mark->lane;
    wait.done = mark->done;
  }
  return wait;
}

void EmulatedLanes::lose(Mutex& mu) noexcept {
  // Nothing is under way when the first caller hears of it: its memory is the caller's again.
  stalled_ = true;
  while (std::ranges::any_of(lanes_, [](const EmulatedLane* lane) { return lane->busy_; })) changed_.wait(mu);
  lost_ = true;
  changed_.notify_all();
}

void EmulatedLanes::stall(bool on) noexcept {
  stalled_ = on;
  changed_.notify_all();
}

EmulatedLane::EmulatedLane(Mutex& mu, EmulatedLanes& lanes) : mu_(mu), lanes_(lanes), ring_(1024) {
  {
    const MutexLock lock(mu_);
    number_ = ++lanes_.last_lane_;
    lanes_.lanes_.push_back(this);
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    const MutexLock lock(mu_);
    std::erase(lanes_.lanes_, this);
    throw;
  }
}

EmulatedLane::~EmulatedLane() {
  {
    const MutexLock lock(mu_);
    closing_ = true;
    lanes_.changed_.notify_all();
  }
  thread_.join();
  const MutexLock lock(mu_);
  std::erase(lanes_.lanes_, this);
  lanes_.changed_.notify_all();
}

void EmulatedLane::put(const EmulatedOperation& operation) {
  if (count_ == ring_.size()) {
    std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(first_), ring_.end());
    first_ = 0;
    ring_.resize(ring_.size() * 2);
  }
  ring_[(first_ + count_) % ring_.size()] = operation;
  ++count_;
  ++put_;
  lanes_.changed_.notify_all();
}

void EmulatedLane::drain() noexcept {
  const std::uint64_t all = put_;
  while (done_ < all) lanes_.changed_.wait(mu_);
}

void EmulatedLane::wait_for_room(std::size_t operations) noexcept {
  while (count_ >= operations && !lanes_.lost_) lanes_.changed_.wait(mu_);
}

bool EmulatedLane::may_go(const Operation& operation) const noexcept {
  if (lanes_.stalled_) return false;
  if (operation.kind == Operation::Kind::kAfter) return lanes_.reached(operation.lane, operation.done);
  if (operation.kind != Operation::Kind::kWord) return true;
  const std::uint32_t now = operation.word->load(std::memory_order_acquire);
  return static_cast<std::int32_t>(now - operation.value) >= 0;
}

void EmulatedLane::run() noexcept {
  const MutexLock lock(mu_);
  for (;;) {
    if (lanes_.lost_) give_up();
    if (count_ == 0 && closing_) return;
    if (count_ == 0) {
      lanes_.changed_.wait(mu_);
      continue;
    }
    const Operation operation = ring_[first_];
    if (!may_go(operation)) {
      if (operation.kind == Operation::Kind::kWord) {
        lanes_.changed_.wait_for(mu_, kLookAtWord);
      } else {
        lanes_.changed_.wait(mu_);
      }
      continue;
    }
    busy_ = true;
    mu_.unlock();
    carry_out(operation);
    mu_.lock();
    busy_ = false;
    first_ = (first_ + 1) % ring_.size();
    --count_;
    ++done_;
    lanes_.changed_.notify_all();
  }
}

void EmulatedLane::carry_out(const Operation& operation) noexcept {
  switch (operation.kind) {
    case Operation::Kind::kCopy: std::memmove(operation.to, operation.from, operation.bytes); break;
    case Operation::Kind::kSum: sum_ = crc32c(operation.from, operation.bytes, sum_); break;
    case Operation::Kind::kStoreSum:
      *operation.result = sum_;
      sum_ = 0;
      break;
    case Operation::Kind::kCall:
      (*operation.call)();
      delete operation.call;
      break;
    case Operation::Kind::kDelay: std::this_thread::sleep_for(operation.delay); break;
    case Operation::Kind::kAfter:
    case Operation::Kind::kWord: break;
  }
}

void EmulatedLane::give_up() noexcept {
  for (; count_ > 0; --count_) {
    if (ring_[first_].kind == Operation::Kind::kCall) delete ring_[first_].call;
    first_ = (first_ + 1) % ring_.size();
  }
  if (done_ == put_) return;
  done_ = put_;
  lanes_.changed_.notify_all();
}

}  // namespace kelvin::hbm
