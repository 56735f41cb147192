// See shares.h.
#include "planner/shares.h"

#include <new>

namespace kelvin {
namespace {

constexpr std::uint8_t bit(TierIndex tier) noexcept { return static_cast<std::uint8_t>(1u << tier.value); }

constexpr void set(std::uint8_t& mask, std::uint8_t bits) noexcept {
  mask = static_cast<std::uint8_t>(mask | bits);
}
constexpr void clear(std::uint8_t& mask, std::uint8_t bits) noexcept {
  mask = static_cast<std::uint8_t>(mask & ~bits);
}

}  // namespace

Status Shares::open(std::uint32_t blocks, std::span<const double> shares,
                    const std::array<std::uint32_t, kMaxTiers>& slots) noexcept try {
  if (shares.empty()) return Status();
  auto entries = HugeArray<Entry>::make(blocks);
  if (!entries.ok()) return entries.status();
  entries_ = std::move(entries).value();
  tenants_.resize(shares.size() + 1);
  for (std::size_t n = 0; n < shares.size(); ++n) {
    for (std::size_t t = 0; t < slots.size(); ++t) {
      tenants_[n + 1].share[t] = static_cast<std::uint32_t>(shares[n] * slots[t]);
    }
  }
  return Status();
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "making room for tenants");
}

void Shares::weigh(Tenant& tenant, TierIndex tier) noexcept {
  const std::uint32_t stay = tenant.copies[tier.value] - tenant.leaving[tier.value];
  if (stay != 0 && stay <= tenant.share[tier.value]) {
    set(tenant.guarded, bit(tier));
  } else {
    clear(tenant.guarded, bit(tier));
  }
}

// A copy may have come before its block's publishing was heard of.
void Shares::begin(BlockId block, TenantIndex tenant) noexcept {
  Entry& entry = entries_[block.value];
  if (entry.tenant == tenant) return;
  const Entry before = entry;
  forget(block);
  entry.tenant = tenant;
  for (std::uint8_t t = 0; t < kMaxTiers; ++t) {
    if ((before.tiers >> t & 1) != 0) came(block, TierIndex(t));
    if ((before.leaving >> t & 1) != 0) set_out(block, TierIndex(t));
  }
}

void Shares::came(BlockId block, TierIndex tier) noexcept {
  Entry& entry = entries_[block.value];
  if ((entry.tiers & bit(tier)) != 0) return;
  set(entry.tiers, bit(tier));
  Tenant& tenant = tenants_[entry.tenant];
  ++tenant.copies[tier.value];
  weigh(tenant, tier);
}

void Shares::left(BlockId block, TierIndex tier) noexcept {
  Entry& entry = entries_[block.value];
  if ((entry.tiers & bit(tier)) == 0) return;
  Tenant& tenant = tenants_[entry.tenant];
  if ((entry.leaving & bit(tier)) != 0) --tenant.leaving[tier.value];
  clear(entry.leaving, bit(tier));
  clear(entry.tiers, bit(tier));
  --tenant.copies[tier.value];
  weigh(tenant, tier);
}

void Shares::forget(BlockId block) noexcept {
  for (std::uint8_t t = 0; t < kMaxTiers; ++t) left(block, TierIndex(t));
  entries_[block.value] = {};
}

void Shares::set_out(BlockId block, TierIndex tier) noexcept {
  Entry& entry = entries_[block.value];
  if ((entry.tiers & bit(tier)) == 0 || (entry.leaving & bit(tier)) != 0) return;
  set(entry.leaving, bit(tier));
  Tenant& tenant = tenants_[entry.tenant];
  ++tenant.leaving[tier.value];
  weigh(tenant, tier);
}

void Shares::stay(BlockId block, TierIndex tier) noexcept {
  Entry& entry = entries_[block.value];
  if ((entry.leaving & bit(tier)) == 0) return;
  clear(entry.leaving, bit(tier));
  Tenant& tenant = tenants_[entry.tenant];
  --tenant.leaving[tier.value];
  weigh(tenant, tier);
}

void Shares::need(TenantIndex tenant, TierIndex tier, std::uint32_t slots) noexcept {
  Tenant& asker = tenants_[tenant];
  set(asker.needing, bit(tier));
  const std::uint64_t would_have =
      std::uint64_t{asker.copies[tier.value]} - asker.leaving[tier.value] + slots;
  if (would_have > asker.share[tier.value]) set(asker.exempt, bit(tier));
}

bool Shares::insist(std::uint32_t tiers) noexcept {
  bool changed = false;
  for (Tenant& tenant : tenants_) {
    const auto more = static_cast<std::uint8_t>(tenant.needing & ~tenant.exempt & tiers);
    changed = changed || more != 0;
    set(tenant.exempt, more);
  }
  return changed;
}

void Shares::end_needs() noexcept {
  for (Tenant& tenant : tenants_) tenant.needing = tenant.exempt = 0;
}

}  // namespace kelvin
