// What one link did, and how fast it is: counters and moving averages.
//
// Thread contract: written by the mover's thread; read by any.
#pragma once

#include <atomic>
#include <cstdint>

#include "kelvin/space.h"

namespace kelvin {

class LinkMeter {
 public:
  // Starts the averages from what is known beforehand.
  void begin(std::uint64_t latency_ns, std::uint64_t bytes_per_second) noexcept {
    latency_ns_.store(latency_ns, std::memory_order_relaxed);
    bytes_per_second_.store(bytes_per_second, std::memory_order_relaxed);
  }

  void submitted(std::uint64_t copies, std::uint64_t now_ns) noexcept {
    if (in_flight_.load(std::memory_order_relaxed) == 0) busy_since_ns_ = now_ns, busy_bytes_ = 0;
    add(in_flight_, copies);
  }
  void completed(std::uint64_t bytes, std::uint64_t latency_ns, std::uint64_t now_ns) noexcept {
    add(in_flight_, static_cast<std::uint64_t>(-1));
    add(copies_, 1);
    add(bytes_, bytes);
    busy_bytes_ += bytes;
    average(latency_ns_, latency_ns);
    // A window long enough that the clock's grain and one odd copy do not matter.
    if (now_ns > busy_since_ns_ + kWindowNs) {
      average(bytes_per_second_, static_cast<std::uint64_t>(static_cast<double>(busy_bytes_) * 1e9 /
                                                            static_cast<double>(now_ns - busy_since_ns_)));
      busy_since_ns_ = now_ns;
      busy_bytes_ = 0;
    }
  }
  void failed(bool corrupt) noexcept {
    add(in_flight_, static_cast<std::uint64_t>(-1));
    add(failures_, 1);
    if (corrupt) add(corrupt_, 1);
  }
  // Nobody waits for it any more, though it is in flight; and its end.
  void strayed() noexcept { add(strays_, 1); }
  void stray_ended() noexcept {
    add(strays_, static_cast<std::uint64_t>(-1));
    failed(false);
  }
  void retried() noexcept { add(retries_, 1); }

  std::uint64_t in_flight() const noexcept { return in_flight_.load(std::memory_order_acquire); }
  std::uint64_t latency_ns() const noexcept { return latency_ns_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_per_second() const noexcept {
    return bytes_per_second_.load(std::memory_order_relaxed);
  }

  LinkStats stats(const std::string& name) const {
    LinkStats s;
    s.name = name;
    s.copies = copies_.load(std::memory_order_relaxed);
    s.bytes = bytes_.load(std::memory_order_relaxed);
    s.failures = failures_.load(std::memory_order_relaxed);
    s.retries = retries_.load(std::memory_order_relaxed);
    s.corrupt = corrupt_.load(std::memory_order_relaxed);
    s.in_flight = in_flight();
    s.strays = strays_.load(std::memory_order_relaxed);
    s.latency_ns = latency_ns();
    s.bytes_per_second = bytes_per_second();
    return s;
  }

 private:
  static constexpr std::uint64_t kWindowNs = 1'000'000;
  using Counter = std::atomic<std::uint64_t>;

  // One writer: a load and a store, no locked instruction.
  static void add(Counter& counter, std::uint64_t n) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  static void average(Counter& mean, std::uint64_t sample) noexcept {
    const std::uint64_t old = mean.load(std::memory_order_relaxed);
    mean.store(old == 0 ? sample : old - old / 8 + sample / 8, std::memory_order_relaxed);
  }

  Counter copies_{0}, bytes_{0}, failures_{0}, retries_{0}, corrupt_{0}, in_flight_{0}, strays_{0};
  Counter latency_ns_{0}, bytes_per_second_{0};
  std::uint64_t busy_since_ns_ = 0;  // writer only
  std::uint64_t busy_bytes_ = 0;     // writer only
};

}  // namespace kelvin
