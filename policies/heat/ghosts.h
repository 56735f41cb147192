// What is remembered of blocks that are gone: which request used them last, and in which part.
//
// A set-associative array, eight entries of eight bytes in a cache line; where a set is full, the entry of
// the oldest request goes. An entry knows 20 bits of its key beside the set's number: one look-up in 130,000
// of unknown keys finds a stranger's entry, which costs accuracy and nothing else.
//
// Thread contract: one thread. Allocates at construction only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kelvin/block.h"
#include "policies/heat/hazard.h"

namespace kelvin::heat {

struct Ghost {
  std::uint32_t request = 0;  // serial
  Part part = Part::kTail;
  std::uint8_t forks = 0;  // at most kMostForks
};

class Ghosts {
 public:
  static constexpr std::uint8_t kMostForks = 15;

  // Room for at least `entries`.
  explicit Ghosts(std::uint64_t entries);

  // Remembers a block. True: `displaced` had to go for it.
  bool put(const BlockKey& key, const Ghost& ghost, std::uint32_t newest, Ghost* displaced) noexcept;
  void prefetch(const BlockKey& key) const noexcept { __builtin_prefetch(&sets_[place_of(key)]); }
  // False: the block is not known; at once where none is, as while a space takes in what a drive remembers.
  bool find(const BlockKey& key, Ghost* ghost) const noexcept;
  // Takes a block out; false: it is not known.
  bool take(const BlockKey& key, Ghost* ghost) noexcept;

  std::uint64_t bytes() const noexcept { return sets_.size() * sizeof(Set); }

 private:
  struct Entry {
    std::uint32_t request = 0;
    std::uint32_t word = 0;  // bits 0-19: of the key; 20-23: forks; 24-26: part; 31: in use
  };
  struct alignas(64) Set {
    std::array<Entry, 8> entries;
  };
  static constexpr std::uint32_t kUsed = 1U << 31;
  static constexpr std::uint32_t kTag = (1U << 20) - 1;

  static Ghost unpack(const Entry& entry) noexcept;
  // Where in its set the block is; beyond the set's end: nowhere.
  static std::size_t way_of(const Set& set, const BlockKey& key) noexcept;
  std::size_t place_of(const BlockKey& key) const noexcept { return key.lo >> shift_; }
  static std::uint32_t tag_of(const BlockKey& key) noexcept {
    return static_cast<std::uint32_t>(key.hi) & kTag;
  }

  std::vector<Set> sets_;
  int shift_;
  std::uint64_t known_ = 0;  // blocks
};

}  // namespace kelvin::heat
