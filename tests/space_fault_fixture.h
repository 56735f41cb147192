// What the tests of failing tiers and links share: a space whose every link fails as the test says.
//
// Thread contract: one test, one thread, beside the space's own.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "faulty_link.h"
#include "space_fixture.h"

namespace kelvin::testing {

// Ends the test, loudly, where a close or a wait would hang it.
class Deadline {
 public:
  Deadline() : watch_([this] { watch(); }) {}
  ~Deadline() {
    done_ = true;
    watch_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  void watch() const {
    for (int i = 0; i < 6000 && !done_; ++i) std::this_thread::sleep_for(10ms);
    if (done_) return;
    std::fputs("the test hangs: still not over after 60 s\n", stderr);
    std::abort();
  }
  std::atomic<bool> done_{false};
  std::thread watch_;
};

// A policy that proposes to take each block that was announced from dram to far, or from far to dram.
class SwapOnExpect final : public Policy {
 public:
  SwapOnExpect(Urgency urgency, bool keep_source) : urgency_(urgency), keep_source_(keep_source) {}

  void observe(const View& /*view*/, std::span<const Event> events) noexcept override {
    for (const Event& event : events) {
      if (event.kind != EventKind::kExpect || count_ == moves_.size()) continue;
      moves_[count_++] = {event.block, event.tier, event.tier == kNear ? kFar : kNear, keep_source_,
                          urgency_};
    }
  }
  std::size_t plan(const View& /*view*/, const Budget& budget, std::span<Move> moves) noexcept override {
    std::size_t count = 0;
    while (!budget.at_once && count_ > 0 && count < moves.size()) moves[count++] = moves_[--count_];
    return count;
  }

 private:
  const Urgency urgency_;
  const bool keep_source_;
  std::array<Move, 64> moves_;
  std::size_t count_ = 0;
};

// The parameter: mover.threads. Every space ends by asking that nothing leaked.
class SpaceFault : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  // dram over far.
  void open_two(std::uint32_t near_slots = 8, std::uint32_t far_slots = 8) {
    open(two_tiers(near_slots, far_slots, GetParam()));
  }
  // dram over middle over far; what goes between dram and far passes through the middle.
  void open_chain(std::uint32_t slots = 8) {
    faults.detour("dram>far");
    faults.detour("far>dram");
    open_three(slots);
  }
  void open_three(std::uint32_t slots = 8) { open(three_tiers(slots)); }
  Config three_tiers(std::uint32_t slots = 8) const {
    return config_of(
        {tier_of("dram", "dram", slots), tier_of("middle", "fake", slots), tier_of("far", "fake", slots)},
        GetParam());
  }
  void open(const Config& config) {
    close();
    faults.clear();
    space = open_space(config, faults.parts());
    ASSERT_NE(space, nullptr);
  }

  void close() {
    if (space == nullptr) return;
    EXPECT_TRUE(settled());
    EXPECT_TRUE(nothing_leaked(*space));
    space.reset();
  }
  void TearDown() override { close(); }

  // Everything under way has ended, also what goes on after a ticket is done.
  bool settled() const { return space->settle(10s).ok(); }
  Stats stats() const {
    EXPECT_TRUE(settled());
    return space->stats();
  }
  LinkStats link(const std::string& name) const {
    for (LinkStats& found : stats().links) {
      if (found.name == name) return std::move(found);
    }
    ADD_FAILURE() << "no link " << name;
    return LinkStats();
  }

  // Blocks that lie in `tiers` and nowhere else, each with its checksum known.
  void put(std::span<const BlockKey> chain, std::vector<TierIndex> tiers) {
    store_blocks(*space, chain);
    for (const TierIndex tier : tiers) ASSERT_EQ(acquire_blocks(*space, chain, tier).size(), chain.size());
    ASSERT_TRUE(settled());
    for (std::uint8_t t = 0; t < space->tier_count(); ++t) {
      if (std::ranges::count(tiers, TierIndex(t)) == 0) {
        ASSERT_TRUE(space->drop(chain, TierIndex(t)).ok());
      }
    }
    ASSERT_EQ(space->match(chain).blocks, chain.size());
  }
  // Where a block of the chain lies in `tier`, where it has a copy.
  Slot slot_of(std::span<const BlockKey> chain, std::size_t i, TierIndex tier) {
    return acquire_blocks(*space, chain, tier).slot(i);
  }
  // A block that has nothing to do with the trouble is stored, moved and loaded as ever.
  void expect_work_as_ever(TierIndex below = kFar) {
    const auto other = chain_of(777, 2);
    put(other, {below});
    const Lease lease = acquire_blocks(*space, other);
    EXPECT_EQ(lease.size(), 2u);
    EXPECT_TRUE(blocks_are(lease, other));
  }

  Deadline deadline;
  Faults faults;
  std::unique_ptr<Space> space;
};

inline std::string threads_name(const ::testing::TestParamInfo<std::uint32_t>& info) {
  return info.param == 0 ? "Polled" : "OwnThread";
}

}  // namespace kelvin::testing
