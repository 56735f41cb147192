// IoQueue by a pool of threads in preadv and pwritev, for places where io_uring is refused.
//
// Thread contract: IoQueue's; the workers share waiting_ and done_ under mu_.
// Invariants:
//   1. waiting, running and done requests together never exceed the capacity, so no queue overflows.
//   2. wake_ is signalled after done_ stops being empty, so a result is never left without a readable
//   wake_fd.
#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "base/event_fd.h"
#include "base/fifo.h"
#include "base/signals_blocked.h"
#include "base/thread_annotations.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/io_queue.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint32_t kMaxThreads = 32;  // drives are full of 1 MiB requests long before

std::int32_t perform(int fd, const IoRequest& request) noexcept {
  const auto count = static_cast<int>(request.vector_count);
  const auto offset = static_cast<off_t>(request.offset);
  const ssize_t n = request.write ? ::pwritev(fd, request.vectors, count, offset)
                                  : ::preadv(fd, request.vectors, count, offset);
  return n < 0 ? -errno : static_cast<std::int32_t>(n);
}

class ThreadQueue final : public IoQueue {
 public:
  ThreadQueue(int fd, const QueueConfig& config)
      : fd_(fd), wake_(*config.wake), capacity_(config.capacity), waiting_(capacity_), done_(capacity_) {}

  ~ThreadQueue() override {
    {
      const MutexLock lock(mu_);
      waiting_.clear();
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  Status start(std::string* why) {
    const SignalsBlocked blocked;
    const std::uint32_t count = std::min(capacity_, kMaxThreads);
    workers_.reserve(count);
    try {
      while (workers_.size() < count) workers_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {
      // Fewer are slower, none is a failure.
      if (!workers_.empty()) return {};
      *why = "no thread can be started: " + error_text(error.code().value());
      return {Code::kUnavailable, "opening a thread queue", error.code().value()};
    }
    return {};
  }

  std::size_t submit(std::span<const IoRequest> requests) noexcept override {
    std::size_t taken = 0;
    {
      const MutexLock lock(mu_);
      taken = std::min<std::size_t>(requests.size(), capacity_ - in_flight_);
      for (const IoRequest& request : requests.first(taken)) waiting_.push(request);
      in_flight_ += static_cast<std::uint32_t>(taken);
    }
    for (std::size_t i = 0; i < taken; ++i) work_.notify_one();
    return taken;
  }

  std::size_t reap(std::span<IoResult> results) noexcept override {
    const MutexLock lock(mu_);
    const std::size_t n = std::min(results.size(), done_.size());
    for (IoResult& result : results.first(n)) result = done_.pop();
    in_flight_ -= static_cast<std::uint32_t>(n);
    return n;
  }

  void cancel() noexcept override {
    const MutexLock lock(mu_);
    while (!waiting_.empty()) finish({waiting_.pop().tag, -ECANCELED});
  }

  const char* description() const noexcept override { return "threads"; }

 private:
  void run() noexcept {
    for (;;) {
      IoRequest request;
      {
        const MutexLock lock(mu_);
        while (waiting_.empty() && !stopping_) work_.wait(mu_);
        if (waiting_.empty()) return;
        request = waiting_.pop();
      }
      const IoResult result{request.tag, perform(fd_, request)};
      const MutexLock lock(mu_);
      finish(result);
    }
  }

  void finish(const IoResult& result) noexcept KELVIN_REQUIRES(mu_) {
    const bool first = done_.empty();
    done_.push(result);
    if (first) wake_.signal();
  }

  // Constant after open.
  const int fd_;
  const EventFd& wake_;
  const std::uint32_t capacity_;
  std::vector<std::thread> workers_;

  Mutex mu_;
  std::condition_variable_any work_;
  Fifo<IoRequest> waiting_ KELVIN_GUARDED_BY(mu_);
  Fifo<IoResult> done_ KELVIN_GUARDED_BY(mu_);
  std::uint32_t in_flight_ KELVIN_GUARDED_BY(mu_) = 0;
  bool stopping_ KELVIN_GUARDED_BY(mu_) = false;
};

}  // namespace

Result<std::unique_ptr<IoQueue>> open_thread_queue(int fd, const QueueConfig& config, std::string* why) {
  auto queue = std::make_unique<ThreadQueue>(fd, config);
  if (const Status s = queue->start(why); !s.ok()) return s;
  return Result<std::unique_ptr<IoQueue>>(std::move(queue));
}

}  // namespace kelvin::nvme
