// pin, unpin, ranges of a lease, and who a tenant is: see core.h.
#include <algorithm>
#include <new>

#include "space/core.h"

namespace kelvin {
namespace {

// Blocks found by their keys, their records kept alive meanwhile.
class Guarded {
 public:
  // May throw std::bad_alloc.
  Guarded(Table& table, Planner& planner, std::size_t most) : table_(table), planner_(planner) {
    blocks.reserve(most);
  }
  ~Guarded() {
    for (const BlockId block : blocks) {
      table_.unguard(block, [this](BlockId gone) { planner_.forgotten(gone); });
    }
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // False: not known. Precondition: not called more often than said.
  bool add(const BlockKey& key) noexcept {
    const BlockId block = table_.guard(key);
    if (!block) return false;
    blocks.push_back(block);
    return true;
  }

  std::vector<BlockId> blocks;

 private:
  Table& table_;
  Planner& planner_;
};

}  // namespace

// Not listed, or 0: kUnlisted. A config lists few, and a call asks once.
TenantIndex Core::tenant_index(std::uint64_t tenant) const noexcept {
  if (tenant == 0) return kUnlisted;
  const auto at = std::ranges::find(tenants_, tenant);
  return at == tenants_.end() ? kUnlisted : static_cast<TenantIndex>(at - tenants_.begin() + 1);
}

Status Core::keep_ranges(Hold& hold, std::span<const RetainRange> ranges) noexcept {
  try {
    hold.ranges.assign(ranges.begin(), ranges.end());
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "no memory for the ranges of a lease");
  }
  return Status();
}

Status Core::pin(std::span<const BlockKey> keys, std::chrono::seconds duration, TierIndex tier) noexcept try {
  if (closed()) return Status(Code::kUnavailable, "pin: the space is closed");
  if (tier && !has_tier(tier)) return Status(Code::kInvalid, "pin: no such tier");
  if (tier && topology_->tier(tier).info().adopted)
    return Status(Code::kInvalid,
                  "pin: an adopted tier's slots are the engine's; pin on another tier or none");
  if (duration.count() <= 0) return Status(Code::kInvalid, "pin: for how long? A pin lasts a second or more");
  Guarded guarded(residency_->table(), *planner_, keys.size());
  for (const BlockKey& key : keys) {
    if (!guarded.add(key)) return Status(Code::kNotFound, "pin: a block is not known; publish it first");
  }
  return planner_->pin(guarded.blocks, tier, static_cast<std::uint64_t>(duration.count()));
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "pin: no memory");
}

Status Core::unpin(std::span<const BlockKey> keys) noexcept try {
  if (closed()) return Status(Code::kUnavailable, "unpin: the space is closed");
  Guarded guarded(residency_->table(), *planner_, keys.size());
  for (const BlockKey& key : keys) static_cast<void>(guarded.add(key));
  planner_->unpin(guarded.blocks);
  return Status();
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "unpin: no memory");
}

}  // namespace kelvin
