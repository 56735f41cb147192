// A link that fails, rots, dawdles or overtakes as a test says: wraps any link (Parts::wrap_link).
//
// Thread contract: Faults from any thread; it outlives the spaces whose links it wraps. FaultyLink as Link.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checksum/crc32c.h"
#include "kelvin/space.h"

namespace kelvin::testing {

enum class Trouble : std::uint8_t {
  kNone,
  kError,     // kIo; nothing of the block arrives
  kShort,     // kIo; half of it arrives
  kTimeout,   // kTimeout
  kFull,      // kFull
  kGone,      // kUnavailable
  kCorrupt,   // ends well with a flipped bit, and the checksum of what arrived
  kRot,       // ends well with a flipped bit, and the checksum of what was sent
  kLate,      // ends well after many more polls: others overtake it
  kCanceled,  // kCanceled: what was held when the link was canceled
  kLost       // kIo, and Completion::slot_only: the device of this slot, not the whole tier
};

// For a test's name and messages.
inline const char* name_of(Trouble trouble) {
  constexpr const char* kNames[] = {"None",    "Error", "Short", "Timeout",  "Full", "Gone",
                                    "Corrupt", "Rot",   "Late",  "Canceled", "Lost"};
  return kNames[static_cast<std::size_t>(trouble)];
}

// What a load or store that fails in this way for good says.
inline Code code_of(Trouble trouble) {
  switch (trouble) {
    case Trouble::kError:
    case Trouble::kLost:
    case Trouble::kShort: return Code::kIo;
    case Trouble::kTimeout: return Code::kTimeout;
    case Trouble::kFull: return Code::kFull;
    case Trouble::kGone: return Code::kUnavailable;
    case Trouble::kCanceled: return Code::kCanceled;
    case Trouble::kCorrupt:
    case Trouble::kRot: return Code::kCorrupt;
    default: return Code::kOk;
  }
}

struct Fault {
  std::string link;  // "far>dram"
  Trouble trouble = Trouble::kNone;
  std::uint64_t times = UINT64_MAX;  // so many copies, then never again
  std::uint64_t skip = 0;            // copies that go well first
  Slot from = {};                    // only copies out of this slot
  bool held = false;                 // its end is not seen before let_go(), or before the link is canceled
  bool stuck = false;  // likewise, but cancel_all does not help; the device writes only when it ends
  Side failed = Side::kUnknown;  // as Completion::failed
};

class Faults {
 public:
  void add(Fault fault) {
    const std::lock_guard guard(mu_);
    holding_ = holding_ || fault.held || fault.stuck;
    faults_.push_back(std::move(fault));
  }
  void clear() {
    const std::lock_guard guard(mu_);
    faults_.clear();
    holding_ = false;
  }
  void let_go() {
    const std::lock_guard guard(mu_);
    holding_ = false;
  }
  // Of all its links, as LinkInfo::slowed.
  std::atomic<const char*> slowed{nullptr};
  // The link claims to be slow, so that routes avoid it. Before the space is opened.
  void detour(const std::string& link) { slow_.push_back(link); }
  bool is_slow(const std::string& link) const { return std::ranges::count(slow_, link) != 0; }

  struct Fate {
    Trouble trouble = Trouble::kNone;
    bool held = false;
    bool stuck = false;
    Side failed = Side::kUnknown;
  };
  // What becomes of the next copy over this link.
  Fate next(const std::string& link, const Copy& copy) {
    const std::lock_guard guard(mu_);
    for (Fault& fault : faults_) {
      if (fault.link != link || (fault.from && fault.from != copy.from)) continue;
      if (fault.skip > 0) {
        --fault.skip;
      } else if (fault.times > 0) {
        --fault.times;
        return {fault.trouble, fault.held || fault.stuck, fault.stuck, fault.failed};
      }
    }
    return {};
  }
  bool holding() const {
    const std::lock_guard guard(mu_);
    return holding_;
  }
  Parts parts();

 private:
  mutable std::mutex mu_;
  std::vector<Fault> faults_;
  bool holding_ = false;
  std::vector<std::string> slow_;  // constant once the space is open
};

class FaultyLink final : public Link {
 public:
  FaultyLink(std::unique_ptr<Link> link, Faults& faults)
      : link_(std::move(link)), faults_(faults), info_(link_->info()) {
    info_.wake_fd = -1;  // what is late or held has to be polled for
    info_.slowed = &faults_.slowed;
    if (faults_.is_slow(info_.name)) info_.latency_ns += 1'000'000'000;
  }

