// NvmeLink: copies blocks between the volumes of an nvme tier and host memory, one direction: a lane for each
// volume, each with a queue of its own, and one eventfd that wakes for all.
//
// Thread contract: kelvin/link.h; LinkContext::single_issuer is handed on to the queues.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/event_fd.h"
#include "kelvin/plugin.h"
#include "tiers/nvme/lane.h"
#include "tiers/nvme/nvme_tier.h"

namespace kelvin::nvme {

class NvmeLink final : public Link {
 public:
  // Empty where not one side is an NvmeTier and the other host memory, or where the host's segments are not
  // aligned as O_DIRECT asks.
  static Result<std::unique_ptr<Link>> connect(const LinkContext& context, std::string* why);

  // One of `from` and `to` is `drives`, the other is host memory.
  NvmeLink(const Tier& from, const Tier& to, const NvmeTier& drives);

  // To be called once, before anything else. May throw std::bad_alloc.
  Status open(bool single_issuer, std::string* why);

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

  const char* queue_description() const noexcept { return lanes_.front()->queue_description(); }

 private:
  void wake_for_reports() const noexcept;

  // Constant after open.
  const NvmeTier& drives_;
  const Tier& host_;
  const bool writes_;  // host to drives
  const EventFd wake_;
  LinkInfo info_;
  std::vector<std::unique_ptr<Lane>> lanes_;

  std::size_t first_ = 0;  // lane that reports first: each in turn
};

}  // namespace kelvin::nvme
