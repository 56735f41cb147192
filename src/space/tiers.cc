// bring_back: see core.h.
#include <new>
#include <string>

#include "space/core.h"

namespace kelvin {
namespace {

void say_why(const TierInfo& tier, const Status& status, std::uint64_t in_hand, std::string* why) noexcept
    try {
  *why = "tier '" + tier.name + "' ";
  if (status.code() == Code::kMisuse) {
    *why += "is online; only one that went offline can be brought back";
  } else if (status.code() == Code::kUnavailable) {
    *why +=
        "has lost its device; reset or mend it, then try again, or in a new process where the driver needs "
        "one";
  } else if (in_hand != 0) {
    *why += "waits for its device, which has not given back " + std::to_string(in_hand) +
            " copies that were in flight; mend or reset the device, then try again";
  } else {
    *why += "waits for leases on copies in it, or for moves of them; release them, then try again";
  }
} catch (const std::bad_alloc&) {
  why->clear();
}

}  // namespace

Status Core::bring_back(TierIndex tier, std::string* why) noexcept {
  if (closed()) return Status(Code::kUnavailable, "bringing a tier back: the space is closed");
  if (!has_tier(tier)) return Status(Code::kInvalid, "bringing a tier back: no such tier");
  planner_->sweep();
  const Status status = mover_->bring_back(tier);
  if (status.ok()) {
    if (driver_ != nullptr) driver_->wake();
  } else if (why != nullptr) {
    say_why(topology_->tier(tier).info(), status, mover_->in_hand(tier), why);
  }
  return status;
}

}  // namespace kelvin
