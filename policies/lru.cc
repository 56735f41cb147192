// See lru.h.
#include "policies/lru.h"

#include "policies/ranked_policy.h"
#include "policies/recency_list.h"

namespace kelvin {
namespace {

constexpr int kStepsUp = 256;  // on arrival: copies overtake each other by no more than links are deep

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
    if (list_.contains(block.value)) list_.remove(block.value);
  }

  void begin(const Budget& /*budget*/) noexcept { walk_.begin(list_); }
  std::uint32_t next() noexcept { return walk_.next(list_); }
  void take(std::uint32_t /*block*/) noexcept {}
  void spare(std::uint32_t block) noexcept { list_.touch(block); }  // nothing is more recent

 private:
  void touch(std::uint32_t block) noexcept {
    if (list_.contains(block)) list_.touch(block);
  }

  RecencyLinks links_;
  RecencyList list_{links_};
  OldestFirst walk_;
};

}  // namespace

const PolicyFactory kLruPolicy = {"lru", {}, make_ranked<LruRanking>};

}  // namespace kelvin
