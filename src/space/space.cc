// Space, Lease and Ticket: the public verbs, over Core.
#include "kelvin/space.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/event_fd.h"
#include "space/core.h"

namespace kelvin {

// --- Lease ---

Lease::Lease(Lease&& other) noexcept : hold_(std::exchange(other.hold_, nullptr)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    if (hold_ != nullptr) hold_->core->release(hold_, hold_->hints);
    hold_ = std::exchange(other.hold_, nullptr);
  }
  return *this;
}

Lease::~Lease() {
  if (hold_ != nullptr) hold_->core->release(hold_, hold_->hints);
}

std::size_t Lease::size() const noexcept { return hold_ == nullptr ? 0 : hold_->entries.size(); }

TierIndex Lease::tier() const noexcept { return hold_ == nullptr ? kNoTier : hold_->tier; }

Slot Lease::slot(std::size_t i) const noexcept { return i < size() ? hold_->entries[i].slot : Slot{}; }

Address Lease::address(std::size_t i, std::uint32_t segment) const noexcept {
  if (i >= size()) return Address{};
  const Tier& tier = hold_->core->topology().tier(hold_->tier);
  return segment < tier.info().segments ? tier.address(hold_->entries[i].slot, segment) : Address{};
}

Status Lease::release(const Hints& hints, std::span<const RetainRange> ranges) noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "release: the lease is empty, released or moved from");
  hold_->core->release(hold_, hints, ranges);
  hold_ = nullptr;
  return Status();
}

Status Lease::release_on(Stream stream, const Hints& hints, std::span<const RetainRange> ranges) noexcept {
  if (hold_ == nullptr)
    return Status(Code::kMisuse, "release_on: the lease is empty, released or moved from");
  const Status status = hold_->core->release_on(hold_, stream, hints, ranges);
  if (status.ok()) hold_ = nullptr;
  return status;
}

// --- Ticket ---

Ticket::Ticket(Ticket&& other) noexcept : hold_(std::exchange(other.hold_, nullptr)) {}

Ticket& Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    if (hold_ != nullptr) hold_->core->abandon(hold_);
    hold_ = std::exchange(other.hold_, nullptr);
  }
  return *this;
}

Ticket::~Ticket() {
  if (hold_ != nullptr) hold_->core->abandon(hold_);
}

bool Ticket::done() const noexcept {
  return hold_ == nullptr || hold_->state.load(std::memory_order_acquire) == Hold::kDone;
}

Status Ticket::wait(std::chrono::nanoseconds timeout) noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "wait: the ticket is empty");
  return hold_->core->wait(*hold_, timeout);
}

Result<int> Ticket::event_fd() noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "event_fd: the ticket is empty");
  int fd = hold_->event_fd.load(std::memory_order_relaxed);
  if (fd < 0) {
    fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return Status(Code::kIo, "making a ticket's eventfd", errno);
    hold_->event_fd.store(fd, std::memory_order_seq_cst);
  }
  // Sequentially consistent with Mover::announce: either it sees the fd or this sees kDone.
  if (hold_->state.load(std::memory_order_seq_cst) == Hold::kDone) EventFd::signal(fd);
  return fd;
}

Status Ticket::status() const noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "status: the ticket is empty");
  return done() ? hold_->status : Status(Code::kBusy, "status: blocks are still being loaded");
}

Status Ticket::wait_on_stream(std::uint32_t segments) noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "wait_on_stream: the ticket is empty");
  return hold_->core->wait_on_stream(*hold_, segments);
}

Result<std::uint32_t> Ticket::slots(std::span<Slot> slots) const noexcept {
  if (hold_ == nullptr) return Status(Code::kMisuse, "slots: the ticket is empty");
  return hold_->core->slots(*hold_, slots);
}

std::uint32_t Ticket::segments_ready() const noexcept {
  return hold_ == nullptr ? 0 : hold_->core->segments_ready(*hold_);
}

Lease Ticket::take() noexcept {
  return hold_ != nullptr && done() ? Lease(std::exchange(hold_, nullptr)) : Lease();
}

// --- Space ---

