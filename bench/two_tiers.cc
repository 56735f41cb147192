// See two_tiers.h.
#include "bench/two_tiers.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <utility>

namespace kelvin::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(120);
constexpr std::uint64_t kTableRoom = 8u << 20;  // of a drive: its superblocks and slot table

}  // namespace

double Stopwatch::cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Stopwatch::~Stopwatch() {
  state_.SetBytesProcessed(static_cast<std::int64_t>(bytes_));
  state_.counters["cpu_ms_a_gb"] = cpu_seconds_ * 1e3 / (static_cast<double>(bytes_) / 1e9);
}

std::unique_ptr<TwoTiers> TwoTiers::open(const TwoTiersConfig& wanted, std::string* why) {
  Config config;
  config.space.block_bytes = wanted.block_bytes;
  config.mover.threads = wanted.threads;
  config.tiers = {wanted.near, wanted.far};
  for (TierConfig& tier : config.tiers) {
    tier.capacity_bytes = wanted.blocks * wanted.block_bytes;
    tier.free_ahead = 0;  // nothing moves but what is asked for
  }
  if (wanted.far.kind == "nvme") config.tiers[1].capacity_bytes += kTableRoom;
  auto space = Space::open(config, why);
  if (!space.ok()) return nullptr;
  return std::unique_ptr<TwoTiers>(new TwoTiers(std::move(space).value(), wanted));
}

TwoTiers::TwoTiers(std::unique_ptr<Space> space, const TwoTiersConfig& config)
    : space_(std::move(space)), block_bytes_(config.block_bytes), keys_(config.blocks) {
  for (std::uint32_t i = 0; i < config.blocks; ++i) {
    keys_[i] = chain_key(i == 0 ? BlockKey{} : keys_[i - 1], std::span(&i, 1));
  }
  fill(kNear);
  if (space_->tier_info(kFar)->space == AddressSpace::kHost) fill(kFar);
}

// Bytes that nothing can compress, in every slot: memory never written to is one page of zeros in a cache.
void TwoTiers::fill(TierIndex tier) {
  const Lease lease = allocate(tier);
  SlotAccess* const access = space_->tier_info(tier)->access;
  std::vector<std::byte> block(access != nullptr ? block_bytes_ : 0);
  std::mt19937_64 random(tier.value);
  for (std::size_t i = 0; i < lease.size(); ++i) {
    std::byte* const bytes = access != nullptr ? block.data() : lease.address(i).pointer;
    for (std::uint64_t at = 0; at < block_bytes_; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = random();
      std::memcpy(bytes + at, &word, sizeof word);
    }
    if (access != nullptr) require(access->write(lease.slot(i), block), "filling a slot");
  }
}

Lease TwoTiers::load(TierIndex tier) {
  auto ticket = space_->acquire(keys_, tier);
  require(ticket.status(), "acquire");
  require(ticket->wait(kPatience), "loading");
  Lease lease = ticket->take();
  if (lease.size() != keys_.size()) require(Status(Code::kFull, "a block is missing"), "loading");
  return lease;
}

void TwoTiers::publish_in(TierIndex tier) {
  drop(kNoTier);
  Lease lease = allocate(tier);
  require(space_->publish(lease, keys_, 0), "publish");
  require(lease.release(), "release");
}

void TwoTiers::write_all() {
  publish_in(kNear);
  require(load(kFar).release(), "release");
}

Lease TwoTiers::allocate(TierIndex tier) {
  auto lease = space_->allocate(static_cast<std::uint32_t>(keys_.size()), tier);
  require(lease.status(), "allocate");
  return std::move(lease).value();
}

std::uint64_t TwoTiers::first_slot_offset() {
  const Lease lease = allocate(kFar);
  std::uint64_t offset = lease.address(0).offset;
  for (std::size_t i = 1; i < lease.size(); ++i) offset = std::min(offset, lease.address(i).offset);
  return offset;
}

void run_write(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  for ([[maybe_unused]] auto _ : state) {
    tiers.publish_in(kNear);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kFar).release(), "release"); });
  }
}

void run_read(benchmark::State& state, TwoTiers& tiers) {
  Stopwatch watch(state);
  tiers.write_all();
  for ([[maybe_unused]] auto _ : state) {
    tiers.drop(kNear);
    watch.time(tiers.bytes(), [&] { require(tiers.load(kNear).release(), "release"); });
  }
}

}  // namespace kelvin::bench
