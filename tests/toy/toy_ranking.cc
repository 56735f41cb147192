// ToyRanking: blocks go in the order in which they came; a policy by its ranking alone.
//
// Thread contract: that of Policy.
#include "policies/ranked_policy.h"
#include "policies/recency_list.h"
#include "tests/toy/toy.h"

namespace kelvin {
namespace {

class ToyRanking {
 public:
  static constexpr bool kLeafFirst = false;

  explicit ToyRanking(const RankingContext& context) : links_(context.blocks) {}
  ToyRanking(const ToyRanking&) = delete;  // the list names the links
  ToyRanking& operator=(const ToyRanking&) = delete;

  void arrive(const View& /*view*/, const Event& event, const BlockState& /*state*/) noexcept {
    if (!list_.contains(event.block.value)) list_.push(event.block.value);
  }
  void use(const View& /*view*/, const Event& /*event*/) noexcept {}
  void leave(const View& /*view*/, BlockId block) noexcept {
    if (list_.contains(block.value)) list_.remove(block.value);
  }

  void begin(const Budget& /*budget*/) noexcept { walk_.begin(list_); }
  std::uint32_t next() noexcept { return walk_.next(list_); }
  void take(std::uint32_t /*block*/) noexcept {}
  void spare(std::uint32_t /*block*/) noexcept {}

 private:
  RecencyLinks links_;
  RecencyList list_{links_};
  OldestFirst walk_;
};

}  // namespace

constinit const PolicyFactory kToyRankedPolicy = {
    .name = "toy_ranked", .options = {}, .make = &make_ranked<ToyRanking>};

}  // namespace kelvin
