// Ten entries of the index in one cache line, as eight 64-bit words so that readers need no lock.
//
//   word 0     overflow:32 ‖ tag[0]:16 ‖ tag[1]:16
//   words 1-2  tag[2..9]
//   words 3-7  id[0..9], two a word
//
// `overflow` counts entries whose search path passes through this full bucket on to the next. Tag 0 is empty.
//
// Thread contract: readers need nothing; writers hold the shard's lock.
// Invariants:
//   1. An entry never moves: a reader cannot miss a key that stays in the index.
//   2. An id is stored before its tag, and `overflow` before the entry that lies behind it (release).
// A reader may see the tag of one entry with the id of its successor in the same place: it verifies the
// record.
#pragma once

#include <atomic>
#include <cstdint>

namespace kelvin {

struct alignas(64) Bucket {
  static constexpr unsigned kEntries = 10;

  std::atomic<std::uint64_t> words[8];

  // Lanes of one word that hold `tag`, as a mask with bit 15 of each lane set. Lanes above a true match may
  // be reported wrongly: callers verify each.
  static std::uint64_t lanes_with(std::uint64_t word, std::uint16_t tag) noexcept {
    constexpr std::uint64_t kOnes = 0x0001'0001'0001'0001;
    const std::uint64_t x = word ^ (kOnes * tag);
    return (x - kOnes) & ~x & (kOnes << 15);
  }

  // Bit e set: entry e may hold `tag`.
  unsigned candidates(std::uint16_t tag) const noexcept {
    unsigned mask = 0;
    for (unsigned w = 0; w < 3; ++w) {
      std::uint64_t lanes = lanes_with(words[w].load(std::memory_order_acquire), tag);
      if (w == 0) lanes &= 0xFFFF'FFFF'0000'0000;  // the low half is `overflow`
      for (; lanes != 0; lanes &= lanes - 1) {
        const unsigned lane = w * 4 + static_cast<unsigned>(__builtin_ctzll(lanes)) / 16;
        mask |= 1u << (lane - 2);
      }
    }
    return mask;
  }

  std::uint32_t overflow() const noexcept {
    return static_cast<std::uint32_t>(words[0].load(std::memory_order_acquire));
  }
  std::uint16_t tag(unsigned entry) const noexcept {
    const unsigned lane = entry + 2;
    return static_cast<std::uint16_t>(words[lane / 4].load(std::memory_order_relaxed) >> (lane % 4 * 16));
  }
  std::uint32_t id(unsigned entry) const noexcept {
    return static_cast<std::uint32_t>(words[3 + entry / 2].load(std::memory_order_acquire) >>
                                      (entry % 2 * 32));
  }

  // Writers only.
  void set_overflow(std::uint32_t value) noexcept {
    const std::uint64_t tags = words[0].load(std::memory_order_relaxed) >> 32 << 32;
    words[0].store(tags | value, std::memory_order_release);
  }
  void set_tag(unsigned entry, std::uint16_t value) noexcept {
    const unsigned lane = entry + 2;
    store_field(words[lane / 4], lane % 4 * 16, 0xFFFF, value);
  }
  void set_id(unsigned entry, std::uint32_t value) noexcept {
    store_field(words[3 + entry / 2], entry % 2 * 32, 0xFFFF'FFFF, value);
  }

 private:
  static void store_field(std::atomic<std::uint64_t>& word, unsigned shift, std::uint64_t mask,
                          std::uint64_t value) noexcept {
    const std::uint64_t old = word.load(std::memory_order_relaxed);
    word.store((old & ~(mask << shift)) | (value << shift), std::memory_order_release);
  }
};

static_assert(sizeof(Bucket) == 64);

}  // namespace kelvin
