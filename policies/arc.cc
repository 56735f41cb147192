// See arc.h. The names are the paper's: T1 and T2 are the lists of blocks that are here, B1 and B2 of those
// that were, p is the size that T1 should have.
#include "policies/arc.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "policies/ghosts.h"
#include "policies/newcomers.h"
#include "policies/ranked_policy.h"
#include "policies/recency_list.h"

namespace kelvin {
namespace {

class ArcRanking {
 public:
  static constexpr bool kLeafFirst = false;

  explicit ArcRanking(const RankingContext& context)
      : slots_(context.slots),
        links_(context.blocks),
        place_(context.blocks),
        gone_(context.slots + kAhead) {}
  ArcRanking(const ArcRanking&) = delete;  // the lists name the links
  ArcRanking& operator=(const ArcRanking&) = delete;

  void arrive(const View& /*view*/, const Event& event, const BlockState& state) noexcept {
    const std::uint32_t block = event.block.value;
    if (place_[block] != Place::kNone) return;
    const std::uint32_t ghost = gone_.find(state.key);
    if (ghost == GhostLists::kNone) {
      place_[block] = a_use_follows(event) ? Place::kNew : Place::kOnce;
      t1_.push(block);
      forget_too_many();
    } else {
      p_ = promised_ && promised_->key == state.key ? promised_->p : target_after(ghost);
      promised_.reset();
      static_cast<void>(gone_.take(state.key));
      place_[block] = Place::kOften;
      t2_.push(block);
    }
  }

  void use(const View& /*view*/, const Event& event) noexcept {
    const std::uint32_t block = event.block.value;
    Place& place = place_[block];
    switch (place) {
      case Place::kNone: break;
      case Place::kNew:
        t1_.touch(block);
        place = Place::kOnce;
        break;
      case Place::kOnce:
        t1_.remove(block);
        t2_.push(block);
        place = Place::kOften;
        break;
      case Place::kOften: t2_.touch(block); break;
    }
  }

  void leave(const View& view, BlockId block) noexcept {
    const Place place = std::exchange(place_[block.value], Place::kNone);
    if (place == Place::kNone) return;
    list_of(place).remove(block.value);
    static_cast<void>(gone_.push(view.block(block).key, place == Place::kOften ? kB2 : kB1));
  }

  void begin(const Budget& budget) noexcept {
    newcomers_.begin(budget);
    const auto granted = newcomers_.granted();
    t1_size_ =
        t1_.size() + std::ranges::count_if(granted, [this](const BlockKey& key) { return enters_t1(key); });
    t1_left_ = t1_.size();
    walk1_.begin(t1_);
    walk2_.begin(t2_);
  }
  // REPLACE: from T1 while it is larger than its target, else from T2.
  std::uint32_t next() noexcept {
    const BlockKey* const newcomer = newcomers_.next();
    const std::uint32_t ghost = newcomer == nullptr ? GhostLists::kNone : gone_.find(*newcomer);
    const bool known = ghost != GhostLists::kNone;
    const double p = known ? target_after(ghost) : p_;
    const auto t1_size = static_cast<double>(t1_size_);
    const bool over = t1_size > p || (t1_size == p && known && gone_.list_of(ghost) == kB2);
    const bool from_t1 = (t1_size_ > 0 && over) || t2_.size() == 0;
    // All that is left of T1 are newcomers: the last of them is its end.
    if (from_t1 && t1_left_ == 0 && newcomer != nullptr && !known) {
      newcomers_.refuse([this](const BlockKey& key) { static_cast<void>(gone_.push(key, kB1)); });
      forget_too_many();
      return RecencyList::kNone;
    }
    const std::uint32_t block = from_t1 ? walk1_.next(t1_) : walk2_.next(t2_);
    if (block != RecencyList::kNone) return block;
    return from_t1 ? walk2_.next(t2_) : walk1_.next(t1_);
  }
  void take(std::uint32_t block) noexcept {
    if (place_[block] != Place::kOften) {
      --t1_left_;
      --t1_size_;
    }
    if (const BlockKey* const newcomer = newcomers_.next()) {
      const std::uint32_t ghost = gone_.find(*newcomer);
      if (ghost == GhostLists::kNone) {
        ++t1_size_;
      } else {
        promised_ = Promise{*newcomer, target_after(ghost)};
      }
    }
    newcomers_.grant();
  }
  void spare(std::uint32_t block) noexcept { list_of(place_[block]).touch(block); }

 private:
  enum class Place : std::uint8_t {
    kNone,
    kNew,    // in T1, its first use is to come
    kOnce,   // in T1
    kOften,  // in T2
  };
  static constexpr std::uint32_t kAhead = 1024;  // ghosts beyond one memory, while others come for them
  static constexpr unsigned kB1 = 0;
  static constexpr unsigned kB2 = 1;

  RecencyList& list_of(Place place) noexcept { return place == Place::kOften ? t2_ : t1_; }
  bool enters_t1(const BlockKey& key) const noexcept { return gone_.find(key) == GhostLists::kNone; }

  // The paper moves p before it looks for a victim: not after the victim's ghost has changed the sizes.
  struct Promise {
    BlockKey key;
    double p = 0;
  };

  // What p becomes when the block of this ghost comes back: its list should have been longer.
  double target_after(std::uint32_t ghost) const noexcept {
    const double b1 = std::max(1u, gone_.size(kB1));
    const double b2 = std::max(1u, gone_.size(kB2));
    const double step = gone_.list_of(ghost) == kB1 ? std::max(1.0, b2 / b1) : -std::max(1.0, b1 / b2);
    return std::clamp(p_ + step, 0.0, static_cast<double>(slots_));
  }
  // Of what left T1 as much is remembered as makes one memory with T1; of all, as makes two.
  void forget_too_many() noexcept {
    const std::uint64_t one = slots_;
    while (gone_.size(kB1) != 0 && t1_.size() + gone_.size(kB1) > one) gone_.pop(kB1);
    const std::uint64_t here = t1_.size() + t2_.size() + gone_.size(kB1);
    while (gone_.size(kB2) != 0 && here + gone_.size(kB2) > 2 * one) gone_.pop(kB2);
  }

  const std::uint32_t slots_;
  double p_ = 0;
  RecencyLinks links_;
  RecencyList t1_{links_}, t2_{links_};
  std::vector<Place> place_;  // by block
  GhostLists gone_;           // B1 and B2
  OldestFirst walk1_, walk2_;
  Newcomers newcomers_;
  std::optional<Promise> promised_;  // to the newcomer for whom the last victim went
  std::ptrdiff_t t1_size_ = 0;       // without the victims of this walk, with the newcomers that have slots
  std::ptrdiff_t t1_left_ = 0;       // without both
};

}  // namespace

const PolicyFactory kArcPolicy = {"arc", {}, make_ranked<ArcRanking>};

}  // namespace kelvin
