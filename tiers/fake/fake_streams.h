// Streams of a device that exists in a test only: what is put on one is done when the test says so.
//
// Thread contract: any thread. Invariants:
//   1. What is on a stream is done in its order; a wait holds up what is behind it, and nothing else.
//   2. A mark has passed when its place on its stream was reached and the marks that its slots followed
//      before have passed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/spin_lock.h"
#include "kelvin/tier.h"

namespace kelvin {

class FakeStreams final : public Streams {
 public:
  static constexpr std::size_t kStreams = 8;  // stream_of(0) .. stream_of(kStreams - 1)
  static constexpr std::size_t kMarks = 64;   // open at once

  FakeStreams(std::uint32_t slots, std::uint32_t words);

  static Stream stream_of(std::size_t n) noexcept { return reinterpret_cast<Stream>(n); }

  Result<std::uint64_t> follow(Stream stream, std::span<const Slot> slots) noexcept override;
  Status precede(Stream stream, std::span<const Slot> slots) noexcept override;
  Status passed(std::uint64_t mark) noexcept override;
  std::uint64_t open_mark(std::span<const Slot> slots) noexcept override;
  std::span<std::atomic<std::uint32_t>> words() noexcept override { return {words_.get(), word_count_}; }
  Status wait(Stream stream, std::uint32_t word, std::uint32_t value) noexcept override;

  // The test's side. put: a piece of work, of which `done` becomes true when it is done. run: does what is on
  // the stream, up to the first wait that is not over; returns how many things. waits: it has come to one.
  void put(Stream stream, std::atomic<bool>* done) noexcept;
  std::size_t run(Stream stream) noexcept;
  std::size_t run_all() noexcept;
  bool waits(Stream stream) noexcept;
  std::size_t open_marks() noexcept;
  // The device is lost, with all that was on its streams; it is there again.
  void lose() noexcept;
  void find_again() noexcept;
  bool lost() noexcept;

 private:
  using MarkSet = std::uint64_t;  // bit i: the open mark in marks_[i]
  static_assert(kMarks <= 64);

  struct Entry {
    enum class Kind : std::uint8_t { kWork, kMark, kAfter, kWord } kind = Kind::kWork;
    std::atomic<bool>* done = nullptr;  // kWork
    std::uint64_t mark = 0;             // kMark
    MarkSet after = 0;                  // kAfter
    std::uint32_t word = 0;             // kWord
    std::uint32_t value = 0;
  };
  struct Line {
    static constexpr std::size_t kLength = 256;
    std::array<Entry, kLength> entries;
    std::uint64_t first = 0, last = 0;
  };
  struct Mark {
    std::uint64_t number = 0;  // 0: none is open here
    bool reached = false;
    MarkSet after = 0;
  };

  Line* line_of(Stream stream) noexcept KELVIN_REQUIRES(mu_);
  Status push(Stream stream, const Entry& entry) noexcept KELVIN_REQUIRES(mu_);
  MarkSet marks_of(std::span<const Slot> slots) const noexcept KELVIN_REQUIRES(mu_);
  std::size_t run_line(Line& line) noexcept KELVIN_REQUIRES(mu_);
  bool may_go(const Entry& entry) const noexcept KELVIN_REQUIRES(mu_);
  void settle_marks() noexcept KELVIN_REQUIRES(mu_);

  SpinLock mu_;
  std::array<Line, kStreams> lines_ KELVIN_GUARDED_BY(mu_);
  std::array<Mark, kMarks> marks_ KELVIN_GUARDED_BY(mu_){};
  std::vector<std::uint64_t> followed_ KELVIN_GUARDED_BY(mu_);  // by slot: the newest mark
  std::uint64_t last_mark_ KELVIN_GUARDED_BY(mu_) = 0;
  bool lost_ KELVIN_GUARDED_BY(mu_) = false;
  const std::size_t word_count_;
  const std::unique_ptr<std::atomic<std::uint32_t>[]> words_;
};

}  // namespace kelvin
