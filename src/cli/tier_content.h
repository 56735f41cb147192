// TierContent: the content of blocks (content.h) in the slots of one tier, written and checked wherever those
// slots are: in place where the host can address them; else through TierInfo::access, and checked where they
// are, by their checksums.
//
// Thread contract: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/space.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin::cli {

class TierContent {
 public:
  // Hears of a block that is not what it should be: which one of those looked at, and what is wrong with it.
  using Wrong = std::function<void(std::size_t i, const std::string& what)>;

  // Whether the bytes of such a tier can be had at all.
  static bool reaches(const TierInfo& info) noexcept;

  // Precondition: reaches(info). `info` outlives this. May throw std::bad_alloc.
  explicit TierContent(const TierInfo& info);

  // Fills the slots of the lease with the contents of these keys, one for each. The device's Status.
  Status fill(const Lease& lease, std::span<const BlockKey> keys);

  // Tells `wrong` of each slot of the lease that does not hold the content of its key. Not ok: it could not
  // be found out.
  Status check(const Lease& lease, std::span<const BlockKey> keys, const Wrong& wrong);

 private:
  bool in_place() const noexcept { return info_.space == AddressSpace::kHost; }
  bool in_one_piece() const noexcept { return in_place() && info_.segments == 1; }
  void scatter(const Lease& lease, std::size_t i) const;
  void gather(const Lease& lease, std::size_t i);
  std::string difference() const;
  Status check_sums(const Lease& lease, std::span<const BlockKey> keys, const Wrong& wrong);
  Result<std::string> look_at(Slot slot);

  const TierInfo& info_;
  std::vector<std::byte> right_;  // a block: what should be there
  std::vector<std::byte> found_;  // a block: what is there
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> sums_;
};

}  // namespace kelvin::cli
