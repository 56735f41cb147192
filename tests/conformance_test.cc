// Every tier against tier.h and every link against link.h. A new one is a rig and a line at the end.
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "conformance_link.h"
#include "conformance_tier.h"
#include "staging/connect_staged.h"
#include "tiers/fake/fake.h"
#include "tiers/host/adopted_tier.h"
#include "tiers/host/host_link.h"
#include "tiers/host/host_tier.h"

namespace kelvin::testing {
namespace {

constexpr std::uint64_t kBlock = 16 << 10;
constexpr std::uint32_t kSlots = HostLink::kDepth + 16;

std::unique_ptr<Tier> open_dram(const std::string& name, std::uint64_t block_bytes,
                                std::uint64_t capacity_bytes, std::string* missing) {
  HostTierOptions options;
  options.name = name;
  options.block_bytes = block_bytes;
  options.capacity_bytes = capacity_bytes;
  auto tier = HostTier::open(options, missing);
  EXPECT_TRUE(tier.ok()) << *missing;  // host memory is everywhere: never a reason to skip
  if (!tier.ok()) return nullptr;
  return std::move(*tier);
}

// An adopted tier together with its memory: `segments` pieces a block, with gaps between the slots.
class EngineMemory final : public Tier {
 public:
  EngineMemory(const std::string& name, std::uint64_t block_bytes, std::uint32_t segments, std::uint64_t gap)
      : memory_((block_bytes / segments + gap) * segments * kSlots) {
    AdoptedMemory adopted;
    adopted.segment_bytes = block_bytes / segments;
    adopted.stride_bytes = adopted.segment_bytes + gap;
    adopted.slots = kSlots;
    for (std::uint32_t s = 0; s < segments; ++s) {
      adopted.bases.push_back(memory_.data() + s * adopted.stride_bytes * kSlots);
    }
    std::string why;
    auto tier = AdoptedTier::open(name, std::move(adopted), block_bytes, 0, &why);
    EXPECT_TRUE(tier.ok()) << why;
    if (tier.ok()) tier_ = std::move(*tier);
  }
  bool opened() const { return tier_ != nullptr; }
  const TierInfo& info() const noexcept override { return tier_->info(); }
  Address address(Slot slot, std::uint32_t segment) const noexcept override {
    return tier_->address(slot, segment);
  }

