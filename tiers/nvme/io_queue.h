// IoQueue: positioned reads and writes on one medium, many in flight, finished ones collected without
// waiting. For a file or a block device one of two: io_uring where the kernel lets us, else a pool of threads
// in pread and pwrite.
//
// Thread contract: one thread at a time calls submit, reap and cancel. With QueueConfig::single_issuer all
// these calls come from one and the same thread, which need not be the one that opens or destroys the queue.
// Invariants:
//   1. Every request taken by submit comes back from reap exactly once.
//   2. After open nothing allocates.
//   3. After the destructor nobody touches a buffer or a file any more.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/event_fd.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin::nvme {

struct IoRequest {
  std::uint64_t tag = 0;  // returned in the IoResult; below 2^46
  bool write = false;
  std::uint64_t offset = 0;        // on the medium
  const iovec* vectors = nullptr;  // stay, with the memory they name, until the result is reaped
  std::uint32_t vector_count = 0;  // 1 .. IOV_MAX
};

struct IoResult {
  std::uint64_t tag = 0;
  std::int32_t result = 0;  // bytes moved, may be fewer than asked for; or a negative errno
};

enum class QueueKind : std::uint8_t { kAuto, kUring, kThreads };

struct QueueConfig {
  QueueKind kind = QueueKind::kAuto;
  std::span<const HostRange> memory{};  // where buffers will lie; registered where that is possible
  std::uint64_t unit_bytes = 0;         // no buffer crosses a multiple of this, counted from its range's base
  std::uint32_t capacity = 32;          // requests in flight at once
  const EventFd* wake = nullptr;        // becomes readable once reap has something to do; outlives the queue
  bool single_issuer = true;            // see the thread contract
  // The drive is asked instead of waiting for its interrupts: `wake` says nothing, and reap has to be called
  // again and again while something is in flight. Only where MediumConfig::poll was taken.
  bool poll = false;
};

class IoQueue {
 public:
  // Drops what was not started, waits for the rest. Any thread.
  virtual ~IoQueue() = default;

  // Takes a prefix of `requests`, copies it, and returns its length: fewer means that `capacity` is in
  // flight.
  virtual std::size_t submit(std::span<const IoRequest> requests) noexcept = 0;

  // Writes up to results.size() results, returns how many; never blocks. Drain `wake` before, so that
  // whatever is finished afterwards makes it readable again; where this returns results.size() there may be
  // more for which it is not readable: call again.
  virtual std::size_t reap(std::span<IoResult> results) noexcept = 0;

  // Ends everything that was not started yet: it comes back from reap with -ECANCELED.
  virtual void cancel() noexcept = 0;

  // "io_uring, deferred, fixed buffers", for tools and tests. Valid as long as the queue.
  virtual const char* description() const noexcept = 0;

 protected:
  IoQueue() = default;
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;
};

// Queues on an open file. kUnsupported where this kernel, container or build refuses io_uring: `why` (never
// null) says so.
Result<std::unique_ptr<IoQueue>> open_uring_queue(int fd, const QueueConfig& config, std::string* why);
Result<std::unique_ptr<IoQueue>> open_thread_queue(int fd, const QueueConfig& config, std::string* why);

// QueueConfig::kind decides; kAuto: io_uring, or where that is refused threads.
Result<std::unique_ptr<IoQueue>> open_file_queue(int fd, const QueueConfig& config, std::string* why);

}  // namespace kelvin::nvme
