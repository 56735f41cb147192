// See lru.h.
#include "policies/lru.h"

#include <utility>

#include "policies/ranked_policy.h"
#include "policies/recency_list.h"

namespace kelvin {
namespace {

constexpr std::uint32_t kLooks = 64;  // in a row at blocks that are kept, before the walk skips them
constexpr int kStepsUp = 256;         // on arrival: copies overtake each other by no more than links are deep

class LruRanking {
 public:
  static constexpr bool kLeafFirst = true;

  explicit LruRanking(const RankingContext& context) : links_(context.blocks) {}
  LruRanking(const LruRanking&) = delete;  // the list names the links
  LruRanking& operator=(const LruRanking&) = delete;

  // A copy is new in its tier, and so goes behind all others there; but for the blocks it builds on, where
  // they arrived before it: copies overtake each other on the way. Those in use have their turn when their
  // lease ends.
  void arrive(const View& view, const Event& event, const BlockState& own) noexcept {
    if (list_.contains(event.block.value)) return;
    list_.push(event.block.value);
    if (event.kind == EventKind::kPublish) return;  // its lease's end puts it in order
    BlockId parent = own.parent;
    for (int steps = 0; parent && list_.contains(parent.value) && steps < kStepsUp; ++steps) {
      const BlockState state = view.block(parent);
      if (state.leased != 0) return;
      list_.touch(parent.value);
      parent = state.parent;
    }
  }

  void use(const View& /*view*/, const Event& event) noexcept { touch(event.block.value); }

  // The blocks before the shallowest of a lease: normally the lease on them ends next. If nobody holds them
  // any more it ended before: their turn again, up to the root, so that they stay more recent than their
  // children.
  void after_lease(const View& view, BlockId parent) noexcept {
    while (parent) {
      const BlockState state = view.block(parent);
      if (state.leased != 0) return;
      touch(parent.value);
      parent = state.parent;
    }
  }

  void leave(const View& /*view*/, BlockId block) noexcept {
    if (!list_.contains(block.value)) return;
    step_over(block.value);
    list_.remove(block.value);
  }

  void begin(const Budget& /*budget*/) noexcept {
    walk_.begin(list_);
    if (behind_kept_ == kNone) behind_kept_ = list_.oldest();
    looks_ = kLooks;
    skipped_ = skip_end_ = kNone;
    before_ = true;
  }
  std::uint32_t next() noexcept {
    std::uint32_t block = walk_.next(list_);
    if (block == kNone && skipped_ != kNone) {  // nothing but what was skipped is left
      walk_.go_to(std::exchange(skipped_, kNone), list_.newest());
      before_ = true;
      block = walk_.next(list_);
    }
    if (skip_end_ != kNone && skipped_ == kNone && block == skip_end_) return kNone;
    if (block == behind_kept_) before_ = false;
    return block;
  }
  void take(std::uint32_t /*block*/) noexcept { looks_ = kLooks; }
  void spare(std::uint32_t block) noexcept { touch(block); }  // nothing is more recent
  // Kept blocks may stand at the cold end for hours: after some of them in a row the walk skips those that
  // were kept when they were last looked at.
  void pass(std::uint32_t block) noexcept {
    if (block == behind_kept_) behind_kept_ = list_.newer_than(block);
    if (looks_ == 0 || --looks_ != 0 || !before_ || skip_end_ != kNone) return;
    skipped_ = list_.newer_than(block);
    skip_end_ = behind_kept_;
    if (skipped_ == skip_end_) skipped_ = skip_end_ = kNone;
    if (skipped_ != kNone) walk_.go_to(behind_kept_, list_.newest());
  }

 private:
  static constexpr std::uint32_t kNone = RecencyList::kNone;

  void touch(std::uint32_t block) noexcept {
    if (!list_.contains(block)) return;
    step_over(block);
    list_.touch(block);
  }
  // A block leaves its place in the list.
  void step_over(std::uint32_t block) noexcept {
    for (std::uint32_t* at : {&behind_kept_, &skipped_, &skip_end_}) {
      if (*at == block) *at = list_.newer_than(block);
    }
  }

  RecencyLinks links_;
  RecencyList list_{links_};
  OldestFirst walk_;
  std::uint32_t behind_kept_ = kNone;  // all that is older was kept when last looked at
  // Of a walk. What it skipped reaches from `skipped_` to `skip_end_`, which is where it went on.
  std::uint32_t skipped_ = kNone;
  std::uint32_t skip_end_ = kNone;
  std::uint32_t looks_ = 0;  // at further kept blocks in a row
  bool before_ = true;       // it has not come to behind_kept_ yet
};

}  // namespace

const PolicyFactory kLruPolicy = {"lru", {}, make_ranked<LruRanking>};

}  // namespace kelvin
