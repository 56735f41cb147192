// A file descriptor that is closed when it goes.
//
// Thread contract: as an int.
#pragma once

#include <unistd.h>

#include <utility>

namespace kelvin {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const noexcept { return fd_; }  // negative: none

 private:
  int fd_ = -1;
};

}  // namespace kelvin
