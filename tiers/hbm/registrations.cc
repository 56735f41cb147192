// See registrations.h.
#include "tiers/hbm/registrations.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>

#include "base/format_text.h"

namespace kelvin::hbm {
namespace {

constexpr std::chrono::milliseconds kLookAtGrowth{2};

}  // namespace

Registration::Registration(Device& device, const Tier& host, bool wanted)
    : device_(device), host_(host), ranges_(host.info().ranges.size()) {
  std::vector<HostRange> ranges = host.info().ranges;
  std::ranges::sort(ranges, {}, &HostRange::base);
  for (std::size_t i = 0; i < ranges_.size(); ++i) ranges_[i].range = ranges[i];
  if (!wanted) {
    settled_.store(true, std::memory_order_release);
    return;
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    fail("there is no thread to pin it");
    settled_.store(true, std::memory_order_release);
  }
}

Registration::~Registration() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  for (const Range& range : ranges_) {
    if (range.pinned.load(std::memory_order_relaxed)) device_.unregister_host(range.range);
  }
}

void Registration::fail(std::string_view why) noexcept {
  if (failed_.load(std::memory_order_relaxed) != nullptr) return;
  try {
    failure_ = format_text("memory of tier '{}' could not be pinned, so blocks go through a buffer: {}",
                           host_.info().name, why);
    // Release: pairs with the readers' acquire.
    failed_.store(failure_.c_str(), std::memory_order_release);
  } catch (const std::exception&) {
    failed_.store("memory of a tier could not be pinned", std::memory_order_release);
  }
}

void Registration::run() noexcept {
  try {
    find_last_slots();
    bool all = true;
    for (Range& range : ranges_) {
      if (wait_until_ready(range)) pin(range);
      all = all && range.pinned.load(std::memory_order_relaxed);
      if (stopping_.load(std::memory_order_relaxed)) return;
    }
    // Release: who finds it complete finds the device told of each range.
    complete_.store(all, std::memory_order_release);
  } catch (const std::exception&) {
    fail("there is no memory to do it");
  }
  settled_.store(true, std::memory_order_release);
}

const Registration::Range* Registration::range_of(const std::byte* at) const noexcept {
  const auto after = std::ranges::upper_bound(
      ranges_, at, {}, [](const Range& r) -> const std::byte* { return r.range.base; });
  if (after == ranges_.begin()) return nullptr;
  const Range& range = *std::prev(after);
  return at < range.range.base + range.range.bytes ? &range : nullptr;
}

void Registration::find_last_slots() {
  const TierInfo& info = host_.info();
  if (info.growth == nullptr) return;
  for (std::uint32_t slot = 0; slot < info.slots; ++slot) {
    for (std::uint32_t segment = 0; segment < info.segments; ++segment) {
      const Range* range = range_of(host_.address(Slot(slot), segment).pointer);
      if (range != nullptr) ranges_[static_cast<std::size_t>(range - ranges_.data())].slots = slot + 1;
    }
  }
}

bool Registration::wait_until_ready(const Range& range) const noexcept {
  const Growth* growth = host_.info().growth;
  if (growth == nullptr) return true;
  // Pairs with the tier's release of each step: the pages are there.
  while (growth->ready.load(std::memory_order_acquire) < range.slots) {
    if (stopping_.load(std::memory_order_relaxed) ||
        growth->stopped.load(std::memory_order_acquire) != nullptr)
      return false;
    std::this_thread::sleep_for(kLookAtGrowth);
  }
  return true;
}

void Registration::pin(Range& range) {
  std::string why;
  const Status status = device_.register_host(range.range, &why);
  if (status.ok()) {
    range.pinned.store(true, std::memory_order_release);
    return;
  }
  if (why.empty()) why = status.message();
  fail(why);
}

bool Registration::covers_each_segment(Slot slot) const noexcept {
  const TierInfo& info = host_.info();
  for (std::uint32_t segment = 0; segment < info.segments; ++segment) {
    const std::byte* const at = host_.address(slot, segment).pointer;
    const Range* const range = range_of(at);
    // Acquire: pairs with pin's release.
    if (range == nullptr || !range->pinned.load(std::memory_order_acquire)) return false;
    if (at + info.segment_bytes > range->range.base + range->range.bytes) return false;
  }
  return true;
}

Registration& Registrations::acquire(const Tier& host) {
  const MutexLock lock(mu_);
  const auto known =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return &entry.registration->host_ == &host; });
  if (known != entries_.end()) {
    ++known->users;
    return *known->registration;
  }
  entries_.reserve(entries_.size() + 1);
  entries_.push_back({std::make_unique<Registration>(device_, host, wanted_), 1});
  return *entries_.back().registration;
}

void Registrations::release(const Registration& registration) noexcept {
  const MutexLock lock(mu_);
  const auto known = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return entry.registration.get() == &registration; });
  if (known != entries_.end() && --known->users == 0) entries_.erase(known);
}

}  // namespace kelvin::hbm
