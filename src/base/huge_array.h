// A fixed array in anonymous memory on huge pages: zeroed, never resized, touched only where used.
//
// Thread contract: as for a plain array. T must be valid when all its bytes are zero.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "kelvin/status.h"

namespace kelvin {

template <class T>
class HugeArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  HugeArray() noexcept = default;
  HugeArray(HugeArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, 0)) {}
  HugeArray& operator=(HugeArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~HugeArray() {
    if (mapped_ != 0) ::munmap(data_, mapped_);
  }

  // kFull: the kernel has no such memory to give.
  static Result<HugeArray> make(std::size_t size) noexcept {
    HugeArray array;
    if (size == 0) return array;
    constexpr std::size_t kHugePage = 2u << 20;
    if (size > (static_cast<std::size_t>(-1) - kHugePage) / sizeof(T)) {
      return Status(Code::kFull, "mapping an index array");
    }
    const std::size_t bytes = (size * sizeof(T) + kHugePage - 1) / kHugePage * kHugePage;
    void* base =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return Status(Code::kFull, "mapping an index array", errno);
    // Advice only: without huge pages everything works, with more TLB misses. Small arrays gain nothing.
    if (bytes > kHugePage) ::madvise(base, bytes, MADV_HUGEPAGE);
    array.data_ = static_cast<T*>(base);
    array.size_ = size;
    array.mapped_ = bytes;
    return array;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return size_ * sizeof(T); }
  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
};

}  // namespace kelvin
