// The hbm tier against tier.h and its links against link.h, in each layout and each way of copying, on the
// emulated device and on the first GPU. Apart from conformance_test.cc because a build may leave this tier
// out.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "conformance_link.h"
#include "conformance_tier.h"
#include "hbm_fixture.h"

namespace kelvin::testing {
namespace {

using namespace kelvin::hbm;

constexpr std::uint64_t kBlock = 16 << 10;
constexpr std::uint32_t kSlots = 80;

struct HbmTierRig final : TierRig {
  ~HbmTierRig() override { tier.reset(); }
  EngineMemory engine;
};

struct HbmLinkRig final : LinkRig {
  ~HbmLinkRig() override {
    link.reset();
    from.reset();
    to.reset();
  }
  EngineMemory engine;
};

// What is on the device.
enum class Layout : std::uint8_t { kRun, kBlocks, kSegments, kLayerFirst, kPageFirst, kOdd };

std::uint64_t block_of(Layout layout) { return layout == Layout::kOdd ? 5001 : kBlock; }

std::unique_ptr<Tier> tier_on(Device& device, Layout layout, const HbmSettings& wanted,
                              EngineMemory& engine) {
  HbmSetup setup{.block_bytes = block_of(layout), .slots = kSlots, .settings = wanted};
  setup.settings.device = device.properties().name;
  if (layout == Layout::kBlocks || layout == Layout::kSegments) setup.settings.segments = 8;
  setup.settings.segments_apart = layout == Layout::kSegments;
  if (layout == Layout::kLayerFirst || layout == Layout::kPageFirst) {
    const Paging paging = layout == Layout::kLayerFirst ? Paging::kLayerFirst : Paging::kPageFirst;
    engine = engine_memory(device, paging, kBlock, 8, kSlots);
    setup.adopted = &engine.adopted;
  }
  return open_tier(setup);
}

std::unique_ptr<TierRig> make_tier(const char* name, Layout layout, std::string* missing) {
  Device* device = device_of(name, missing);
  if (device == nullptr) return nullptr;
  auto rig = std::make_unique<HbmTierRig>();
  rig->tier = tier_on(*device, layout, {}, rig->engine);
  rig->capacity_bytes = kSlots * block_of(layout);
  return rig->tier == nullptr ? nullptr : std::move(rig);
}

struct Wish {
  Layout layout = Layout::kRun;
  bool store = false;  // device to host
  std::optional<Way> way = std::nullopt;
  SumPlace sums = SumPlace::kMeasured;
  bool pin_host = true;
  std::uint32_t depth = 64;
};

std::unique_ptr<LinkRig> make_link(const char* name, const Wish& wanted, std::string* missing) {
  Device* device = device_of(name, missing);
  if (device == nullptr) return nullptr;
  const std::uint32_t ways = device->properties().ways;
  if (wanted.way && (ways >> static_cast<unsigned>(*wanted.way) & 1U) == 0) {
    *missing = "the device cannot copy this way: " + device->properties().lacks;
    return nullptr;
  }
  auto rig = std::make_unique<HbmLinkRig>();
  HbmSettings settings;
  settings.way = wanted.way;
  settings.sums = wanted.sums;
  settings.pin_host = wanted.pin_host;
  settings.depth = wanted.depth;
  rig->from = open_host("dram", block_of(wanted.layout), kSlots);
  rig->to = tier_on(*device, wanted.layout, settings, rig->engine);
  if (wanted.store) std::swap(rig->from, rig->to);
  rig->link = join(*rig->from, *rig->to);
  return rig;
}

// Between two tiers on one device, whose segments do not agree.
std::unique_ptr<LinkRig> make_within(const char* name, std::string* missing) {
  Device* device = device_of(name, missing);
  if (device == nullptr) return nullptr;
  auto rig = std::make_unique<HbmLinkRig>();
  rig->from = tier_on(*device, Layout::kSegments, {}, rig->engine);
  HbmSetup other{.name = "hbm2", .block_bytes = kBlock, .slots = kSlots, .settings = on(name)};
  other.settings.segments = 2;
  rig->to = open_tier(other);
  rig->link = join(*rig->from, *rig->to);
  return rig;
}

// Between two devices.
std::unique_ptr<LinkRig> make_peer(const char* name, const char* other_name, std::string* missing) {
  Device* device = device_of(name, missing);
  Device* peer = device == nullptr ? nullptr : device_of(other_name, missing);
  if (peer == nullptr) return nullptr;
  auto rig = std::make_unique<HbmLinkRig>();
  rig->from = tier_on(*device, Layout::kSegments, {}, rig->engine);
  HbmSetup other{.name = "hbm2", .block_bytes = kBlock, .slots = kSlots, .settings = on(other_name)};
  rig->to = open_tier(other);
  rig->link = join(*rig->from, *rig->to);
  return rig;
}

#define KELVIN_HBM_TIER(Name, layout)                              \
  constexpr auto make_emulated_##Name = [](std::string* missing) { \
    return make_tier("emulated:0", layout, missing);               \
  };                                                               \
  constexpr auto make_cuda_##Name = [](std::string* missing) {     \
    return make_tier("cuda:0", layout, missing);                   \
  };                                                               \
  KELVIN_TIER_CONFORMS(HbmEmulated##Name, make_emulated_##Name);   \
  KELVIN_TIER_CONFORMS(HbmCuda##Name, make_cuda_##Name)

KELVIN_HBM_TIER(Run, Layout::kRun);
KELVIN_HBM_TIER(Blocks, Layout::kBlocks);
KELVIN_HBM_TIER(Segments, Layout::kSegments);
KELVIN_HBM_TIER(LayerFirst, Layout::kLayerFirst);
KELVIN_HBM_TIER(PageFirst, Layout::kPageFirst);
KELVIN_HBM_TIER(Odd, Layout::kOdd);

#define KELVIN_HBM_LINK(Name, ...)                                      \
  constexpr Wish k##Name{__VA_ARGS__};                                  \
  constexpr auto make_emulated_link_##Name = [](std::string* missing) { \
    return make_link("emulated:0", k##Name, missing);                   \
  };                                                                    \
  constexpr auto make_cuda_link_##Name = [](std::string* missing) {     \
    return make_link("cuda:0", k##Name, missing);                       \
  };                                                                    \
  KELVIN_LINK_CONFORMS(HbmEmulated##Name, make_emulated_link_##Name);   \
  KELVIN_LINK_CONFORMS(HbmCuda##Name, make_cuda_link_##Name)

KELVIN_HBM_LINK(Load, .layout = Layout::kRun);
KELVIN_HBM_LINK(Store, .layout = Layout::kRun, .store = true);
KELVIN_HBM_LINK(LoadSegments, .layout = Layout::kSegments);
KELVIN_HBM_LINK(StoreSegments, .layout = Layout::kSegments, .store = true);
KELVIN_HBM_LINK(LoadLayerFirst, .layout = Layout::kLayerFirst);
KELVIN_HBM_LINK(StorePageFirst, .layout = Layout::kPageFirst, .store = true);
KELVIN_HBM_LINK(LoadOdd, .layout = Layout::kOdd);
KELVIN_HBM_LINK(StoreOdd, .layout = Layout::kOdd, .store = true);
KELVIN_HBM_LINK(LoadPlain, .layout = Layout::kSegments, .way = Way::kPlain);
KELVIN_HBM_LINK(StorePlain, .layout = Layout::kSegments, .store = true, .way = Way::kPlain);
KELVIN_HBM_LINK(LoadBatch, .layout = Layout::kSegments, .way = Way::kBatch);
KELVIN_HBM_LINK(StoreBatch, .layout = Layout::kSegments, .store = true, .way = Way::kBatch);
KELVIN_HBM_LINK(LoadKernel, .layout = Layout::kSegments, .way = Way::kKernel);
KELVIN_HBM_LINK(StoreKernel, .layout = Layout::kSegments, .store = true, .way = Way::kKernel);
KELVIN_HBM_LINK(StoreSumsOnDevice, .layout = Layout::kSegments, .store = true, .sums = SumPlace::kDevice);
KELVIN_HBM_LINK(StoreSumsOnHost, .layout = Layout::kSegments, .store = true, .sums = SumPlace::kHost);
KELVIN_HBM_LINK(LoadThroughBuffers, .layout = Layout::kBlocks, .pin_host = false);
KELVIN_HBM_LINK(StoreThroughBuffers, .layout = Layout::kBlocks, .store = true, .sums = SumPlace::kHost,
                .pin_host = false);
KELVIN_HBM_LINK(StoreOneAtATime, .layout = Layout::kBlocks, .store = true, .depth = 1);

constexpr auto make_emulated_within = [](std::string* missing) { return make_within("emulated:0", missing); };
constexpr auto make_cuda_within = [](std::string* missing) { return make_within("cuda:0", missing); };
constexpr auto make_emulated_peer = [](std::string* missing) {
  return make_peer("emulated:0", "emulated:1", missing);
};
constexpr auto make_cuda_peer = [](std::string* missing) { return make_peer("cuda:0", "cuda:1", missing); };
KELVIN_LINK_CONFORMS(HbmEmulatedWithin, make_emulated_within);
KELVIN_LINK_CONFORMS(HbmCudaWithin, make_cuda_within);
KELVIN_LINK_CONFORMS(HbmEmulatedPeer, make_emulated_peer);
KELVIN_LINK_CONFORMS(HbmCudaPeer, make_cuda_peer);

}  // namespace
}  // namespace kelvin::testing