  const LinkInfo& info() const noexcept override { return info_; }

  std::size_t submit(std::span<const Copy> copies) noexcept override {
    const std::size_t taken = link_->submit(copies);
    for (const Copy& copy : copies.first(taken)) {
      flights_.push_back({copy, faults_.next(info_.name, copy), {}, false, false, kLatePolls});
    }
    return taken;
  }

  std::size_t poll(std::span<Completion> done) noexcept override {
    Completion landed[8];
    for (std::size_t count = 1; count > 0;) {
      count = link_->poll(landed);
      for (const Completion& completion : std::span(landed).first(count)) land(completion);
    }
    std::size_t count = 0;
    for (auto flight = flights_.begin(); flight != flights_.end() && count < done.size();) {
      if (!flight->landed || waits(*flight)) {
        ++flight;
        continue;
      }
      meet_fate(*flight);
      done[count++] = flight->completion;
      flight = flights_.erase(flight);
    }
    return count;
  }

  void cancel_all() noexcept override {
    for (Flight& flight : flights_) {
      if (flight.fate.stuck) continue;
      if (waits_for_let_go(flight)) flight.fate.trouble = Trouble::kCanceled;
      flight.canceled = true;
    }
    link_->cancel_all();
  }

 private:
  static constexpr std::uint32_t kLatePolls = 50;

  struct Flight {
    Copy copy;
    Faults::Fate fate;
    Completion completion;
    bool landed;
    bool canceled;
    std::uint32_t polls_left;
  };

  bool waits(Flight& flight) const {
    if (flight.canceled) return false;
    if (flight.fate.trouble == Trouble::kLate && flight.polls_left > 0) return --flight.polls_left > 0;
    return waits_for_let_go(flight);
  }
  bool waits_for_let_go(const Flight& flight) const { return flight.fate.held && faults_.holding(); }

  void land(const Completion& completion) {
    const auto flight =
        std::ranges::find_if(flights_, [&](const Flight& f) { return f.copy.tag == completion.tag; });
    flight->landed = true;
    flight->completion = completion;
  }

  void meet_fate(Flight& flight) const {
    if (flight.fate.stuck) write_late(flight.copy);
    if (!flight.completion.status.ok()) return;
    const Trouble trouble = flight.fate.trouble;
    const Code code = code_of(trouble);
    if (code == Code::kOk) return;
    const TierInfo& to = info_.to->info();
    std::byte* const bytes = info_.to->address(flight.copy.to, 0).pointer;
    if (trouble == Trouble::kRot || trouble == Trouble::kCorrupt) {
      if (to.space != AddressSpace::kHost) return;
      bytes[to.segment_bytes / 2] ^= std::byte{0x20};
      if (trouble == Trouble::kCorrupt) {
        flight.completion.checksum = crc32c(bytes, to.segment_bytes);
      }
      return;
    }
    flight.completion.status = Status(code, "copying over a faulty link", code == Code::kIo ? EIO : 0);
    flight.completion.slot_only = trouble == Trouble::kLost;
    flight.completion.failed = flight.fate.failed;
    if (to.space != AddressSpace::kHost) return;
    const std::uint64_t good = trouble == Trouble::kShort ? to.segment_bytes / 2 : 0;
    std::memset(bytes + good, 0xEE, to.segment_bytes - good);
  }

  // As a device does that wakes up: whoever has these slots by now would notice.
  void write_late(const Copy& copy) const {
    const TierInfo& from = info_.from->info();
    const TierInfo& to = info_.to->info();
    if (from.space != AddressSpace::kHost || to.space != AddressSpace::kHost || from.segments != to.segments)
      return;
    for (std::uint32_t s = 0; s < to.segments; ++s) {
      std::memcpy(info_.to->address(copy.to, s).pointer, info_.from->address(copy.from, s).pointer,
                  to.segment_bytes);
    }
  }

  std::unique_ptr<Link> link_;
  Faults& faults_;
  LinkInfo info_;
  std::vector<Flight> flights_;
};

inline Parts Faults::parts() {
  Parts parts;
  parts.wrap_link = [this](std::unique_ptr<Link> link) -> std::unique_ptr<Link> {
    return std::make_unique<FaultyLink>(std::move(link), *this);
  };
  return parts;
}

}  // namespace kelvin::testing
