// EmulatedLane: what is behind a queue or a stream of an emulated device: a ring of operations and the thread
// that carries them out, one after the other. EmulatedLanes: what the lanes of one device share.
//
// Thread contract: every method under the device's mutex, but for the ends of a lane.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class EmulatedLane;

struct EmulatedOperation {
  enum class Kind : std::uint8_t { kCopy, kSum, kStoreSum, kAfter, kWord, kCall, kDelay };
  Kind kind = Kind::kCopy;
  const std::byte* from = nullptr;  // kCopy, kSum
  std::byte* to = nullptr;          // kCopy
  std::uint64_t bytes = 0;
  std::uint32_t* result = nullptr;                   // kStoreSum
  const std::atomic<std::uint32_t>* word = nullptr;  // kWord
  std::uint32_t value = 0;
  std::uint64_t lane = 0;  // kAfter: until that lane has done so many
  std::uint64_t done = 0;
  std::function<void()>* call = nullptr;  // kCall; the lane's
  std::chrono::nanoseconds delay{0};
};

class EmulatedLanes {
 public:
  explicit EmulatedLanes(std::uint32_t records);

  // kBusy: too many records are open.
  Result<Record> record(const EmulatedLane& lane) noexcept;
  Status passed(Record record) const noexcept;
  void give_back(Record record) noexcept;
  // The operation that waits for a record.
  EmulatedOperation after(Record record) const noexcept;

  void lose(Mutex& mu) noexcept;
  void stall(bool on) noexcept;
  bool lost() const noexcept { return lost_; }

 private:
  friend class EmulatedLane;
  struct Mark {
    std::uint64_t lane = 0;
    std::uint64_t done = 0;
    std::uint32_t turn = 0;  // of the mark's use: an old Record names none
  };

  const Mark* find(Record record) const noexcept;
  // Whether the lane of this number has done so many operations; one that has ended has done all.
  bool reached(std::uint64_t lane, std::uint64_t done) const noexcept;

  std::condition_variable_any changed_;
  std::vector<EmulatedLane*> lanes_;
  std::vector<Mark> marks_;
  std::vector<std::uint32_t> free_marks_;
  std::uint64_t last_lane_ = 0;
  bool lost_ = false;
  bool stalled_ = false;
};

class EmulatedLane {
 public:
  // May throw std::system_error.
  EmulatedLane(Mutex& mu, EmulatedLanes& lanes);
  // Waits until all operations are done. Not under the mutex.
  ~EmulatedLane();
  EmulatedLane(const EmulatedLane&) = delete;
  EmulatedLane& operator=(const EmulatedLane&) = delete;

  void put(const EmulatedOperation& operation);
  std::uint64_t number() const noexcept { return number_; }
  // Both under the mutex, which they leave meanwhile.
  void drain() noexcept;                                // waits until all is done
  void wait_for_room(std::size_t operations) noexcept;  // until fewer are on it, or the device is lost

 private:
  friend class EmulatedLanes;
  using Operation = EmulatedOperation;

  void run() noexcept;
  bool may_go(const Operation& operation) const noexcept;
  void carry_out(const Operation& operation) noexcept;
  void give_up() noexcept;

  Mutex& mu_;
  EmulatedLanes& lanes_;
  std::vector<Operation> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t put_ = 0;
  std::uint64_t done_ = 0;
  bool closing_ = false;
  bool busy_ = false;
  std::uint32_t sum_ = 0;  // the thread's own
  std::thread thread_;
};

}  // namespace kelvin::hbm
