// SignalsBlocked: threads that are started while it lives get no signals.
//
// Thread contract: one thread, that of its making.
#pragma once

#include <pthread.h>

#include <csignal>

namespace kelvin {

// Signals are for the application's own threads: ours start with all of them blocked.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace kelvin
