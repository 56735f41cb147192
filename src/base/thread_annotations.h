// Clang's thread-safety annotations, and a mutex that carries them. GCC ignores them.
#pragma once

#include <mutex>

#if defined(__clang__)
#define KELVIN_TSA(x) __attribute__((x))
#else
#define KELVIN_TSA(x)
#endif

#define KELVIN_CAPABILITY(x) KELVIN_TSA(capability(x))
#define KELVIN_SCOPED_CAPABILITY KELVIN_TSA(scoped_lockable)
#define KELVIN_GUARDED_BY(x) KELVIN_TSA(guarded_by(x))
#define KELVIN_REQUIRES(...) KELVIN_TSA(requires_capability(__VA_ARGS__))
#define KELVIN_ACQUIRE(...) KELVIN_TSA(acquire_capability(__VA_ARGS__))
#define KELVIN_TRY_ACQUIRE(...) KELVIN_TSA(try_acquire_capability(__VA_ARGS__))
#define KELVIN_RELEASE(...) KELVIN_TSA(release_capability(__VA_ARGS__))
#define KELVIN_EXCLUDES(...) KELVIN_TSA(locks_excluded(__VA_ARGS__))
#define KELVIN_NO_TSA KELVIN_TSA(no_thread_safety_analysis)

namespace kelvin {

class KELVIN_CAPABILITY("mutex") Mutex {
 public:
  void lock() KELVIN_ACQUIRE() { mu_.lock(); }
  bool try_lock() KELVIN_TRY_ACQUIRE(true) { return mu_.try_lock(); }
  void unlock() KELVIN_RELEASE() { mu_.unlock(); }

 private:
  std::mutex mu_;
};

// Holds any annotated lock for a scope.
template <class L>
class KELVIN_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(L& lock) KELVIN_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() KELVIN_RELEASE() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  L& lock_;
};

using MutexLock = LockGuard<Mutex>;

}  // namespace kelvin
