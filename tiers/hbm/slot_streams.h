// SlotStreams: which of the engine's work on the device each slot of a tier follows (kelvin/tier.h, Streams).
//
// A mark is a record of a stream. A slot follows each mark that was made for it and is not done; the newest
// is done when they all are.
//
// Thread contract: any thread. A call that puts something on a stream waits where the stream is full, as any
// launch does; meanwhile no lock is held: what makes room on the stream may need this.
// Invariants:
//   1. A mark's place in the pool is its number modulo kMarks: a number that stands there no more is done.
//   2. A mark is closed, and its record given back, when its record and all marks in its `before` are done.
//   3. newest_[slot] rises; a slot whose newest mark is not above settled_ follows nothing.
//   4. Nothing allocates after construction.
//   5. What is held, a mark or a wait, is not closed: its record, and its place, are nobody else's meanwhile.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_annotations.h"
#include "kelvin/tier.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {

class SlotStreams final : public Streams {
 public:
  static constexpr std::uint32_t kMarks = 1024;  // open at once

  // `words`: how many. As Pinned::make; may throw std::bad_alloc.
  static Result<std::unique_ptr<SlotStreams>> open(Device& device, std::uint32_t slots, std::uint32_t words,
                                                   std::string* why);
  // Waits until all marks have passed and no stream waits for a word any more, or the device is lost: what
  // kernels use, and words, are still there until then.
  ~SlotStreams() override;

  Result<std::uint64_t> follow(Stream stream, std::span<const Slot> slots) noexcept override;
  Status precede(Stream stream, std::span<const Slot> slots) noexcept override;
  Status passed(std::uint64_t mark) noexcept override;
  std::uint64_t open_mark(std::span<const Slot> slots) noexcept override;
  std::span<std::atomic<std::uint32_t>> words() noexcept override { return words_; }
  Status wait(Stream stream, std::uint32_t word, std::uint32_t value) noexcept override;

  // What is put on `queue` from now on comes after what these slots follow.
  Status order(Queue& queue, std::span<const Slot> slots) noexcept;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::uint32_t kLooks = 8;        // records that are asked for in passing
  static constexpr std::uint32_t kNodesOfEach = 4;  // marks that slots follow at once, on average
  static constexpr std::uint32_t kWaits = 256;      // pairs of a stream and a word that it waits for

  struct Mark {
    std::uint64_t number = 0;  // 0: free
    Record record = 0;
    std::uint32_t before = kNone;  // nodes: what its slots followed before
    std::uint32_t older = kNone;   // in the list of open marks
    std::uint32_t newer = kNone;   //
    std::uint64_t asked = 0;       // the round in which `done` was found out
    std::uint32_t held = 0;        // by so many calls
    bool done = false;
  };
  // Of a list of marks, the newest first: a slot's, or a mark's.
  struct Node {
    std::uint64_t number = 0;
    std::uint32_t next = kNone;
  };

  // What a stream waits for. Its newest wait passes last.
  struct Wait {
    Stream stream = nullptr;
    std::uint32_t word = kNone;  // kNone: free
    Record record = 0;           // of the stream, after the newest wait; 0: it is being made
    std::uint32_t held = 0;      // by so many calls
  };

  SlotStreams(Device& device, std::uint32_t slots, std::uint32_t words, Pinned memory);

  bool follows_nothing(Slot slot) const noexcept {
    // Acquire: pairs with follow's and close's release.
    return newest_[slot.value].load(std::memory_order_acquire) <= settled_.load(std::memory_order_acquire);
  }
  Mark* find(std::uint64_t number) noexcept KELVIN_REQUIRES(mu_);
  Status state_of(Mark& mark) noexcept KELVIN_REQUIRES(mu_);
  void close(Mark& mark) noexcept KELVIN_REQUIRES(mu_);
  bool all_passed() noexcept;
  void close_what_is_done(std::uint32_t looks) noexcept KELVIN_REQUIRES(mu_);
  void prune(std::uint32_t& list) noexcept KELVIN_REQUIRES(mu_);
  void push(std::uint32_t& list, std::uint64_t number) noexcept KELVIN_REQUIRES(mu_);
  void add_before(Mark& mark, std::uint32_t list) noexcept KELVIN_REQUIRES(mu_);
  void list_newest(std::uint32_t index) noexcept KELVIN_REQUIRES(mu_);
  std::uint32_t free_mark() const noexcept KELVIN_REQUIRES(mu_);
  Wait* find_wait(Stream stream, std::uint32_t word) noexcept KELVIN_REQUIRES(mu_);
  Wait* place_for(Stream stream, std::uint32_t word) noexcept KELVIN_REQUIRES(mu_);
  void forget_what_passed() noexcept KELVIN_REQUIRES(mu_);
  // Calls f(record), not under the lock, for each open mark of these slots, once each.
  template <class F>
  Status for_each_open(std::span<const Slot> slots, F&& f) noexcept;

  Device& device_;
  Pinned memory_;
  std::span<std::atomic<std::uint32_t>> words_;
  std::vector<std::atomic<std::uint64_t>> newest_;  // by slot
  std::atomic<std::uint64_t> settled_{0};           // all marks up to this one are done

  Mutex mu_;
  std::vector<Mark> marks_ KELVIN_GUARDED_BY(mu_);
  std::vector<std::uint32_t> lists_ KELVIN_GUARDED_BY(mu_);  // by slot: nodes
  std::vector<Node> nodes_ KELVIN_GUARDED_BY(mu_);
  std::uint32_t free_nodes_ KELVIN_GUARDED_BY(mu_) = kNone;
  std::uint32_t free_node_count_ KELVIN_GUARDED_BY(mu_) = 0;
  std::uint32_t oldest_ KELVIN_GUARDED_BY(mu_) = kNone;
  std::uint32_t newest_mark_ KELVIN_GUARDED_BY(mu_) = kNone;
  std::uint32_t open_ KELVIN_GUARDED_BY(mu_) = 0;
  std::uint64_t last_ KELVIN_GUARDED_BY(mu_) = 0;
  std::uint64_t round_ KELVIN_GUARDED_BY(mu_) = 0;
  std::array<Wait, kWaits> waits_ KELVIN_GUARDED_BY(mu_){};
};

}  // namespace kelvin::hbm
