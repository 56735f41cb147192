// See workers.h.
#include "cli/workers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "cli/interrupt.h"

namespace kelvin::cli {
namespace {

constexpr auto kTick = std::chrono::milliseconds(200);

class Crew {
 public:
  Crew(std::size_t count, const Work& work) : count_(count), work_(work) {}

  void take_part() {
    for (;;) {
      const std::size_t number = next_.fetch_add(1, std::memory_order_relaxed);
      if (number >= count_ || interrupted() || failed_.load(std::memory_order_relaxed)) break;
      std::string why;
      const Status status = work_(number, &why);
      finished(number, status, std::move(why));
    }
    const std::lock_guard lock(mutex_);
    --present_;
    changed_.notify_all();
  }

  // On this many threads, or on the caller's alone where none can be had.
  void start(std::size_t jobs) {
    present_ = jobs;
    try {
      while (threads_.size() < jobs) threads_.emplace_back([this] { take_part(); });
    } catch (const std::system_error&) {
      const std::lock_guard lock(mutex_);
      present_ -= jobs - threads_.size();
    }
    if (!threads_.empty()) return;
    present_ = 1;
    take_part();
  }

  Status finish(const std::function<void(std::size_t)>& tick, std::string* why) {
    {
      std::unique_lock lock(mutex_);
      while (present_ > 0) {
        changed_.wait_for(lock, kTick);
        const std::size_t done = done_;
        lock.unlock();
        tick(done);
        lock.lock();
      }
    }
    for (std::thread& thread : threads_) thread.join();
    if (!status_.ok()) *why = why_;
    return status_;
  }

 private:
  void finished(std::size_t number, Status status, std::string why) {
    const std::lock_guard lock(mutex_);
    if (status.ok()) {
      ++done_;
    } else if (status_.ok() || number < failed_number_) {
      status_ = status;
      why_ = std::move(why);
      failed_number_ = number;
      failed_.store(true, std::memory_order_relaxed);
    }
    changed_.notify_all();
  }

  const std::size_t count_;
  const Work& work_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::size_t present_ = 0;
  std::size_t done_ = 0;
  std::size_t failed_number_ = 0;
  Status status_;
  std::string why_;
};

}  // namespace

Status run_parallel(std::size_t count, std::size_t jobs, const Work& work,
                    const std::function<void(std::size_t)>& tick, std::string* why) {
  if (count == 0) return {};
  if (jobs == 0) jobs = std::max(1U, std::thread::hardware_concurrency());
  Crew crew(count, work);
  crew.start(std::min(jobs, count));
  return crew.finish(tick, why);
}

}  // namespace kelvin::cli
