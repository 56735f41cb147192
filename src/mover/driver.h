// The mover's thread: rounds while there is work, asleep on file descriptors while there is none.
//
// Thread contract: `wake` from any thread; start and stop by the owner.
// Invariant: after `stop` no link is touched any more, and nothing is in flight but what a device did not
// give back before the deadline.
#pragma once

#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "kelvin/status.h"
#include "mover/mover.h"

namespace kelvin {

class Driver {
 public:
  Driver(Mover& mover, const Topology& topology) : mover_(mover), topology_(topology) {}
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  Status start();
  // Cancels what is under way, waits for it (see Mover::cancel), and ends the thread. Idempotent.
  void stop() noexcept;

  // There is new work. Cheap where the thread is awake anyway.
  void wake() noexcept;

  // Rounds so far, and a way to wait for the next ones: for callers that wait for room.
  const std::atomic<std::uint32_t>& progress() const noexcept { return progress_; }

 private:
  void run() noexcept;
  void sleep(std::vector<pollfd>& fds) noexcept;

  Mover& mover_;
  const Topology& topology_;
  EventFd wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> sleeping_{false};
  std::atomic<std::uint32_t> progress_{0};
};

}  // namespace kelvin
