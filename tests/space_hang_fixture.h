// What the tests of devices that do not answer share: a space on virtual time whose links can be held up.
//
// Thread contract: one test, one thread, beside the space's own.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "space_fault_fixture.h"

namespace kelvin::testing {

inline constexpr auto kDeadline = 1s;

// The parameter: mover.threads. A tier that went offline stays so unless the test says otherwise.
struct SpaceHang : SpaceFault {
  VirtualClock time;

  void open_hanging(Config config, Parts parts = {}) {
    close();
    faults.clear();
    config.mover.deadline_ns = std::chrono::nanoseconds(kDeadline).count();
    if (config.mover.retry_offline_ns == MoverConfig().retry_offline_ns) config.mover.retry_offline_ns = 0;
    parts.wrap_link = faults.parts().wrap_link;
    parts.clock = time.clock();
    space = open_space(config, std::move(parts));
    ASSERT_NE(space, nullptr);
  }
  // dram over far; dram over middle over far.
  void open_hanging_two(std::uint32_t near_slots = 8, std::uint32_t far_slots = 8) {
    open_hanging(two_tiers(near_slots, far_slots, GetParam()));
  }
  void open_hanging_three(std::uint32_t slots = 8) { open_hanging(three_tiers(slots)); }

  // Copies over the link set out, and nothing is heard of them until let_go(), whatever is done.
  void hang(const std::string& link, Trouble trouble = Trouble::kNone) {
    faults.add({.link = link, .trouble = trouble, .stuck = true});
  }
  void drive() const {
    for (int i = 0; GetParam() == 0 && i < 4; ++i) static_cast<void>(space->poll());
  }
  template <class Condition>
  ::testing::AssertionResult comes_true(Condition condition) const {
    for (int i = 0; i < 20'000; ++i) {
      drive();
      if (condition()) return ::testing::AssertionSuccess();
      if (GetParam() != 0) std::this_thread::sleep_for(500us);
    }
    return ::testing::AssertionFailure() << "waited in vain";
  }
  // Sums over all links.
  std::uint64_t flights() const {
    std::uint64_t sum = 0;
    for (const LinkStats& link : space->stats().links) sum += link.in_flight;
    return sum;
  }
  std::uint64_t strays() const { return testing::strays(*space); }
  ::testing::AssertionResult in_flight(std::uint64_t count) const {
    return comes_true([&] { return flights() == count; });
  }
  ::testing::AssertionResult goes_offline(TierIndex tier) const {
    return comes_true([&] { return !space->stats().tiers[tier.value].online; });
  }
  ::testing::AssertionResult done(const Ticket& ticket) const {
    return comes_true([&] { return ticket.done(); });
  }
  // The device works again and gives back all it had.
  ::testing::AssertionResult recovers() {
    faults.clear();
    return comes_true([&] { return flights() == 0 && strays() == 0; });
  }
  void TearDown() override {
    if (space != nullptr) {
      EXPECT_TRUE(recovers());
    }
    SpaceFault::TearDown();
  }
};

}  // namespace kelvin::testing
