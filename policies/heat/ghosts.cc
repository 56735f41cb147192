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
  Entry* place = nullptr;
  for (Entry& entry : set.entries) {
    const bool same = (entry.word & (kUsed | kTag)) == (kUsed | tag);
    if ((entry.word & kUsed) == 0 || same) {
      place = &entry;
      if (same) break;
    } else if (place == nullptr ||
               ((place->word & kUsed) != 0 && newest - entry.request > newest - place->request)) {
      place = &entry;
    }
  }
  const bool full = (place->word & kUsed) != 0;
  if (full) *displaced = unpack(*place);
  place->request = ghost.request;
  place->word = kUsed | static_cast<std::uint32_t>(ghost.part) << 24 |
                static_cast<std::uint32_t>(std::min(ghost.forks, kMostForks)) << 20 | tag;
  return full;
}

bool Ghosts::find(const BlockKey& key, Ghost* ghost) const noexcept {
  const std::uint32_t tag = tag_of(key);
  for (const Entry& entry : sets_[place_of(key)].entries) {
    if ((entry.word & (kUsed | kTag)) != (kUsed | tag)) continue;
    *ghost = unpack(entry);
    return true;
  }
  return false;
}

bool Ghosts::take(const BlockKey& key, Ghost* ghost) noexcept {
  const std::uint32_t tag = tag_of(key);
  for (Entry& entry : sets_[place_of(key)].entries) {
    if ((entry.word & (kUsed | kTag)) != (kUsed | tag)) continue;
    *ghost = unpack(entry);
    entry.word = 0;
    return true;
  }
  return false;
}

}  // namespace kelvin::heat
