// JoinedWake: one descriptor for an event loop that is readable while one of two others is, or once
// signalled.
//
// Thread contract: its owner's thread.
#pragma once

#include <sys/epoll.h>

#include <utility>

#include "base/event_fd.h"
#include "base/fd.h"

namespace kelvin {

class JoinedWake {
 public:
  // Negative: one has none. The descriptors stay their owners', who outlive this or let nobody wait for it.
  JoinedWake(int first, int second) noexcept {
    if (first < 0 || second < 0 || own_.fd() < 0) return;
    Fd all(::epoll_create1(EPOLL_CLOEXEC));
    if (watch(all, own_.fd()) && watch(all, first) && watch(all, second)) all_ = std::move(all);
  }

  // Negative: there is nothing to wait for, so look again and again: one of the two has no descriptor, or the
  // process may have no more of them.
  int fd() const noexcept { return all_.get(); }
  void signal() const noexcept { own_.signal(); }
  void drain() const noexcept { own_.drain(); }  // of what was signalled; the others are their owners' affair

 private:
  static bool watch(const Fd& all, int fd) noexcept {
    epoll_event event{};
    event.events = EPOLLIN;
    return all.get() >= 0 && ::epoll_ctl(all.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  const EventFd own_;
  Fd all_;
};

}  // namespace kelvin
