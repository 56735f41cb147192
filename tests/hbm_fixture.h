// What the tests of the hbm tier share: devices by name, tiers on them, and an engine that uses streams.
//
// Tests above the device seam run on each device that kDevices names; where one is not to be had they are
// skipped, and say why.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "slot_bytes.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/emulated_device.h"
#include "tiers/hbm/hbm.h"
#include "tiers/hbm/hbm_link.h"
#include "tiers/hbm/hbm_tier.h"
#include "tiers/host/adopted_tier.h"
#include "tiers/host/host_tier.h"

namespace kelvin::hbm {

inline constexpr const char* kDevices[] = {"emulated:0", "cuda:0"};

inline std::string device_name(const ::testing::TestParamInfo<const char*>& info) {
  const std::string name = info.param;
  return name.substr(0, name.find(':'));
}

// What is expected to be there.
template <class T>
T taken(Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(result).value();
}

// Null: this machine has no such device; `missing` says why.
inline Device* device_of(const std::string& name, std::string* missing) {
  const auto device = open_device(name, missing);
  return device.ok() ? *device : nullptr;
}

// A device for one test alone, which may break it.
inline EmulatedDevice& own_device(std::int32_t ordinal) {
  std::string why;
  const auto device = open_device("emulated:" + std::to_string(ordinal), &why);
  return dynamic_cast<EmulatedDevice&>(*device.value());
}

struct HbmSetup {
  std::string name = "hbm";
  std::uint64_t block_bytes = 16 << 10;
  std::uint32_t slots = 80;
  std::uint32_t max_leases = 16;
  HbmSettings settings{};
  const AdoptedMemory* adopted = nullptr;
};

inline HbmSettings on(const std::string& device) {
  HbmSettings settings;
  settings.device = device;
  return settings;
}

inline Result<std::unique_ptr<HbmTier>> try_open(const HbmSetup& setup, std::string* why) {
  SpaceConfig space;
  space.block_bytes = setup.block_bytes;
  space.max_leases = setup.max_leases;
  TierConfig tier;
  tier.name = setup.name;
  tier.kind = "hbm";
  if (setup.adopted == nullptr) tier.capacity_bytes = setup.slots * setup.block_bytes;
  return HbmTier::open({space, tier, setup.adopted}, setup.settings, why);
}

inline std::unique_ptr<HbmTier> open_tier(const HbmSetup& setup) {
  std::string why;
  auto tier = try_open(setup, &why);
  EXPECT_TRUE(tier.ok()) << why;
  return tier.ok() ? std::move(*tier) : nullptr;
}

inline std::unique_ptr<Tier> open_host(const std::string& name, std::uint64_t block_bytes,
                                       std::uint32_t slots) {
  HostTierOptions options;
  options.name = name;
  options.block_bytes = block_bytes;
  options.capacity_bytes = slots * ((block_bytes + 63) / 64 * 64);
  std::string why;
  auto tier = HostTier::open(options, &why);
  EXPECT_TRUE(tier.ok()) << why;
  return tier.ok() ? std::move(*tier) : nullptr;
}

inline std::unique_ptr<HbmLink> join(const Tier& from, const Tier& to) {
  std::string why;
  auto link = HbmLink::connect({.from = from, .to = to, .clock = {}, .single_issuer = true}, &why);
  EXPECT_TRUE(link.ok()) << why;
  EXPECT_TRUE(link.ok() && *link != nullptr);
  if (!link.ok()) return nullptr;
  return std::unique_ptr<HbmLink>(static_cast<HbmLink*>(link->release()));
}

// The engine's memory on a device, whose slots a tier adopts.
struct EngineMemory {
  std::unique_ptr<Memory> memory;
  AdoptedMemory adopted;
};

enum class Paging : std::uint8_t { kLayerFirst, kPageFirst, kCrossLayer };

// As hbm_tier.h draws them.
inline EngineMemory engine_memory(Device& device, Paging paging, std::uint64_t block_bytes,
                                  std::uint32_t segments, std::uint32_t slots) {
  EngineMemory engine;
  std::string why;
  auto memory = device.allocate(block_bytes * slots, false, &why);
  EXPECT_TRUE(memory.ok()) << why;
  if (!memory.ok()) return engine;
  engine.memory = std::move(*memory);
  if (paging == Paging::kCrossLayer) segments = 1;
  const std::uint64_t piece = block_bytes / segments;
  const bool layer_first = paging == Paging::kLayerFirst;
  for (std::uint32_t g = 0; g < segments; ++g)
    engine.adopted.bases.push_back(engine.memory->base() + g * (layer_first ? piece * slots : piece));
  engine.adopted.segment_bytes = piece;
  engine.adopted.stride_bytes = layer_first ? piece : block_bytes;
  engine.adopted.slots = slots;
  return engine;
}

}  // namespace kelvin::hbm
