// See slot_streams.h.
#include "tiers/hbm/slot_streams.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

namespace kelvin::hbm {
namespace {

constexpr std::chrono::microseconds kPause{200};

}  // namespace

Result<std::unique_ptr<SlotStreams>> SlotStreams::open(Device& device, std::uint32_t slots,
                                                       std::uint32_t words, std::string* why) {
  auto memory = Pinned::make(device, std::uint64_t{words} * sizeof(std::atomic<std::uint32_t>), why);
  if (!memory.ok()) return memory.status();
  return std::unique_ptr<SlotStreams>(new SlotStreams(device, slots, words, std::move(*memory)));
}

SlotStreams::SlotStreams(Device& device, std::uint32_t slots, std::uint32_t words, Pinned memory)
    : device_(device),
      memory_(std::move(memory)),
      newest_(slots),
      marks_(kMarks),
      lists_(slots, kNone),
      nodes_((std::size_t{slots} + kMarks) * kNodesOfEach) {
  auto* const first = reinterpret_cast<std::atomic<std::uint32_t>*>(memory_.base());
  std::uninitialized_value_construct_n(first, words);
  words_ = {first, words};
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    nodes_[i].next = free_nodes_;
    free_nodes_ = static_cast<std::uint32_t>(i);
  }
  free_node_count_ = static_cast<std::uint32_t>(nodes_.size());
}

SlotStreams::~SlotStreams() {
  while (!all_passed()) std::this_thread::sleep_for(kPause);
  for (const Mark& mark : marks_) {
    if (mark.number != 0) device_.give_back(mark.record);
  }
  for (const Wait& wait : waits_) {
    if (wait.record != 0) device_.give_back(wait.record);
  }
}

bool SlotStreams::all_passed() noexcept {
  const MutexLock lock(mu_);
  close_what_is_done(kMarks);
  forget_what_passed();
  const bool nobody_waits = std::ranges::all_of(waits_, [](const Wait& wait) { return wait.word == kNone; });
  return (open_ == 0 && nobody_waits) || device_.passed(0).code() == Code::kUnavailable;
}

SlotStreams::Mark* SlotStreams::find(std::uint64_t number) noexcept {
  Mark& mark = marks_[number % kMarks];
  return mark.number == number ? &mark : nullptr;
}

// Asked once a round; what is done is closed.
Status SlotStreams::state_of(Mark& mark) noexcept {
  if (mark.asked == round_ && !mark.done) return {Code::kBusy, "work on a stream"};
  mark.asked = round_;
  mark.done = false;
  if (const Status status = device_.passed(mark.record); !status.ok()) return status;
  for (std::uint32_t n = mark.before; n != kNone; n = nodes_[n].next) {
    // Older ones: the recursion ends. It is as deep as streams wait for each other.
    Mark* const before = find(nodes_[n].number);
    if (before == nullptr) continue;
    if (const Status status = state_of(*before); !status.ok()) return status;
  }
  mark.done = true;
  if (mark.held == 0) close(mark);
  return {};
}

void SlotStreams::close(Mark& mark) noexcept {
  device_.give_back(mark.record);
  while (mark.before != kNone) {
    const std::uint32_t node = mark.before;
    mark.before = nodes_[node].next;
    nodes_[node].next = std::exchange(free_nodes_, node);
    ++free_node_count_;
  }
  (mark.older == kNone ? oldest_ : marks_[mark.older].newer) = mark.newer;
  (mark.newer == kNone ? newest_mark_ : marks_[mark.newer].older) = mark.older;
  mark = {};
  --open_;
  // Release: what the marks recorded is done for whoever finds them settled.
  settled_.store(oldest_ == kNone ? last_ : marks_[oldest_].number - 1, std::memory_order_release);
}

void SlotStreams::close_what_is_done(std::uint32_t looks) noexcept {
  ++round_;
  for (std::uint32_t i = oldest_; i != kNone && looks > 0;) {
    Mark& mark = marks_[i];
    i = mark.newer;
    if (!state_of(mark).ok()) --looks;
  }
}

// Takes what is done out of a list.
void SlotStreams::prune(std::uint32_t& list) noexcept {
  std::uint32_t* at = &list;
  while (*at != kNone) {
    const std::uint32_t node = *at;
    if (find(nodes_[node].number) != nullptr) {
      at = &nodes_[node].next;
      continue;
    }
    *at = nodes_[node].next;
    nodes_[node].next = std::exchange(free_nodes_, node);
    ++free_node_count_;
  }
}

void SlotStreams::push(std::uint32_t& list, std::uint64_t number) noexcept {
  const std::uint32_t node = free_nodes_;
  free_nodes_ = nodes_[node].next;
  --free_node_count_;
  nodes_[node] = {number, list};
  list = node;
}

// The newest of a list; those before it are in its own `before`.
void SlotStreams::add_before(Mark& mark, std::uint32_t list) noexcept {
  Mark* const before = list == kNone ? nullptr : find(nodes_[list].number);
  if (before == nullptr || before->asked == round_) return;
  before->asked = round_;
  before->done = false;
  push(mark.before, before->number);
}

void SlotStreams::list_newest(std::uint32_t index) noexcept {
  marks_[index].older = newest_mark_;
  (newest_mark_ == kNone ? oldest_ : marks_[newest_mark_].newer) = index;
  newest_mark_ = index;
  ++open_;
}

std::uint32_t SlotStreams::free_mark() const noexcept {
  for (std::uint64_t next = last_ + 1; next <= last_ + kMarks; ++next) {
    if (marks_[next % kMarks].number == 0) return static_cast<std::uint32_t>(next % kMarks);
  }
  return kNone;
}

