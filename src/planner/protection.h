// What a plan may not take from a tier though nobody holds it: pinned, retained, or in its tenant's share.
//
// The view shows such copies as leased while a policy plans, so that every policy leaves them alone, and the
// planner asks again before it carries anything out. Where nothing else can go, protection yields in this
// order: a tenant that needs slots gives its own copies; then what is retained, the lowest priority first.
// Pins never yield, nor do other tenants' shares.
//
// Thread contract: the planner's, under its lock. Nothing but open() allocates, but for pin().
// Invariants:
//   1. Between begin() and end() it is planning; otherwise nothing is shown as protected.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kelvin/policy.h"
#include "planner/pins.h"
#include "planner/retention.h"
#include "planner/shares.h"
#include "table/residency.h"

namespace kelvin {

struct ProtectionSetup {
  std::span<const double> shares;                      // of each listed tenant; see Shares
  std::array<std::uint32_t, kMaxTiers> share_slots{};  // what shares are of, by tier
  std::array<std::uint32_t, kMaxTiers> pin_limit{};    // pins, by tier
};

class Protection {
 public:
  explicit Protection(const Residency& residency) noexcept : residency_(residency) {}

  // kFull: no memory.
  Status open(const ProtectionSetup& setup) noexcept;

  // There may be something to protect, or to count.
  bool any() const noexcept { return shares_.any() || retention_.any() || pins_.any(); }

  // Each event that the policy hears.
  void observe(std::span<const Event> events) noexcept {
    std::uint32_t wishes = 0;
    for (const Event& event : events) wishes |= event.retain_s;
    if (wishes != 0 || any()) take_note(events);
  }

  // A plan begins. `at_once`: only drops help.
  void begin(std::uint64_t now_ns, bool at_once) noexcept;
  // A question to the policy comes: demotions lead out of the tiers in `ways` now.
  void ask(std::uint32_t ways) noexcept;
  void end() noexcept;
  bool planning() const noexcept { return planning_; }

  // Nothing that is not protected can go in these tiers: less is protected from now on. False: all that can
  // yield has.
  bool yield(std::uint32_t tiers) noexcept;

  // Adds what is protected to what is leased.
  void show(BlockId block, BlockState& state) const noexcept;

  enum class Answer : std::uint8_t { kMay, kMayNot, kDemote };  // kDemote: it may move down, not be dropped
  Answer may_leave(BlockId block, TierIndex tier, bool by_drop) noexcept;
  // Outside of a plan: nothing but a pin forbids it.
  bool may_drop(BlockId block, TierIndex tier, std::uint64_t now_ns) const noexcept;
  // A demotion out of this tier was not to be had: pins there are not offered again in this plan.
  void no_way_out(TierIndex tier) noexcept {
    again_ = again_ || (shut_ >> tier.value & 1) == 0;
    ways_ &= ~(1u << tier.value);
    shut_ |= 1u << tier.value;
  }
  // Since the last question there is less to be offered, so that the policy may now find something else.
  bool again() const noexcept { return again_; }

  // Where blocks end: the last tier that Kelvin fills. kNoTier if there is none.
  TierIndex last_tier() const noexcept;
  // A tier went offline or came back.
  void tiers_changed() noexcept { pins_.end_in(last_tier()); }

  Shares& shares() noexcept { return shares_; }
  const Shares& shares() const noexcept { return shares_; }
  Pins& pins() noexcept { return pins_; }

 private:
  std::uint32_t kept(BlockId block, std::uint32_t tiers) const noexcept;
  std::uint32_t kept_by_pin(BlockId block, std::uint32_t tiers) const noexcept;
  void take_note(std::span<const Event> events) noexcept;
  void publish(const Event& event) noexcept;
  void observe_one(const Event& event) noexcept;

  const Residency& residency_;
  Retention retention_;
  Shares shares_;
  Pins pins_;

  // Of the plan at hand.
  bool planning_ = false;
  bool again_ = false;
  std::uint64_t now_ns_ = 0;
  std::uint32_t ways_ = 0;  // bit t: demotions lead out of tier t
  std::uint32_t shut_ = 0;  // bit t: no_way_out was said of it
  bool at_once_ = false;
  std::array<int, kMaxTiers> floor_{};  // retained at this priority or below may go
  mutable std::uint32_t hidden_retained_ =
      0;                                     // bit t: since the last question a copy there was shown as kept
  mutable std::uint32_t hidden_shares_ = 0;  // because it is retained, or in a tenant's share
};

}  // namespace kelvin
