// How a Calibration is measured, and kept.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/thread_annotations.h"
#include "checksum/crc32c.h"
#include "tiers/hbm/calibration.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {
namespace {

constexpr int kRepeats = 3;  // the first one also warms up; the shortest counts
// Two measurements that take so long are enough: the whole must stay well below a second. (One could be the
// host's own pause.)
constexpr std::uint64_t kSlowNs = 3'000'000;
constexpr int kSlowRepeats = 2;
constexpr std::chrono::seconds kGiveUp{2};  // a device that does not answer is not measured

struct Measured {
  Mutex mu;
  std::map<const Device*, std::unique_ptr<Calibration>> calibrations KELVIN_GUARDED_BY(mu);
};

// Never destroyed, as the devices are not.
Measured& measured() {
  static auto* const all = new Measured;
  return *all;
}

}  // namespace

// Memory on both sides and a queue; pieces lie twice as far apart as they are long, so that nobody makes one
// of them.
class Calibration::Bench {
 public:
  Bench(Device& device, Clock clock) : device_(device), clock_(std::move(clock)) {}

  bool open() {
    std::string why;
    auto memory = device_.allocate(2 * kMostBytes + 2 * kMostBytes, false, &why);
    auto host = Pinned::make(device_, 2 * kMostBytes, &why);
    auto queue = device_.open_queue(&why);
    if (!memory.ok() || !host.ok() || !queue.ok()) return false;
    memory_ = std::move(*memory);
    host_ = std::move(*host);
    queue_ = std::move(*queue);
    return true;
  }

  // The shortest time; kNever: this way is not to be had, or the device does not answer.
  std::uint64_t copies(Direction direction, Way way, std::uint64_t bytes, std::uint64_t count) {
    std::vector<Piece> pieces;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::byte* const here = host_.base() + 2 * i * bytes;
      std::byte* const there = memory_->base() + 2 * i * bytes;
      std::byte* const beyond = there + 2 * kMostBytes;
      if (direction == Direction::kFromHost) pieces.push_back({here, there, bytes});
      if (direction == Direction::kToHost) pieces.push_back({there, here, bytes});
      if (direction == Direction::kWithin) pieces.push_back({there, beyond, bytes});
    }
    return shortest([&] { return queue_->copy(direction, way, pieces); });
  }

  std::uint64_t checksum(std::uint64_t bytes) {
    const Extent extent{memory_->base(), bytes};
    auto* const result = reinterpret_cast<std::uint32_t*>(host_.base());
    return shortest([&] { return queue_->checksum({&extent, 1}, result); });
  }

  std::uint64_t host_checksum(std::uint64_t bytes) {
    std::uint64_t best = kNever;
    std::uint32_t sum = 0;
    for (std::uint64_t i = 0; i < kRepeats; ++i) {
      const std::uint64_t start = clock_();
      sum = crc32c(host_.base() + i % 2 * bytes, bytes, sum);
      best = std::min(best, clock_() - start);
    }
    return sum == 0 ? best | 1U : best;  // so that the sum is made
  }

 private:
  template <class Put>
  std::uint64_t shortest(Put&& put) {
    std::uint64_t best = kNever;
    for (int i = 0; i < (best != kNever && best > kSlowNs ? kSlowRepeats : kRepeats); ++i) {
      const std::uint64_t start = clock_();
      if (!put().ok() || !wait()) return kNever;
      best = std::min(best, clock_() - start);
    }
    return best;
  }

  bool wait() {
    const std::uint64_t deadline = deadline_after(kGiveUp);
    const auto record = queue_->record();
    if (!record.ok()) return false;
    Status status = device_.passed(*record);
    while (status.code() == Code::kBusy && monotonic_ns() < deadline) {
      std::this_thread::yield();
      status = device_.passed(*record);
    }
    device_.give_back(*record);
    return status.ok();
  }

  Device& device_;
  const Clock clock_;
  std::unique_ptr<Memory> memory_;
  Pinned host_;
  std::unique_ptr<Queue> queue_;  // ends first
};

void Calibration::measure(Device& device, Clock clock) {
  Bench bench(device, clock != nullptr ? std::move(clock) : monotonic_ns);
  if (!bench.open()) return;
  Calibration found = *this;
  for (std::size_t d = 0; d < kDirections; ++d) {
    for (std::size_t s = 0; s < kSizes.size(); ++s) {
      for (std::size_t c = 0; c < kCounts.size() && kSizes[s] * kCounts[c] <= kMostBytes; ++c) {
        for (std::size_t w = 0; w < kWays; ++w) {
          std::uint64_t& ns = found.tables_[d][s][c].ns[w];
          if (ns == kNever) continue;
          ns = bench.copies(static_cast<Direction>(d), static_cast<Way>(w), kSizes[s], kCounts[c]);
          if (ns == kNever) return;
        }
      }
    }
  }
  if (device.properties().checksums) found.device_sum_ns_ = bench.checksum(kMostBytes);
  found.host_sum_ns_ = bench.host_checksum(kMostBytes);
  found.measured_ = true;
  *this = found;
}

const Calibration& calibration_of(Device& device) {
  Measured& all = measured();
  const MutexLock lock(all.mu);
  auto& known = all.calibrations[&device];
  if (known == nullptr) {
    known = std::make_unique<Calibration>(device.properties());
    known->measure(device);
  }
  return *known;
}

}  // namespace kelvin::hbm