Result<std::uint64_t> SlotStreams::follow(Stream stream, std::span<const Slot> slots) noexcept {
  const auto record = device_.record(stream);
  if (!record.ok()) return record.status();
  const MutexLock lock(mu_);
  close_what_is_done(open_ > kMarks / 2 ? kMarks : kLooks);
  for (const Slot slot : slots) prune(lists_[slot.value]);
  const std::uint32_t index = free_mark();
  if (index == kNone || free_node_count_ < slots.size() + std::min<std::size_t>(open_, slots.size())) {
    device_.give_back(*record);
    return Status(Code::kBusy, "following a stream: too many marks are open");
  }
  Mark& mark = marks_[index];
  mark.number = last_ + 1 + (index + kMarks - (last_ + 1) % kMarks) % kMarks;
  mark.record = *record;
  last_ = mark.number;
  ++round_;
  for (const Slot slot : slots) add_before(mark, lists_[slot.value]);
  for (const Slot slot : slots) {
    push(lists_[slot.value], mark.number);
    newest_[slot.value].store(mark.number, std::memory_order_release);
  }
  list_newest(index);
  return mark.number;
}

template <class F>
Status SlotStreams::for_each_open(std::span<const Slot> slots, F&& f) noexcept {
  if (std::ranges::all_of(slots, [&](Slot slot) { return follows_nothing(slot); })) return {};
  std::array<Mark*, kMarks> held;
  std::size_t count = 0;
  {
    const MutexLock lock(mu_);
    close_what_is_done(kLooks);
    ++round_;
    for (const Slot slot : slots) {
      prune(lists_[slot.value]);
      for (std::uint32_t n = lists_[slot.value]; n != kNone; n = nodes_[n].next) {
        Mark& mark = *find(nodes_[n].number);
        if (mark.asked == round_) continue;
        mark.asked = round_;
        mark.done = false;
        ++mark.held;
        held[count++] = &mark;
      }
    }
  }
  Status status;
  for (std::size_t i = 0; i < count && status.ok(); ++i) status = f(held[i]->record);
  const MutexLock lock(mu_);
  for (Mark* const mark : std::span(held).first(count)) --mark->held;
  return status;
}

Status SlotStreams::precede(Stream stream, std::span<const Slot> slots) noexcept {
  return for_each_open(slots, [&](Record record) { return device_.after(stream, record); });
}

Status SlotStreams::order(Queue& queue, std::span<const Slot> slots) noexcept {
  return for_each_open(slots, [&](Record record) { return queue.after(record); });
}

Status SlotStreams::passed(std::uint64_t mark) noexcept {
  if (mark == 0) return device_.passed(0);
  if (mark <= settled_.load(std::memory_order_acquire)) return {};
  const MutexLock lock(mu_);
  if (mark > last_) return {Code::kInvalid, "asking for a mark that was never made"};
  Mark* const open = find(mark);
  if (open == nullptr) return {};
  ++round_;
  return state_of(*open);
}

std::uint64_t SlotStreams::open_mark(std::span<const Slot> slots) noexcept {
  if (std::ranges::all_of(slots, [&](Slot slot) { return follows_nothing(slot); })) return 0;
  const MutexLock lock(mu_);
  ++round_;
  std::uint64_t largest = 0;
  for (const Slot slot : slots) {
    const std::uint64_t number = newest_[slot.value].load(std::memory_order_relaxed);
    Mark* const mark = number > largest ? find(number) : nullptr;
    if (mark != nullptr && !state_of(*mark).ok()) largest = number;
  }
  return largest;
}

Status SlotStreams::wait(Stream stream, std::uint32_t word, std::uint32_t value) noexcept {
  if (!device_.properties().waits_for_words) return {Code::kUnsupported, "a stream that waits for a word"};
  if (word >= words_.size()) return {Code::kInvalid, "a stream that waits for a word"};
  Wait* own = nullptr;
  {
    const MutexLock lock(mu_);
    own = place_for(stream, word);
    if (own == nullptr) {
      const Status there = device_.passed(0);
      return there.ok() ? Status(Code::kBusy, "a stream that waits for a word: too many others do") : there;
    }
    ++own->held;
  }
  Status status = device_.wait(stream, &words_[word], value);
  Record newest = 0;
  if (status.ok()) {
    const auto record = device_.record(stream);
    status = record.status();
    if (record.ok()) newest = *record;
  }
  const MutexLock lock(mu_);
  if (newest != 0) device_.give_back(std::exchange(own->record, newest));
  if (--own->held == 0 && own->record == 0) *own = {};
  return status;
}

SlotStreams::Wait* SlotStreams::find_wait(Stream stream, std::uint32_t word) noexcept {
  for (Wait& wait : waits_) {
    if (wait.word == word && wait.stream == stream) return &wait;
  }
  return nullptr;
}

// Null: all are taken, by waits that have not passed.
SlotStreams::Wait* SlotStreams::place_for(Stream stream, std::uint32_t word) noexcept {
  if (Wait* const same = find_wait(stream, word)) return same;
  Wait* place = find_wait(nullptr, kNone);  // a free one
  if (place == nullptr) {
    forget_what_passed();
    place = find_wait(nullptr, kNone);
  }
  if (place != nullptr) *place = {.stream = stream, .word = word};
  return place;
}

void SlotStreams::forget_what_passed() noexcept {
  for (Wait& wait : waits_) {
    if (wait.held != 0 || wait.record == 0 || !device_.passed(wait.record).ok()) continue;
    device_.give_back(wait.record);
    wait = {};
  }
}

}  // namespace kelvin::hbm
