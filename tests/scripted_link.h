// A link that does nothing until a test says so: what is submitted lies there, and ends as it is told.
//
// Thread contract: one test, one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/event_fd.h"
#include "checksum/crc32c.h"
#include "kelvin/link.h"

namespace kelvin::testing {

// What a scripted link has in hand and what it was asked; outlives it.
struct LinkScript {
  std::vector<Copy> in_hand;         // oldest first
  std::vector<std::size_t> submits;  // how many copies each call brought
  std::vector<Completion> ready;     // the next poll reports these
  std::size_t cancels = 0;
  std::uint32_t depth = 64;  // copies it takes at once
  bool ended = false;
  const EventFd wake;

  // Ends the oldest copy whose source (or target) is this slot.
  void end(std::uint64_t tag, Completion completion) {
    const auto copy = std::ranges::find(in_hand, tag, &Copy::tag);
    ASSERT_NE(copy, in_hand.end()) << "no copy " << tag << " is in hand";
    in_hand.erase(copy);
    completion.tag = tag;
    ready.push_back(completion);
    wake.signal();
  }
  void fail(std::uint64_t tag, Status status, bool slot_only = false) {
    end(tag, {.status = status, .slot_only = slot_only});
  }
};

// Joins tiers of one segment in host memory.
class ScriptedLink final : public Link {
 public:
  ScriptedLink(const Tier& from, const Tier& to, LinkScript& script, bool wakes = false) : script_(script) {
    info_.name = from.info().name + ">" + to.info().name;
    info_.from = &from;
    info_.to = &to;
    info_.depth = 64;
    info_.latency_ns = 1000;
    info_.bytes_per_second = 1'000'000'000;
    if (wakes) info_.wake_fd = script.wake.fd();
  }
  // A device writes to its targets as long as it has copies in hand.
  ~ScriptedLink() override {
    for (const Copy& copy : script_.in_hand) carry_out(copy);
    script_.ended = true;
  }

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override {
    const std::size_t taken = std::min<std::size_t>(copies.size(), script_.depth - script_.in_hand.size());
    script_.in_hand.insert(script_.in_hand.end(), copies.begin(),
                           copies.begin() + static_cast<std::ptrdiff_t>(taken));
    script_.submits.push_back(taken);
    return taken;
  }
  std::size_t poll(std::span<Completion> done) noexcept override {
    script_.wake.drain();
    const std::size_t count = std::min(done.size(), script_.ready.size());
    std::copy_n(script_.ready.begin(), count, done.begin());
    script_.ready.erase(script_.ready.begin(), script_.ready.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  void cancel_all() noexcept override { ++script_.cancels; }

  // Moves the bytes of a copy in hand and ends it well.
  void land(std::uint64_t tag) {
    const auto copy = std::ranges::find(script_.in_hand, tag, &Copy::tag);
    ASSERT_NE(copy, script_.in_hand.end()) << "no copy " << tag << " is in hand";
    script_.end(tag, {.status = Status(), .checksum = carry_out(*copy)});
  }

 private:
  std::uint32_t carry_out(const Copy& copy) const {
    const std::uint64_t bytes = info_.from->info().slot_bytes;
    std::byte* const target = info_.to->address(copy.to, 0).pointer;
    std::memcpy(target, info_.from->address(copy.from, 0).pointer, bytes);
    return copy.checksum ? crc32c(target, bytes) : 0;
  }

  LinkScript& script_;
  LinkInfo info_;
};

}  // namespace kelvin::testing
