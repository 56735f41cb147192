// Registrations: the memory of host tiers, pinned for one device in the background while links use it
// already.
//
// Links of both directions share what is pinned for a host tier; it is unpinned when the last of them ends. A
// range of a tier that grows is pinned once all its slots are ready: pinning brings pages in, and a page that
// a node cannot give kills the process.
//
// Thread contract: acquire and release by the thread that opens and closes; a Registration's methods by any.
// Invariants:
//   1. A range is pinned as a whole or not; once pinned it stays so until the Registration ends.
//   2. What could not be pinned is never tried again: links carry it through their buffers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class Registration {
 public:
  // Pins nothing if `wanted` is false. May throw std::bad_alloc.
  Registration(Device& device, const Tier& host, bool wanted);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // Whether the device can reach all of this slot.
  bool covers(Slot slot) const noexcept {
    return complete_.load(std::memory_order_acquire) || covers_each_segment(slot);
  }
  // Nothing more will be pinned.
  bool settled() const noexcept { return settled_.load(std::memory_order_acquire); }
  // Why not all is, for a person; null while nothing is wrong. LinkInfo::slowed of the links that use it.
  const std::atomic<const char*>& failure() const noexcept { return failed_; }

 private:
  friend class Registrations;
  struct Range {
    HostRange range;
    std::uint32_t slots = 0;  // it holds slots below this
    std::atomic<bool> pinned{false};
  };

  bool covers_each_segment(Slot slot) const noexcept;
  const Range* range_of(const std::byte* at) const noexcept;
  void run() noexcept;
  void find_last_slots();
  bool wait_until_ready(const Range& range) const noexcept;
  void pin(Range& range);
  void fail(std::string_view why) noexcept;

  // Constant after construction.
  Device& device_;
  const Tier& host_;
  std::vector<Range> ranges_;  // by address

  std::atomic<bool> complete_{false};
  std::atomic<bool> settled_{false};
  std::atomic<bool> stopping_{false};
  std::string failure_;  // the first one; constant once failed_ is set
  std::atomic<const char*> failed_{nullptr};
  std::thread thread_;
};

class Registrations {
 public:
  Registrations(Device& device, bool wanted) noexcept : device_(device), wanted_(wanted) {}

  // That of this host tier, made if there is none. May throw std::bad_alloc.
  Registration& acquire(const Tier& host);
  void release(const Registration& registration) noexcept;

 private:
  struct Entry {
    std::unique_ptr<Registration> registration;
    std::uint32_t users = 0;
  };

  Device& device_;
  const bool wanted_;
  Mutex mu_;
  std::vector<Entry> entries_ KELVIN_GUARDED_BY(mu_);
};

}  // namespace kelvin::hbm
