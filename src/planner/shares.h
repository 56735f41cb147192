// Shares: how many copies each tenant has in each tier, and whose are guarded against the needs of others.
//
// While a tenant has no more copies in a tier than its share of it, they do not go for somebody else's sake.
// Its own need takes its own copies, where it would exceed its share otherwise. Copies on their way out count
// as gone already, so that no plan takes more than what is over.
//
// Memory: 4 bytes a block of the table, if tenants are configured.
//
// Thread contract: the planner's, under its lock; any() and base data are constant. Invariants:
//   1. copies_[n][t] counts the blocks of tenant n whose bit t is set in `tiers`, leaving_[n][t] those of
//   them
//      whose bit t is set in `leaving`.
//   2. Bit t of guarded_[n] is set exactly while tenant n has copies that stay in tier t, and no more of them
//      than its share.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/huge_array.h"
#include "kelvin/block.h"
#include "kelvin/status.h"

namespace kelvin {

// A tenant by its place in the config, from 1 on; 0: all that are not listed there.
using TenantIndex = std::uint16_t;
inline constexpr TenantIndex kUnlisted = 0;

class Shares {
 public:
  // `shares`: of each listed tenant. `slots`: by tier, what shares are of. kFull: no memory.
  Status open(std::uint32_t blocks, std::span<const double> shares,
              const std::array<std::uint32_t, kMaxTiers>& slots) noexcept;

  bool any() const noexcept { return tenants_.size() > 1; }
  std::size_t tenants() const noexcept { return tenants_.size(); }  // kUnlisted among them

  // A new block, whose first copy is said to have come later.
  void begin(BlockId block, TenantIndex tenant) noexcept;
  void came(BlockId block, TierIndex tier) noexcept;
  void left(BlockId block, TierIndex tier) noexcept;
  void forget(BlockId block) noexcept;
  void hit(BlockId block) noexcept { ++tenants_[tenant(block)].hits; }

  // The copy is going to leave; or stays after all.
  void set_out(BlockId block, TierIndex tier) noexcept;
  void stay(BlockId block, TierIndex tier) noexcept;

  // Bit t: the copy in tier t is going to leave.
  std::uint32_t leaving(BlockId block) const noexcept { return entries_[block.value].leaving; }
  // A demotion has arrived. False: the copy came back after the one that was planned to leave, and is
  // guarded.
  bool may_go_after_move(BlockId block, TierIndex tier) const noexcept {
    const Entry& entry = entries_[block.value];
    return (entry.leaving >> tier.value & 1) != 0 || (tenants_[entry.tenant].guarded >> tier.value & 1) == 0;
  }

  // A plan is made for the sake of `tenant`, which wants `slots` slots of `tier`. Until end_needs().
  void need(TenantIndex tenant, TierIndex tier, std::uint32_t slots) noexcept;
  // Nothing else can go in these tiers: those who need slots there give their own. False: they do already.
  bool insist(std::uint32_t tiers) noexcept;
  void end_needs() noexcept;

  // Bit t: a copy of the block in tier t may not go for the needs of the plan at hand.
  std::uint32_t guarded(BlockId block) const noexcept {
    const Tenant& owner = tenants_[tenant(block)];
    return owner.guarded & ~owner.exempt;
  }

  TenantIndex tenant(BlockId block) const noexcept { return entries_[block.value].tenant; }
  std::uint32_t copies(TenantIndex tenant, TierIndex tier) const noexcept {
    return tenants_[tenant].copies[tier.value];
  }
  std::uint32_t share(TenantIndex tenant, TierIndex tier) const noexcept {
    return tenants_[tenant].share[tier.value];
  }
  std::uint64_t hits(TenantIndex tenant) const noexcept { return tenants_[tenant].hits; }

 private:
  struct Entry {
    TenantIndex tenant = kUnlisted;
    std::uint8_t tiers = 0;
    std::uint8_t leaving = 0;
  };
  static_assert(sizeof(Entry) == 4);
  struct Tenant {
    std::array<std::uint32_t, kMaxTiers> share{};
    std::array<std::uint32_t, kMaxTiers> copies{};
    std::array<std::uint32_t, kMaxTiers> leaving{};
    std::uint64_t hits = 0;
    std::uint8_t guarded = 0;
    std::uint8_t needing = 0;  // it is for its sake that slots of these tiers are freed
    std::uint8_t exempt = 0;   // of these tiers, those where its own copies may go
  };

  void weigh(Tenant& tenant, TierIndex tier) noexcept;

  HugeArray<Entry> entries_;
  std::vector<Tenant> tenants_;
};

}  // namespace kelvin
