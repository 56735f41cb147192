// What a heat policy brings near before it is asked for: see policy.h.
#include <algorithm>
#include <bit>

#include "policies/heat/policy.h"

namespace kelvin::heat {
namespace {

constexpr std::uint64_t kLeadNs = 5'000'000'000;  // before a block is needed: enough for a queue of loads
constexpr float kWorthwhile = 1.5F;  // times as hot as what leaves the nearest tier: others are read in vain

}  // namespace

void HeatPolicy::promote_from(std::uint32_t id, std::uint64_t due_ns) noexcept {
  Block& block = blocks_[id];
  if (nearest_ + 1 < tiers_.size() && !block.queued) block.queued = promotions_.add(id, due_ns);
}

// A scheduler says so: the blocks come from the root on.
void HeatPolicy::expect(const Event& event) noexcept {
  Block& block = blocks_[event.block.value];
  block.expected = true;
  block.keep_until_s = std::max(block.keep_until_s, end_of(kGraceSeconds, event.time_ns));
  promote_from(event.block.value, event.time_ns - std::min(event.time_ns, kLeadNs));
}

// Requests that grew older and whose blocks went down: by now they may be hotter than what leaves the nearest
// tier. The last block goes first, so that where it is near, all are.
void HeatPolicy::foresee(std::uint64_t now_ns) noexcept {
  const std::uint32_t enough = (2U << nearest_) - 1;
  for (const std::uint32_t serial : requests_.grown()) {
    Request* request = requests_.find(serial);
    if (request == nullptr || !request->tail) continue;
    const Block& tail = blocks_[request->tail.value];
    if (tail.request != serial || tail.tiers == 0 || (tail.tiers & enough) != 0) continue;
    const Part part = request->known < request->kept ? Part::kBody : Part::kOwn;
    const float bar = tiers_[nearest_].bar;  // 0: nothing has left yet
    if (bar != 0 && requests_.heat(*request, part, now_ns) > kWorthwhile * bar)
      promote_chain(*request, serial, now_ns);
  }
  requests_.forget_grown();
}

// From the root on, what this request used last.
void HeatPolicy::promote_chain(const Request& request, std::uint32_t serial, std::uint64_t now_ns) noexcept {
  chain_.clear();
  for (std::uint32_t id = request.tail.value; id != kNone && chain_.size() < kMostAtOnce;) {
    const Block& block = blocks_[id];
    if (block.request != serial || (block.tiers & ((2U << nearest_) - 1)) != 0) break;
    chain_.push_back(id);
    id = block.parent;
  }
  for (std::size_t i = chain_.size(); i-- > 0;) promote_from(chain_[i], now_ns);
}

void HeatPolicy::promote(Plan& plan) noexcept {
  const std::span<const TierState> tiers = plan.view.tiers();
  const TierIndex near(static_cast<std::uint8_t>(nearest_));
  if (nearest_ >= tiers.size() || !tiers[nearest_].online) return;
  const std::uint32_t enough = (2U << nearest_) - 1;
  while (promotions_.due_ns() <= plan.budget.now_ns && !plan.full()) {
    if (!plan.may_write(near)) return;
    const std::uint32_t id = promotions_.take();
    Block& block = blocks_[id];
    if (!block.queued) continue;  // it is another block by now
    block.queued = false;
    const bool leaves = block.passed || (block.parent != kNone && blocks_[block.parent].passed);
    const BlockState state = plan.view.block(BlockId(id));
    if (state.tiers == 0 || (state.tiers & enough) != 0 || leaves) continue;
    const TierIndex from(static_cast<std::uint8_t>(std::countr_zero(state.tiers)));
    if (!tiers[from.value].online) continue;
    // Where the copy would go with it, a wrong guess costs a write, and where writes are rationed the block.
    if (tiers[from.value].exclusive && !block.expected) continue;
    plan.promote(BlockId(id), from, near);
  }
}

}  // namespace kelvin::heat
