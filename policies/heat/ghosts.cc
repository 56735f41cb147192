// See ghosts.h.
#include "policies/heat/ghosts.h"

#include <algorithm>
#include <bit>

namespace kelvin::heat {

Ghosts::Ghosts(std::uint64_t entries)
    : sets_(std::bit_ceil(std::max<std::uint64_t>(2, (entries + 7) / 8))),
      shift_(64 - std::countr_zero(sets_.size())) {}

Ghost Ghosts::unpack(const Entry& entry) noexcept {
  return {entry.request, static_cast<Part>(entry.word >> 24 & 7),
          static_cast<std::uint8_t>(entry.word >> 20 & kMostForks)};
}

bool Ghosts::put(const BlockKey& key, const Ghost& ghost, std::uint32_t newest, Ghost* displaced) noexcept {
  Set& set = sets_[place_of(key)];
  const std::uint32_t tag = tag_of(key);
  // The block's own, else a free one, else that of the oldest request: by a number, since branches on what
  // lies in a set cannot be foreseen.
  Entry* place = nullptr;
  std::uint64_t most = 0;
  for (Entry& entry : set.entries) {
    const std::uint64_t age = newest - entry.request;
    const std::uint64_t free = (entry.word & kUsed) == 0 ? std::uint64_t{1} << 33 : 0;
    const std::uint64_t same = (entry.word & (kUsed | kTag)) == (kUsed | tag) ? std::uint64_t{1} << 34 : 0;
    const std::uint64_t worth = (age | free | same) + 1;
    place = worth > most ? &entry : place;
    most = std::max(most, worth);
  }
  const bool full = (place->word & kUsed) != 0;
  if (full) *displaced = unpack(*place);
  known_ += full ? 0 : 1;
  place->request = ghost.request;
  place->word = kUsed | static_cast<std::uint32_t>(ghost.part) << 24 |
                static_cast<std::uint32_t>(std::min(ghost.forks, kMostForks)) << 20 | tag;
  return full;
}

std::size_t Ghosts::way_of(const Set& set, const BlockKey& key) noexcept {
  const std::uint32_t tag = tag_of(key);
  std::size_t way = 0;
  while (way < set.entries.size() && (set.entries[way].word & (kUsed | kTag)) != (kUsed | tag)) ++way;
  return way;
}

bool Ghosts::find(const BlockKey& key, Ghost* ghost) const noexcept {
  if (known_ == 0) return false;
  const Set& set = sets_[place_of(key)];
  const std::size_t way = way_of(set, key);
  if (way == set.entries.size()) return false;
  *ghost = unpack(set.entries[way]);
  return true;
}

bool Ghosts::take(const BlockKey& key, Ghost* ghost) noexcept {
  if (known_ == 0) return false;
  Set& set = sets_[place_of(key)];
  const std::size_t way = way_of(set, key);
  if (way == set.entries.size()) return false;
  *ghost = unpack(set.entries[way]);
  set.entries[way].word = 0;
  --known_;
  return true;
}

}  // namespace kelvin::heat