 private:
  std::vector<std::byte> memory_;
  std::unique_ptr<AdoptedTier> tier_;
};

std::unique_ptr<Tier> open_engine(const std::string& name, std::uint32_t segments, std::uint64_t gap,
                                  std::string* missing) {
  auto tier = std::make_unique<EngineMemory>(name, kBlock, segments, gap);
  if (tier->opened()) return tier;
  *missing = "the adopted tier did not open";
  return nullptr;
}

std::unique_ptr<TierRig> tier_rig(std::unique_ptr<Tier> tier, std::uint64_t capacity_bytes) {
  if (tier == nullptr) return nullptr;
  auto rig = std::make_unique<TierRig>();
  rig->tier = std::move(tier);
  rig->capacity_bytes = capacity_bytes;
  return rig;
}

std::unique_ptr<TierRig> make_dram(std::string* missing) {
  return tier_rig(open_dram("dram", kBlock, kSlots * kBlock + 5000, missing), kSlots * kBlock + 5000);
}

std::unique_ptr<TierRig> make_odd_dram(std::string* missing) {
  return tier_rig(open_dram("dram", 5001, 1 << 20, missing), 1 << 20);
}

std::unique_ptr<TierRig> make_adopted(std::string* missing) {
  return tier_rig(open_engine("engine", 4, 192, missing), kSlots * kBlock);
}

std::unique_ptr<LinkRig> host_rig(std::unique_ptr<Tier> from, std::unique_ptr<Tier> to) {
  if (from == nullptr || to == nullptr) return nullptr;
  auto rig = std::make_unique<LinkRig>();
  rig->link = std::make_unique<HostLink>(*from, *to);
  rig->from = std::move(from);
  rig->to = std::move(to);
  return rig;
}

std::unique_ptr<LinkRig> make_contiguous(std::string* missing) {
  return host_rig(open_dram("near", kBlock, kSlots * kBlock, missing),
                  open_dram("far", kBlock, kSlots * kBlock, missing));
}

std::unique_ptr<LinkRig> make_odd(std::string* missing) {
  return host_rig(open_dram("near", 5001, kSlots * 5056, missing),
                  open_dram("far", 5001, kSlots * 5056, missing));
}

std::unique_ptr<LinkRig> make_gather(std::string* missing) {
  return host_rig(open_engine("engine", 8, 64, missing), open_dram("far", kBlock, kSlots * kBlock, missing));
}

std::unique_ptr<LinkRig> make_scatter(std::string* missing) {
  return host_rig(open_dram("near", kBlock, kSlots * kBlock, missing), open_engine("engine", 16, 8, missing));
}

std::unique_ptr<LinkRig> make_resegmented(std::string* missing) {
  return host_rig(open_engine("fine", 32, 0, missing), open_engine("coarse", 4, 3, missing));
}

// --- fake: on virtual time, which passes when nothing else happens ---

std::unique_ptr<FakeTier> open_fake(const std::string& name, const std::string& faults,
                                    std::string* missing) {
  SpaceConfig space;
  space.block_bytes = kBlock;
  TierConfig tier;
  tier.name = name;
  tier.kind = "fake";
  tier.capacity_bytes = kSlots * kBlock;
  auto script = Script::parse(faults, missing);
  EXPECT_TRUE(script.ok()) << *missing;
  if (!script.ok()) return nullptr;
  constexpr std::uint64_t kSpeed = 1'000'000'000;
  auto made = FakeTier::open({space, tier}, {80'000, kSpeed, kSpeed}, std::move(script).value(), missing);
  EXPECT_TRUE(made.ok()) << *missing;
  return made.ok() ? std::move(made).value() : nullptr;
}

std::unique_ptr<TierRig> make_fake(std::string* missing) {
  return tier_rig(open_fake("fake", "", missing), kSlots * kBlock);
}

struct FakeRig final : LinkRig {
  std::uint64_t now_ns = 1;
  void wait() override { now_ns += 20'000; }
};

std::unique_ptr<LinkRig> fake_rig(std::unique_ptr<FakeTier> fake, std::unique_ptr<Tier> host, bool reads) {
  if (fake == nullptr || host == nullptr) return nullptr;
  auto rig = std::make_unique<FakeRig>();
  const Clock clock = [now = &rig->now_ns] { return *now; };
  FakeWay way{fake->speed().latency_ns, fake->speed().read_bytes_per_second, fake->script()};
  rig->from = reads ? std::unique_ptr<Tier>(std::move(fake)) : std::move(host);
  rig->to = reads ? std::move(host) : std::unique_ptr<Tier>(std::move(fake));
  rig->link = std::make_unique<FakeLink>(*rig->from, *rig->to, std::move(way), clock);
  return rig;
}

std::unique_ptr<LinkRig> make_fake_read(std::string* missing) {
  return fake_rig(open_fake("fake", "", missing), open_engine("engine", 8, 64, missing), true);
}

std::unique_ptr<LinkRig> make_fake_reordering(std::string* missing) {
  return fake_rig(open_fake("fake", "late/3", missing), open_dram("dram", kBlock, kSlots * kBlock, missing),
                  false);
}

// --- staged: through slots of host memory, fewer than a link of its own would have ---

std::unique_ptr<LinkRig> staged_rig(std::unique_ptr<Tier> from, std::unique_ptr<Tier> to,
                                    std::string* missing) {
  if (from == nullptr || to == nullptr) return nullptr;
  auto rig = std::make_unique<FakeRig>();
  rig->from = std::move(from);
  rig->to = std::move(to);
  SpaceConfig space;
  space.block_bytes = kBlock;
  auto link = connect_staged({*rig->from, *rig->to, [now = &rig->now_ns] { return *now; }}, space, 8 * kBlock,
                             missing);
  EXPECT_TRUE(link.ok()) << *missing;
  if (!link.ok()) return nullptr;
  rig->link = std::move(link).value();
  return rig;
}

std::unique_ptr<LinkRig> make_staged_fake(std::string* missing) {
  return staged_rig(open_fake("far", "late/3", missing), open_fake("near", "late/5", missing), missing);
}

std::unique_ptr<LinkRig> make_staged_host(std::string* missing) {
  return staged_rig(open_engine("fine", 32, 0, missing), open_engine("coarse", 4, 3, missing), missing);
}

std::unique_ptr<LinkRig> make_staged_half_synchronous(std::string* missing) {
  return staged_rig(open_fake("far", "", missing), open_engine("engine", 8, 64, missing), missing);
}

KELVIN_TIER_CONFORMS(Fake, make_fake);
KELVIN_TIER_CONFORMS(Dram, make_dram);
KELVIN_TIER_CONFORMS(DramOddBlocks, make_odd_dram);
KELVIN_TIER_CONFORMS(Adopted, make_adopted);

KELVIN_LINK_CONFORMS(FakeRead, make_fake_read);
KELVIN_LINK_CONFORMS(FakeReordering, make_fake_reordering);
KELVIN_LINK_CONFORMS(HostContiguous, make_contiguous);
KELVIN_LINK_CONFORMS(HostOddBlocks, make_odd);
KELVIN_LINK_CONFORMS(HostGather, make_gather);
KELVIN_LINK_CONFORMS(HostScatter, make_scatter);
KELVIN_LINK_CONFORMS(HostResegmented, make_resegmented);
KELVIN_LINK_CONFORMS(StagedFake, make_staged_fake);
KELVIN_LINK_CONFORMS(StagedHost, make_staged_host);
KELVIN_LINK_CONFORMS(StagedHalfSynchronous, make_staged_half_synchronous);

}  // namespace
}  // namespace kelvin::testing
