// The link of GPUDirect Storage against link.h, over the pretended library, on the emulated device and on the
// first GPU: in each layout that it serves, from one drive and from several.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conformance_link.h"
#include "gds_fixture.h"

namespace kelvin::testing {
namespace {

using namespace kelvin::hbm;

constexpr std::uint64_t kBlock = 64 << 10;
constexpr std::uint32_t kSegments = 8;
constexpr std::uint32_t kSlots = 80;

struct Wish {
  std::uint32_t files = 1;
  std::uint32_t segments = 1;
  bool segments_apart = false;
  bool engine = false;  // the engine's memory, layer first
  std::uint32_t depth = 64;
  fake_cufile::Script script{};
};

struct GdsRig final : LinkRig {
  ~GdsRig() override {
    link.reset();
    EXPECT_EQ(fake.seen().files, 0) << "files that are still registered";
    EXPECT_EQ(fake.seen().memories, 0) << "memory that is still registered";
    EXPECT_EQ(fake.seen().breaches, 0U);
    to.reset();
    from.reset();
  }
  FakeCuFile fake;
  nvme::ScratchDirectory directory;
  EngineMemory engine;
};

std::unique_ptr<LinkRig> make(const char* name, const Wish& wish, std::string* missing) {
  Device* device = pretended_device(name, missing);
  if (device == nullptr) return nullptr;
  auto rig = std::make_unique<GdsRig>();
  if (!has_direct_io(rig->directory, missing)) return nullptr;
  rig->fake.reset(wish.script);
  std::vector<std::string> paths;
  for (std::uint32_t i = 0; i < wish.files; ++i)
    paths.push_back(rig->directory.file("blocks" + std::to_string(i)));
  rig->from = open_drives(paths, kBlock, kSlots);
  HbmSetup setup{.block_bytes = kBlock, .slots = kSlots, .settings = on(name)};
  setup.settings.gds = Gds::kOn;
  setup.settings.segments = wish.segments;
  setup.settings.segments_apart = wish.segments_apart;
  setup.settings.depth = wish.depth;
  if (wish.engine) {
    rig->engine = engine_memory(*device, Paging::kLayerFirst, kBlock, kSegments, kSlots);
    setup.adopted = &rig->engine.adopted;
  }
  rig->to = open_tier(setup);
  auto link = GdsLink::connect({.from = *rig->from, .to = *rig->to, .clock = {}}, find_fake, missing);
  EXPECT_TRUE(link.ok() && *link != nullptr) << *missing;
  if (!link.ok()) return nullptr;
  rig->link = std::move(*link);
  return rig;
}

#define KELVIN_GDS_LINK(Name, ...)                                 \
  constexpr Wish kWish##Name{__VA_ARGS__};                         \
  constexpr auto make_emulated_##Name = [](std::string* missing) { \
    return make("emulated:0", kWish##Name, missing);               \
  };                                                               \
  constexpr auto make_cuda_##Name = [](std::string* missing) {     \
    return make("cuda:0", kWish##Name, missing);                   \
  };                                                               \
  KELVIN_LINK_CONFORMS(GdsEmulated##Name, make_emulated_##Name);   \
  KELVIN_LINK_CONFORMS(GdsCuda##Name, make_cuda_##Name)

KELVIN_GDS_LINK(Run, .files = 1);
KELVIN_GDS_LINK(Drives, .files = 3);
KELVIN_GDS_LINK(Blocks, .segments = kSegments);
KELVIN_GDS_LINK(Segments, .segments = kSegments, .segments_apart = true);
KELVIN_GDS_LINK(EnginesMemory, .engine = true);
KELVIN_GDS_LINK(OneAtATime, .depth = 1);
KELVIN_GDS_LINK(ShortReads, .script = {.most_bytes = 20 << 10});
KELVIN_GDS_LINK(InterruptedReads, .script = {.read_errno = EINTR, .spared = 2, .times = 40});
KELVIN_GDS_LINK(SlowReads, .files = 2, .script = {.delay = std::chrono::microseconds(300)});

}  // namespace
}  // namespace kelvin::testing
