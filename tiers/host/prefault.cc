// See prefault.h.
#include "tiers/host/prefault.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

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

Status populate(std::byte* base, std::uint64_t bytes) noexcept {
  Work work{base, bytes};
  const std::uint64_t pieces = (bytes + kPiece - 1) / kPiece;
  const unsigned wanted = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
  std::array<std::thread, kMaxThreads> threads;
  try {
    for (unsigned i = 1; i < std::min<std::uint64_t>(wanted, pieces); ++i)
      threads[i] = std::thread([&] { work.run(); });
  } catch (const std::system_error&) {  // no more threads to be had: those there are do it all
  }
  work.run();
  for (auto& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  const int error = work.error.load(std::memory_order_relaxed);
  return error == 0 ? Status()
                    : Status(error == ENOMEM ? Code::kFull : Code::kIo, "prefaulting the arena", error);
}

}  // namespace kelvin
