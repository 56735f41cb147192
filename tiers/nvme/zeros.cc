// See zeros.h.
#include "tiers/nvme/zeros.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kChunkBytes = 2ULL << 20;
constexpr std::size_t kThreads = 4;  // enough to keep a drive busy with synchronous writes

int write_fully(int fd, const void* zeros, std::uint64_t offset, std::uint64_t bytes) noexcept {
  while (bytes > 0) {
    const ssize_t n = ::pwrite(fd, zeros, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::uint64_t>(n);
  }
  return 0;
}

}  // namespace

int write_zeros(int fd, std::uint64_t from, std::uint64_t to) noexcept {
  if (from >= to) return 0;
  // Page-aligned, as O_DIRECT asks, and never touched: all its pages are the zero page.
  void* zeros = ::mmap(nullptr, kChunkBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (zeros == MAP_FAILED) return errno;

  std::atomic<std::uint64_t> next{from};
  std::atomic<int> error{0};
  const auto work = [&]() noexcept {
    while (error.load(std::memory_order_relaxed) == 0) {
      const std::uint64_t offset = next.fetch_add(kChunkBytes, std::memory_order_relaxed);
      if (offset >= to) return;
      const int failed = write_fully(fd, zeros, offset, std::min(kChunkBytes, to - offset));
      if (failed != 0) error.store(failed, std::memory_order_relaxed);
    }
  };
  {
    std::array<std::jthread, kThreads - 1> others;
    try {
      for (std::jthread& other : others) other = std::jthread(work);
    } catch (const std::system_error&) {
      // No more threads to be had: those that started, and this one, do all of it.
    }
    work();
  }
  ::munmap(zeros, kChunkBytes);
  return error.load(std::memory_order_relaxed);
}

}  // namespace kelvin::nvme
