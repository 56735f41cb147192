// EmulatedDevice: a GPU emulated in host memory, for tests and for machines without one. Its queues and
// streams are threads; what goes wrong with a real device can be made to happen.
//
// It is stricter than a real one: host memory that is not registered, and device memory that it has not
// allocated, are refused.
//
// Thread contract: that of Device; the engine's side and the faults: any thread.
// Invariants:
//   1. A device that is lost stays lost: what is on its queues is not carried out, and nobody waits for it.
//   2. Once its queues have reached their largest size, nothing allocates but launch().
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_annotations.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/emulated_lane.h"

namespace kelvin::hbm {

// What an operation takes beside its copying.
struct EmulatedCost {
  std::chrono::nanoseconds call{0};
  std::chrono::nanoseconds piece{0};
};

struct EmulatedOptions {
  std::uint64_t bytes = 64ULL << 30;  // of memory; used pages alone cost the host any
  std::uint32_t ways = 7;             // bit w: Way w is to be had
  bool checksums = true;
  bool waits_for_words = true;
  std::uint32_t records = 16384;
};

class EmulatedDevice final : public Device {
 public:
  explicit EmulatedDevice(std::int32_t ordinal, const EmulatedOptions& options = {});
  ~EmulatedDevice() override;

  const DeviceProperties& properties() const noexcept override { return properties_; }
  Result<std::unique_ptr<Memory>> allocate(std::uint64_t bytes, bool shared, std::string* why) override;
  bool holds(const std::byte* at, std::uint64_t bytes) const noexcept override;
  Status register_host(HostRange range, std::string* why) override;
  void unregister_host(HostRange range) noexcept override;
  Result<std::unique_ptr<Queue>> open_queue(std::string* why) override;
  Status passed(Record record) noexcept override;
  void give_back(Record record) noexcept override;
  Result<Record> record(Stream stream) noexcept override;
  Status after(Stream stream, Record record) noexcept override;
  Status wait(Stream stream, const std::atomic<std::uint32_t>* word, std::uint32_t value) noexcept override;
  Status enter_thread() noexcept override { return {}; }

  // The engine's side. A stream ends when all that is on it is done; null is the default stream. A call on a
  // stream may read and write device memory by its addresses.
  Stream make_stream();
  void close_stream(Stream stream);
  void launch(Stream stream, std::function<void()> call);
  void synchronize(Stream stream);

  // Faults.
  void lose() noexcept;                                                   // for good
  void stall() noexcept;                                                  // nothing goes on until resume()
  void resume() noexcept;                                                 //
  void fail_copies(std::uint32_t calls, Code code = Code::kIo) noexcept;  // so many from now on
  void fail_registrations(std::uint32_t calls) noexcept;                  // likewise; ~0: all
  void limit_memory(std::uint64_t bytes) noexcept;                        // what can be allocated in all
  void limit_streams(std::uint32_t operations) noexcept;                  // on each; who puts more waits
  void delay(Way way, EmulatedCost cost) noexcept;                        // from now on
  void delay_checksums(EmulatedCost cost) noexcept;
  std::uint64_t delayed_ns() const noexcept;  // the sum of all delays put on its queues so far

  // What is registered now, in bytes.
  std::uint64_t registered_bytes() const noexcept;

 private:
  friend class EmulatedQueue;
  friend class EmulatedMemory;
  struct Run {  // of memory; the device's own (count 1), or the host's
    std::uintptr_t begin = 0;
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
  };

  static bool covers(const std::vector<Run>& runs, const void* at, std::uint64_t bytes) noexcept;
  Status check(Direction direction, Way way, std::span<const Piece> pieces) noexcept KELVIN_REQUIRES(mu_);
  void pause(EmulatedLane& lane, const EmulatedCost& cost, std::size_t pieces) KELVIN_REQUIRES(mu_);
  // Null: there is no such stream.
  EmulatedLane* lane_of(Stream stream) noexcept KELVIN_REQUIRES(mu_);
  // Waits until there is room on it, or the device is lost; leaves the mutex meanwhile.
  EmulatedLane* lane_with_room(Stream stream) noexcept KELVIN_REQUIRES(mu_);
  void forget(const std::byte* base) noexcept;

  const DeviceProperties properties_;
  mutable Mutex mu_;
  EmulatedLanes lanes_;  // guarded by mu_
  std::vector<Run> allocations_ KELVIN_GUARDED_BY(mu_);
  std::vector<Run> registered_ KELVIN_GUARDED_BY(mu_);
  std::uint64_t allocated_bytes_ KELVIN_GUARDED_BY(mu_) = 0;
  std::uint64_t limit_bytes_ KELVIN_GUARDED_BY(mu_);
  std::uint32_t stream_room_ KELVIN_GUARDED_BY(mu_) = ~0U;
  std::uint32_t failing_copies_ KELVIN_GUARDED_BY(mu_) = 0;
  Code failure_ KELVIN_GUARDED_BY(mu_) = Code::kIo;
  std::uint32_t failing_registrations_ KELVIN_GUARDED_BY(mu_) = 0;
  std::array<EmulatedCost, kWays> costs_ KELVIN_GUARDED_BY(mu_){};
  EmulatedCost checksum_cost_ KELVIN_GUARDED_BY(mu_){};
  std::chrono::nanoseconds delayed_ KELVIN_GUARDED_BY(mu_){0};
  std::vector<std::unique_ptr<EmulatedLane>> streams_ KELVIN_GUARDED_BY(mu_);  // the default one first
};

}  // namespace kelvin::hbm