Result<std::unique_ptr<Space>> Space::open(const Config& config, std::string* why, Parts parts) {
  auto core = Core::open(config, why, std::move(parts));
  if (!core.ok()) return core.status();
  return std::unique_ptr<Space>(new Space(*core));
}

Space::~Space() { core_->close(); }

Layout Space::layout() const noexcept { return core_->layout(); }

std::size_t Space::tier_count() const noexcept { return core_->topology().tiers(); }

const TierInfo* Space::tier_info(TierIndex tier) const noexcept {
  return core_->has_tier(tier) ? &core_->topology().tier(tier).info() : nullptr;
}

TierIndex Space::find_tier(const std::string& name) const noexcept {
  for (std::uint8_t t = 0; t < tier_count(); ++t) {
    if (core_->topology().tier(TierIndex(t)).info().name == name) return TierIndex(t);
  }
  return kNoTier;
}

Match Space::match(std::span<const BlockKey> chain) const noexcept { return core_->match(chain); }

Result<Ticket> Space::acquire(std::span<const BlockKey> chain, TierIndex tier,
                              const AcquireOptions& options) noexcept {
  auto hold = core_->acquire(chain, tier, options);
  if (!hold.ok()) return hold.status();
  return Ticket(*hold);
}

Result<Ticket> Space::acquire_on(std::span<const BlockKey> chain, TierIndex tier, Stream stream,
                                 const AcquireOptions& options) noexcept {
  auto hold = core_->acquire_on(chain, tier, stream, options);
  if (!hold.ok()) return hold.status();
  return Ticket(*hold);
}

Result<Lease> Space::allocate(std::uint32_t n, TierIndex tier, const AllocateOptions& options) noexcept {
  auto hold = core_->allocate(n, tier, options);
  if (!hold.ok()) return hold.status();
  return Lease(*hold);
}

Status Space::check(const Lease& lease) const noexcept {
  if (lease.hold_ == nullptr)
    return Status(Code::kMisuse, "publish: the lease is empty, released or moved from");
  if (lease.hold_->core != core_) return Status(Code::kMisuse, "publish: the lease is another space's");
  return Status();
}

Status Space::publish_on(Lease& lease, Stream stream, std::span<const BlockKey> chain, std::size_t first,
                         const Hints& hints, std::span<const RetainRange> ranges) noexcept {
  if (const Status status = check(lease); !status.ok()) return status;
  return core_->publish_on(*lease.hold_, stream, chain, first, hints, ranges);
}

Status Space::publish(Lease& lease, std::span<const BlockKey> chain, std::size_t first, const Hints& hints,
                      std::span<const RetainRange> ranges) noexcept {
  if (const Status status = check(lease); !status.ok()) return status;
  return core_->publish(*lease.hold_, chain, first, hints, ranges);
}

Status Space::pin(std::span<const BlockKey> keys, std::chrono::seconds duration, TierIndex tier) noexcept {
  return core_->pin(keys, duration, tier);
}

Status Space::unpin(std::span<const BlockKey> keys) noexcept { return core_->unpin(keys); }

Status Space::drop(std::span<const BlockKey> keys, TierIndex tier) noexcept {
  return core_->drop(keys, tier);
}

Status Space::reclaim(TierIndex tier, std::span<const Slot> slots) noexcept {
  return core_->reclaim(tier, slots);
}

Status Space::bring_back(TierIndex tier, std::string* why) noexcept { return core_->bring_back(tier, why); }

void Space::expect(std::span<const BlockKey> chain, std::chrono::nanoseconds ahead,
                   const Hints& hints) noexcept {
  core_->expect(chain, ahead, hints);
}

Result<std::size_t> Space::poll() noexcept { return core_->poll(); }

std::uint64_t Space::due_ns() const noexcept { return core_->due_ns(); }

Status Space::settle(std::chrono::nanoseconds timeout) noexcept { return core_->settle(timeout); }

Status Space::save(std::chrono::nanoseconds timeout) noexcept { return core_->save(timeout); }

Stats Space::stats() const { return core_->stats(); }

Status Space::save_learned(const std::string& path, std::string* why) const {
  return core_->save_learned(path, why);
}

Status Space::load_learned(const std::string& path, std::string* why) {
  return core_->load_learned(path, why);
}

}  // namespace kelvin
