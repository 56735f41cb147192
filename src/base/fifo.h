// A first-in-first-out queue of fixed capacity, which allocates only when it is made.
//
// Thread contract: none of its own; its owner's thread or lock.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kelvin {

template <class T>
class Fifo {
 public:
  explicit Fifo(std::size_t capacity) : items_(capacity) {}

  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == items_.size(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t room() const noexcept { return items_.size() - size_; }

  // Precondition: !full().
  void push(const T& item) noexcept {
    assert(!full());
    items_[wrapped(head_ + size_)] = item;
    ++size_;
  }

  // Precondition of both: !empty().
  const T& front() const noexcept {
    assert(!empty());
    return items_[head_];
  }
  T pop() noexcept {
    const T item = front();
    head_ = wrapped(head_ + 1);
    --size_;
    return item;
  }

  // Precondition: i < size(). The i-th to be popped, counted from 0.
  const T& operator[](std::size_t i) const noexcept {
    assert(i < size_);
    return items_[wrapped(head_ + i)];
  }

  void clear() noexcept { size_ = 0; }

 private:
  std::size_t wrapped(std::size_t i) const noexcept { return i < items_.size() ? i : i - items_.size(); }

  std::vector<T> items_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

// 0, 1 and so on, `count` of them: those that are free of things that have numbers.
inline Fifo<std::uint32_t> numbered(std::uint32_t count) {
  Fifo<std::uint32_t> numbers(count);
  for (std::uint32_t i = 0; i < count; ++i) numbers.push(i);
  return numbers;
}

}  // namespace kelvin
