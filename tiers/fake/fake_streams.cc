// See fake_streams.h.
#include "tiers/fake/fake_streams.h"

#include <algorithm>
#include <bit>

namespace kelvin {
namespace {

constexpr Status kLost(Code::kUnavailable, "a fake device: it is lost");

}  // namespace

FakeStreams::FakeStreams(std::uint32_t slots, std::uint32_t words)
    : followed_(slots), word_count_(words), words_(std::make_unique<std::atomic<std::uint32_t>[]>(words)) {}

FakeStreams::Line* FakeStreams::line_of(Stream stream) noexcept {
  const auto n = reinterpret_cast<std::size_t>(stream);
  return n < kStreams ? &lines_[n] : nullptr;
}

Status FakeStreams::push(Stream stream, const Entry& entry) noexcept {
  Line* const line = line_of(stream);
  if (line == nullptr) return Status(Code::kInvalid, "a fake device: it has no such stream");
  if (lost_) return kLost;
  if (line->last - line->first == Line::kLength)
    return Status(Code::kBusy, "a fake device: its stream is full");
  line->entries[line->last++ % Line::kLength] = entry;
  return Status();
}

Result<std::uint64_t> FakeStreams::follow(Stream stream, std::span<const Slot> slots) noexcept {
  SpinGuard guard(mu_);
  if (lost_) return kLost;
  const auto unused = std::ranges::find(marks_, std::uint64_t{0}, &Mark::number);
  if (unused == marks_.end()) return Status(Code::kBusy, "a fake device: too many marks are open");
  Entry entry{.kind = Entry::Kind::kMark, .mark = last_mark_ + 1};
  if (const Status status = push(stream, entry); !status.ok()) return status;
  *unused = {++last_mark_, false, marks_of(slots)};
  for (const Slot slot : slots) followed_[slot.value] = last_mark_;
  return last_mark_;
}

Status FakeStreams::precede(Stream stream, std::span<const Slot> slots) noexcept {
  SpinGuard guard(mu_);
  if (lost_) return kLost;
  const MarkSet marks = marks_of(slots);
  return marks == 0 ? Status() : push(stream, {.kind = Entry::Kind::kAfter, .after = marks});
}

Status FakeStreams::passed(std::uint64_t mark) noexcept {
  SpinGuard guard(mu_);
  if (lost_) return kLost;
  const bool open = mark != 0 && std::ranges::find(marks_, mark, &Mark::number) != marks_.end();
  return open ? Status(Code::kBusy, "a fake device: work is under way") : Status();
}

std::uint64_t FakeStreams::open_mark(std::span<const Slot> slots) noexcept {
  SpinGuard guard(mu_);
  std::uint64_t newest = 0;
  for (MarkSet marks = lost_ ? 0 : marks_of(slots); marks != 0; marks &= marks - 1) {
    newest = std::max(newest, marks_[static_cast<std::size_t>(std::countr_zero(marks))].number);
  }
  return newest;
}

Status FakeStreams::wait(Stream stream, std::uint32_t word, std::uint32_t value) noexcept {
  SpinGuard guard(mu_);
  return push(stream, {.kind = Entry::Kind::kWord, .word = word, .value = value});
}

// A slot's newest mark stands for those before it: it passes after them.
FakeStreams::MarkSet FakeStreams::marks_of(std::span<const Slot> slots) const noexcept {
  MarkSet marks = 0;
  for (std::size_t i = 0; i < kMarks; ++i) {
    const auto follows = [&](Slot slot) KELVIN_NO_TSA { return followed_[slot.value] == marks_[i].number; };
    if (marks_[i].number != 0 && std::ranges::any_of(slots, follows)) marks |= MarkSet{1} << i;
  }
  return marks;
}

// --- the test's side ---

void FakeStreams::put(Stream stream, std::atomic<bool>* done) noexcept {
  SpinGuard guard(mu_);
  static_cast<void>(push(stream, {.kind = Entry::Kind::kWork, .done = done}));
}

std::size_t FakeStreams::run(Stream stream) noexcept {
  SpinGuard guard(mu_);
  Line* const line = line_of(stream);
  return line == nullptr ? 0 : run_line(*line);
}

std::size_t FakeStreams::run_all() noexcept {
  SpinGuard guard(mu_);
  std::size_t done = 0;
  for (std::size_t before = ~std::size_t{0}; before != done;) {
    before = done;
    for (Line& line : lines_) done += run_line(line);
  }
  return done;
}

bool FakeStreams::waits(Stream stream) noexcept {
  SpinGuard guard(mu_);
  const Line* const line = line_of(stream);
  return line != nullptr && line->first != line->last && !may_go(line->entries[line->first % Line::kLength]);
}

std::size_t FakeStreams::open_marks() noexcept {
  SpinGuard guard(mu_);
  return kMarks - static_cast<std::size_t>(std::ranges::count(marks_, std::uint64_t{0}, &Mark::number));
}

void FakeStreams::lose() noexcept {
  SpinGuard guard(mu_);
  lost_ = true;
  for (Line& line : lines_) line.first = line.last;
  marks_.fill(Mark{});
}

void FakeStreams::find_again() noexcept {
  SpinGuard guard(mu_);
  lost_ = false;
}

bool FakeStreams::lost() noexcept {
  SpinGuard guard(mu_);
  return lost_;
}

bool FakeStreams::may_go(const Entry& entry) const noexcept {
  if (entry.kind == Entry::Kind::kAfter) return entry.after == 0;
  if (entry.kind != Entry::Kind::kWord) return true;
  // Pairs with the release of who writes the word.
  const std::uint32_t now = words_[entry.word].load(std::memory_order_acquire);
  return static_cast<std::int32_t>(now - entry.value) >= 0;
}

std::size_t FakeStreams::run_line(Line& line) noexcept {
  std::size_t done = 0;
  for (; line.first != line.last; ++done) {
    const Entry& entry = line.entries[line.first % Line::kLength];
    if (!may_go(entry)) break;
    ++line.first;
    if (entry.kind == Entry::Kind::kWork) entry.done->store(true, std::memory_order_release);
    if (entry.kind == Entry::Kind::kMark) {
      std::ranges::find(marks_, entry.mark, &Mark::number)->reached = true;
      settle_marks();
    }
  }
  return done;
}

// Closes the marks that have passed, and forgets them wherever they are waited for.
void FakeStreams::settle_marks() noexcept {
  for (bool again = true; again;) {
    again = false;
    for (std::size_t i = 0; i < kMarks; ++i) {
      if (marks_[i].number == 0 || !marks_[i].reached || marks_[i].after != 0) continue;
      marks_[i] = Mark{};
      again = true;
      const MarkSet others = ~(MarkSet{1} << i);
      for (Mark& mark : marks_) mark.after &= others;
      for (Line& line : lines_) {
        for (Entry& entry : line.entries) entry.after &= others;
      }
    }
  }
}

}  // namespace kelvin
