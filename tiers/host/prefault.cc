// See prefault.h.
#include "tiers/host/prefault.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

#include "machine/place.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kPiece = 64ULL << 20;  // one claim of a thread: tens of milliseconds of page faults
constexpr std::uint64_t kSmallPage = 4096;
constexpr unsigned kMaxThreads = 8;  // beyond that they wait for the same kernel locks

#if defined(MADV_POPULATE_WRITE)
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
constexpr int kPopulateWrite = 23;  // Linux 5.14; older C libraries do not name it
#endif

void touch(std::byte* base, std::uint64_t bytes) noexcept {
  for (std::uint64_t i = 0; i < bytes; i += kSmallPage) {
    volatile std::byte* p = base + i;
    *p = *p;
  }
}

// 0, or an errno.
int populate_piece(std::byte* base, std::uint64_t bytes) noexcept {
  while (::madvise(base, bytes, kPopulateWrite) != 0) {
    if (errno == EINVAL) {  // an older kernel
      touch(base, bytes);
      return 0;
    }
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

struct Work {
  std::byte* base;
  std::uint64_t bytes;
  std::atomic<std::uint64_t> next{0};
  std::atomic<int> error{0};

  void run() noexcept {
    while (error.load(std::memory_order_relaxed) == 0) {
      const std::uint64_t at = next.fetch_add(kPiece, std::memory_order_relaxed);
      if (at >= bytes) return;
      const int result = populate_piece(base + at, std::min(kPiece, bytes - at));
      if (result != 0) error.store(result, std::memory_order_relaxed);
    }
  }
};

}  // namespace

Status populate(std::byte* base, std::uint64_t bytes, const std::vector<int>& cpus) noexcept {
  Work work{base, bytes};
  const std::uint64_t pieces = (bytes + kPiece - 1) / kPiece;
  const auto here = static_cast<unsigned>(cpus.empty() ? std::thread::hardware_concurrency() : cpus.size());
  const auto wanted =
      static_cast<unsigned>(std::min<std::uint64_t>(std::clamp(here, 1U, kMaxThreads), pieces));
  std::array<std::thread, kMaxThreads> threads;
  unsigned started = 0;
  // The caller's thread is not ours to send to other CPUs: where some are named it only waits.
  const unsigned own = cpus.empty() ? 1 : 0;
  try {
    for (; started + own < wanted; ++started) {
      threads[started] = std::thread([&] {
        if (!cpus.empty()) static_cast<void>(keep_thread_on(cpus));
        work.run();
      });
    }
  } catch (const std::system_error&) {  // no more threads to be had: those there are do it all
  }
  if (own != 0 || started == 0) work.run();
  for (auto& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  const int error = work.error.load(std::memory_order_relaxed);
  return error == 0 ? Status()
                    : Status(error == ENOMEM ? Code::kFull : Code::kIo, "prefaulting the arena", error);
}

}  // namespace kelvin
