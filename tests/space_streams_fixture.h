// What the tests of streams share: a fake device over dram, whose kernels are done when the test says so.
//
// Thread contract: one test, one thread, beside the space's own.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "space_hang_fixture.h"
#include "tiers/fake/fake_streams.h"

namespace kelvin::testing {

inline constexpr std::uint32_t kSegments = 4;
inline const Stream kPrefill = FakeStreams::stream_of(0);
inline const Stream kDecode = FakeStreams::stream_of(1);

// The parameter: mover.threads. Tier 0 is a device; its links take 1 ms of virtual time.
struct SpaceStreams : SpaceHang {
  static TierConfig device_of(std::uint32_t slots, const std::string& latency = "1ms",
                              const std::string& script = "none") {
    return tier_of("gpu", "fake", slots,
                   {{"device", "true"},
                    {"segments", std::to_string(kSegments)},
                    {"latency", latency},
                    {"faults", script}});
  }
  void open_device(std::uint32_t near_slots = 8, std::uint32_t far_slots = 16,
                   const std::string& latency = "1ms", const std::string& script = "none") {
    open_hanging(
        config_of({device_of(near_slots, latency, script), tier_of("dram", "dram", far_slots)}, GetParam()));
  }

  FakeStreams& streams() const { return *static_cast<FakeStreams*>(space->tier_info(kNear)->streams); }

  // A lease on blocks that a kernel on `stream` is to write; their bytes are not there before written().
  Lease publish_on(std::span<const BlockKey> chain, Stream stream = kPrefill) {
    auto lease = space->allocate(static_cast<std::uint32_t>(chain.size()), kNear);
    if (!lease.ok()) return Lease();
    for (std::size_t i = 0; i < lease->size(); ++i) std::memset(lease->address(i).pointer, 0xCC, kBlockBytes);
    const Status status = space->publish_on(*lease, stream, chain, 0);
    EXPECT_TRUE(status.ok()) << status.message();
    return std::move(lease).value();
  }
  static void write_all(const Lease& lease, std::span<const BlockKey> chain) {
    for (std::size_t i = 0; i < lease.size(); ++i) write_block(lease, i, chain[i]);
  }
  // Blocks that lie in dram alone.
  void put_far(std::span<const BlockKey> chain) { store_blocks(*space, chain, kFar); }

  Lease acquire_blocks_slowly(std::span<const BlockKey> chain) {
    auto ticket = space->acquire(chain, kNear);
    EXPECT_TRUE(loads(*ticket));
    return ticket->take();
  }
  Address space_address(Slot slot) const {
    // One whole tier's memory is one run.
    auto lease = space->allocate(1, kNear);
    const Address one = lease->address(0);
    Address at = one;
    at.pointer += (static_cast<std::ptrdiff_t>(slot.value) - lease->slot(0).value) *
                  static_cast<std::ptrdiff_t>(kBlockBytes);
    return at;
  }

  // Long enough for one copy over a link of the device.
  void pass_copy() {
    drive();
    time.pass(2ms);
    drive();
  }
  ::testing::AssertionResult loads(const Ticket& ticket) {
    return comes_true([&] {
      time.pass(100us);
      return ticket.done();
    });
  }
  // All that time brings has come, and the ticket waits still.
  ::testing::AssertionResult still_waits(const Ticket& ticket) {
    for (int i = 0; i < 20; ++i) {
      pass_copy();
      if (GetParam() != 0) std::this_thread::sleep_for(500us);
      if (ticket.done()) return ::testing::AssertionFailure() << "it is done";
    }
    return ::testing::AssertionSuccess();
  }
  ::testing::AssertionResult free_slots(std::uint32_t count) const {
    return comes_true([&] { return space->stats().tiers[0].free == count; });
  }
  void TearDown() override {
    if (space != nullptr) {
      if (streams().lost()) streams().find_again();
      EXPECT_TRUE(comes_true([&] {
        streams().run_all();
        time.pass(1ms);
        return streams().open_marks() == 0 && space->stats().leases == 0;
      }));
      EXPECT_TRUE(comes_true([&] {
        time.pass(1ms);
        return space->settle(1ms).ok();
      }));
    }
    SpaceHang::TearDown();
  }
};

}  // namespace kelvin::testing
