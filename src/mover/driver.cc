// See driver.h.
#include "mover/driver.h"

#include <cerrno>
#include <ctime>
#include <system_error>

#include "base/futex.h"

namespace kelvin {
namespace {

// Asleep at most so long: the policy hears of the last events, retries of refused work happen, deadlines
// pass.
constexpr long kIdleNs = 10'000'000;
// A link without wake_fd has copies in flight: how long between two looks.
constexpr long kPollNs = 20'000;

}  // namespace

Driver::~Driver() { stop(); }

Status Driver::start() {
  if (wake_.fd() < 0) return Status(Code::kIo, "starting the mover: eventfd", errno);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return Status(Code::kFull, "starting the mover's thread", error.code().value());
  }
  return Status();
}

void Driver::stop() noexcept {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_seq_cst);
  wake_.signal();
  thread_.join();
}

void Driver::wake() noexcept {
  // Sequentially consistent with sleep(): either this sees `sleeping_` or the thread sees the new mail.
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  wake_.signal();
}

void Driver::run() noexcept {
  std::vector<pollfd> fds(1 + topology_.edges().size(), pollfd{-1, POLLIN, 0});
  fds[0].fd = wake_.fd();
  while (!stopping_.load(std::memory_order_acquire)) {
    const std::size_t done = mover_.round();
    if (done != 0) {
      progress_.fetch_add(1, std::memory_order_release);
      futex_wake_all(progress_);
    } else {
      sleep(fds);
    }
  }
  mover_.cancel();
  progress_.fetch_add(1, std::memory_order_release);
  futex_wake_all(progress_);
}

void Driver::sleep(std::vector<pollfd>& fds) noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!mover_.has_mail() && !stopping_.load(std::memory_order_seq_cst)) {
    // Only the links with copies in flight: nobody polls the others, so what makes their fd readable stays
    // there.
    for (std::size_t e = 0; e + 1 < fds.size(); ++e) {
      fds[e + 1].fd = mover_.in_flight(e) ? topology_.edges()[e]->link->info().wake_fd : -1;
    }
    const timespec timeout{0, mover_.must_poll() ? kPollNs : kIdleNs};
    if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) > 0 && (fds[0].revents & POLLIN) != 0) {
      wake_.drain();
    }
  }
  sleeping_.store(false, std::memory_order_relaxed);
}

}  // namespace kelvin
