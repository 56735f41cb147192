// The tier "fake": the reference implementation of Tier and Link. Plain memory, a link on the space's clock
// with latency, bandwidth and scripted faults. On a virtual clock a whole space runs on it deterministically.
//
// It can pose as a device: then its slots are not the host's to address, and it has streams (fake_streams.h).
//
// Thread contract: that of Tier and Link.
// Invariants:
//   1. Bytes are moved when a copy completes, not when it is submitted: early reading is caught by tests.
//   Into
//      segments they are moved as time passes, from the first segment on.
//   2. On one link copies complete in the order of their ready times; a late one is overtaken.
//   3. No copy from or to a slot completes before what the slot follows is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/huge_array.h"
#include "kelvin/plugin.h"
#include "tiers/fake/fake_streams.h"
#include "tiers/fake/script.h"

namespace kelvin {

extern const TierFactory kFakeTier;
extern const LinkFactory kFakeLink;

struct FakeSpeed {
  std::uint64_t latency_ns = 0;
  std::uint64_t read_bytes_per_second = 0;   // 0: no limit
  std::uint64_t write_bytes_per_second = 0;  // 0: no limit
};

// What a FakeTier is beside its speed.
struct FakeShape {
  std::uint32_t segments = 1;
  bool device = false;
};

class FakeTier final : public Tier {
 public:
  // kInvalid, kFull.
  static Result<std::unique_ptr<FakeTier>> open(const TierContext& context, const FakeSpeed& speed,
                                                Script script, std::string* why, FakeShape shape = {});

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override;

  const FakeSpeed& speed() const noexcept { return speed_; }
  const Script& script() const noexcept { return script_; }
  FakeStreams* streams() const noexcept { return streams_.get(); }  // null: no device

 private:
  FakeTier() = default;

  TierInfo info_;
  FakeSpeed speed_;
  Script script_;
  HugeArray<std::byte> bytes_;
  std::unique_ptr<FakeStreams> streams_;
};

// What a link from one tier to another is like: as slow as the slower side, as faulty as the slower one.
struct FakeWay {
  std::uint64_t latency_ns = 0;
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  Script script;
};

// Joins any two tiers of which one is a FakeTier and the other one, too, or host-addressed.
class FakeLink final : public Link {
 public:
  FakeLink(const Tier& from, const Tier& to, FakeWay way, Clock clock);

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

 private:
  struct Flight {
    Copy copy;
    std::uint64_t begun_ns = 0;  // when its bytes begin to arrive
    std::uint64_t ready_ns = 0;
    Fault fault = Fault::kNone;
    std::uint32_t arrived = 0;  // segments
    bool ends = false;          // canceled
  };
  bool may_land(const Flight& flight, std::uint64_t now) const noexcept;
  bool follows(const Flight& flight) const noexcept;
  void arrive(Flight& flight, std::uint64_t now) const noexcept;
  Completion land(const Flight& flight) noexcept;
  void carry_out(const Copy& copy, std::uint32_t* checksum) const noexcept;
  std::uint32_t segments() const noexcept;
  void carry_segment(const Copy& copy, std::uint32_t segment, std::uint32_t* checksum) const noexcept;
  void carry_out_half(const Copy& copy) const noexcept;

  static constexpr std::uint32_t kDepth = 64;

  LinkInfo info_;
  FakeStreams* from_streams_ = nullptr;
  FakeStreams* to_streams_ = nullptr;
  Script script_;
  Clock clock_;
  std::vector<Flight> flights_;  // capacity kDepth, reserved
  std::uint64_t busy_until_ns_ = 0;
  bool gone_ = false;
};

}  // namespace kelvin
