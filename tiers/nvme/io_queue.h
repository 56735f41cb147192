// IoQueue: positioned reads and writes on files, many in flight, finished ones collected without waiting.
// One of two: io_uring where the kernel lets us, else a pool of threads in pread and pwrite.
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

#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin::nvme {

struct IoRequest {
  std::uint64_t tag = 0;  // returned in the IoResult
  bool write = false;
  int fd = -1;
  std::uint64_t offset = 0;        // in the file
  const iovec* vectors = nullptr;  // stay, with the memory they name, until the result is reaped
  std::uint32_t vector_count = 0;  // 1 .. IOV_MAX
};

struct IoResult {
  std::uint64_t tag = 0;
  std::int32_t result = 0;  // bytes moved, may be fewer than asked for; or a negative errno
};

enum class QueueKind : std::uint8_t { kAuto, kUring, kThreads };

struct QueueConfig {
  std::span<const int> files;         // descriptors that requests will name; registered where that helps
  std::span<const HostRange> memory;  // where buffers will lie; registered where that is possible
  std::uint64_t unit_bytes = 0;       // no buffer crosses a multiple of this, counted from its range's base
  std::uint32_t capacity = 32;        // requests in flight at once
  bool single_issuer = true;          // see the thread contract
};

class IoQueue {
 public:
  // Drops what was not started, waits for the rest. Any thread.
  virtual ~IoQueue() = default;

  // Takes a prefix of `requests`, copies it, and returns its length: fewer means that `capacity` is in
  // flight.
  virtual std::size_t submit(std::span<const IoRequest> requests) noexcept = 0;

  // Writes up to results.size() results, returns how many; never blocks. Where it returns results.size()
  // there may be more, and wake_fd need not be readable for them: call again.
  virtual std::size_t reap(std::span<IoResult> results) noexcept = 0;

  // Ends everything that was not started yet: it comes back from reap with -ECANCELED.
  virtual void cancel() noexcept = 0;

  // An eventfd, readable once reap has something to do; reap empties it. The user may write to it as well.
  virtual int wake_fd() const noexcept = 0;

  // "io_uring, fixed buffers, deferred", for tools and tests. Static.
  virtual const char* description() const noexcept = 0;

 protected:
  IoQueue() = default;
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;
};

// kUnsupported where this kernel, container or build refuses io_uring: `why` (never null) says so.
Result<std::unique_ptr<IoQueue>> open_uring_queue(const QueueConfig& config, std::string* why);
Result<std::unique_ptr<IoQueue>> open_thread_queue(const QueueConfig& config, std::string* why);

// kAuto: io_uring, or where that is refused threads.
Result<std::unique_ptr<IoQueue>> open_queue(QueueKind kind, const QueueConfig& config, std::string* why);

}  // namespace kelvin::nvme
