// What the tests of staged links share: tiers of host memory, and a link whose two halves do what a test
// says.
//
// Thread contract: one test, one thread.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scripted_link.h"
#include "slot_bytes.h"
#include "staging/staged_link.h"
#include "tiers/host/host_tier.h"

namespace kelvin::testing {

inline constexpr std::uint64_t kBlock = 16 << 10;
inline constexpr std::uint32_t kSlots = 64;

inline std::unique_ptr<Tier> memory(const std::string& name, std::uint32_t slots) {
  HostTierOptions options;
  options.name = name;
  options.block_bytes = kBlock;
  options.capacity_bytes = slots * kBlock;
  std::string why;
  auto tier = HostTier::open(options, &why);
  EXPECT_TRUE(tier.ok()) << why;
  return std::move(tier).value();
}

// From slot n of one tier to slot n of the other.
inline Copy across(std::uint32_t n) {
  Copy copy;
  copy.tag = n;
  copy.from = copy.to = Slot(n);
  return copy;
}

// From "disk" over four staging slots to "gpu". Copy i has tag 100 + i, source slot i, target slot 40 + i.
class StagedCopies : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kStaging = 4;

  void open(bool wakes = false) {
    auto staging = memory("staging", kStaging);
    auto in = std::make_unique<ScriptedLink>(*disk_, *staging, to_staging_, wakes);
    auto out = std::make_unique<ScriptedLink>(*staging, *gpu_, from_staging_, wakes);
    in_ = in.get();
    out_ = out.get();
    link_ = std::make_unique<StagedLink>(std::move(staging), std::move(in), std::move(out));
  }
  static Copy copy(std::uint32_t i) {
    Copy copy;
    copy.tag = 100 + i;
    copy.from = Slot(i);
    copy.to = Slot(40 + i);
    return copy;
  }
  std::size_t submit(std::uint32_t first, std::uint32_t count) {
    std::vector<Copy> copies;
    for (std::uint32_t i = first; i < first + count; ++i) {
      copies.push_back(copy(i));
      EXPECT_TRUE(fill_slot(*disk_, Slot(i), i));
    }
    return link_->submit(copies);
  }
  std::vector<Completion> poll(std::size_t most = 16) {
    std::vector<Completion> done(most);
    done.resize(link_->poll(done));
    return done;
  }
  // The staging slot that source slot i is read into.
  std::uint32_t staged(std::uint32_t i) const {
    const auto found = std::ranges::find(to_staging_.in_hand, Slot(i), &Copy::from);
    EXPECT_NE(found, to_staging_.in_hand.end());
    return found->to.value;
  }
  // Source slot i has arrived in its staging slot, which is returned, and is on its way out of it.
  std::uint32_t bring_halfway(std::uint32_t i) {
    const std::uint32_t n = staged(i);
    in_->land(n);
    EXPECT_TRUE(poll().empty());
    return n;
  }
  bool is_readable() const {
    pollfd fd{link_->info().wake_fd, POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  }

  std::unique_ptr<Tier> disk_ = memory("disk", kSlots);
  std::unique_ptr<Tier> gpu_ = memory("gpu", kSlots);
  LinkScript to_staging_;
  LinkScript from_staging_;
  std::unique_ptr<StagedLink> link_;
  ScriptedLink* in_ = nullptr;
  ScriptedLink* out_ = nullptr;
};

}  // namespace kelvin::testing
