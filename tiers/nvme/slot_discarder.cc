// See slot_discarder.h.
#include "tiers/nvme/slot_discarder.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kForever = ~std::uint64_t{0} >> 1U;
constexpr int kTries = 100;  // where records are being written by somebody else
constexpr auto kPause = std::chrono::milliseconds(1);

}  // namespace

SlotDiscarder::SlotDiscarder(std::span<const std::unique_ptr<Volume>> volumes) {
  for (const auto& volume : volumes) {
    parts_.push_back({volume.get(), volume->medium().info().discards, {}});
    parts_.back().slots.reserve(volume->geometry().slots);
  }
}

SlotDiscarder::~SlotDiscarder() {
  if (!thread_.joinable()) return;
  while (!over()) std::this_thread::sleep_for(kPause);
  state_.store(kEnding, std::memory_order_release);
  futex_wake_all(state_);
  thread_.join();
}

bool SlotDiscarder::begin(std::span<const Slot> slots) noexcept {
  if (!over()) return false;
  if (std::ranges::none_of(parts_, &Part::wants)) return false;
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  const auto n = static_cast<std::uint32_t>(parts_.size());
  for (Part& part : parts_) part.slots.clear();
  for (const Slot slot : slots) parts_[slot.value % n].slots.push_back(slot.value / n);
  for (Part& part : parts_) std::ranges::sort(part.slots);
  state_.store(kAsked, std::memory_order_release);
  futex_wake_all(state_);
  return true;
}

void SlotDiscarder::run() noexcept {
  for (;;) {
    const std::uint32_t state = state_.load(std::memory_order_acquire);
    if (state == kEnding) return;
    if (state == kIdle) {
      futex_wait(state_, kIdle, kForever);
      continue;
    }
    discard();
    state_.store(kIdle, std::memory_order_release);
  }
}

void SlotDiscarder::discard() noexcept {
  for (Part& part : parts_) {
    if (part.slots.empty() || !part.wants) continue;
    Status done = part.volume->discard(part.slots);
    for (int i = 1; i < kTries && done.code() == Code::kBusy; ++i) {
      std::this_thread::sleep_for(kPause);
      done = part.volume->discard(part.slots);
    }
    // A device that refuses once is left alone: it works as well without.
    part.wants = done.ok() || done.code() == Code::kBusy;
  }
}

}  // namespace kelvin::nvme
