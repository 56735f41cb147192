// NewcomerQueue: the blocks for whom victims are looked for, in turn (Budget::newcomers).
//
// Thread contract: that of Policy; names a budget's keys from begin() to the end of that call of plan.
#pragma once

#include <cstddef>
#include <span>

#include "kelvin/policy.h"

namespace kelvin {

class NewcomerQueue {
 public:
  void begin(const Budget& budget) noexcept {
    const Newcomers none;
    const Newcomers& newcomers = budget.newcomers != nullptr ? *budget.newcomers : none;
    keys_ = newcomers.keys;
    granted_ = newcomers.granted;
  }
  // The one that the next victim makes room for; null: they are not known, and none may be refused.
  const BlockKey* next() const noexcept { return granted_ < keys_.size() ? &keys_[granted_] : nullptr; }
  std::span<const BlockKey> granted() const noexcept {
    return keys_.first(granted_ < keys_.size() ? granted_ : keys_.size());
  }
  void grant() noexcept { ++granted_; }

  // Refuses the next one and all that build on it; `remember(key)` is told of each, deepest first, as if they
  // had come and gone.
  template <class Remember>
  void refuse(Remember&& remember) noexcept {
    for (std::size_t i = keys_.size(); i-- > granted_;) remember(keys_[i]);
  }

 private:
  std::span<const BlockKey> keys_;
  std::size_t granted_ = 0;
};

}  // namespace kelvin
