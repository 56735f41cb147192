// EventFd: an owned eventfd that wakes an event loop.
//
// Thread contract: any thread, except that making and destroying it is its owner's.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace kelvin {

class EventFd {
 public:
  EventFd() noexcept : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~EventFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  int fd() const noexcept { return fd_; }  // negative: none could be had, errno says why
  void signal() const noexcept { signal(fd_); }
  void drain() const noexcept {
    std::uint64_t count = 0;
    // EAGAIN says that it was empty, which is what is wanted.
    [[maybe_unused]] const ssize_t n = ::read(fd_, &count, sizeof count);
  }

  // Fails only where the counter is full, and then it is readable as it should be.
  static void signal(int fd) noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
  }

 private:
  const int fd_;
};

}  // namespace kelvin
