// The NVMe tier against tier.h, and its links against link.h: each direction over each queue. Apart from
// conformance_test.cc because a build may leave this tier out.
#include <memory>
#include <string>
#include <utility>

#include "conformance_link.h"
#include "conformance_tier.h"
#include "nvme_fixture.h"
#include "staging/connect_staged.h"
#include "tiers/nvme/nvme.h"

namespace kelvin::testing {
namespace {

using nvme::LinkSettings;
using nvme::QueueKind;

constexpr std::uint64_t kBlock = 48 << 10;
constexpr std::uint32_t kDepth = 8;
constexpr std::uint32_t kSlots = 24;

struct NvmeTierRig final : TierRig {
  ~NvmeTierRig() override { tier.reset(); }
  nvme::ScratchDirectory directory;
};

struct NvmeLinkRig final : LinkRig {
  ~NvmeLinkRig() override {
    link.reset();
    from.reset();
    to.reset();
  }
  nvme::ScratchDirectory directory;
};

std::unique_ptr<TierRig> make_tier(std::string* /*missing*/) {
  auto rig = std::make_unique<NvmeTierRig>();
  rig->tier = nvme::open_tier(rig->directory.file("blocks"), kBlock, kSlots);
  rig->capacity_bytes = nvme::volume_config(kBlock, kSlots).geometry.bytes();
  return rig;
}

std::unique_ptr<LinkRig> make(QueueKind queue, bool single_issuer, bool writes, std::uint32_t segments,
                              std::string* missing) {
  if (queue == QueueKind::kUring && !nvme::has_uring(missing)) return nullptr;
  auto rig = std::make_unique<NvmeLinkRig>();
  const LinkSettings settings{.queue = queue, .depth = kDepth, .request_bytes = 16 << 10};
  rig->from = nvme::open_tier(rig->directory.file("blocks"), kBlock, kSlots, settings);
  rig->to = std::make_unique<nvme::AlignedTier>(kSlots, kBlock, segments);
  if (writes) std::swap(rig->from, rig->to);
  auto link = kNvmeLink.connect(
      {.from = *rig->from, .to = *rig->to, .clock = {}, .single_issuer = single_issuer}, missing);
  EXPECT_TRUE(link.ok()) << *missing;
  if (!link.ok()) return nullptr;
  rig->link = std::move(link).value();
  return rig;
}

template <QueueKind Queue, bool SingleIssuer, bool Writes, std::uint32_t Segments = 1>
std::unique_ptr<LinkRig> make_link(std::string* missing) {
  return make(Queue, SingleIssuer, Writes, Segments, missing);
}

constexpr auto make_uring_read = make_link<QueueKind::kUring, true, false>;
constexpr auto make_uring_write = make_link<QueueKind::kUring, true, true>;
constexpr auto make_uring_scatter = make_link<QueueKind::kUring, true, false, 6>;
constexpr auto make_uring_gather = make_link<QueueKind::kUring, true, true, 6>;
constexpr auto make_shared_uring_read = make_link<QueueKind::kUring, false, false>;
constexpr auto make_shared_uring_write = make_link<QueueKind::kUring, false, true>;
constexpr auto make_threads_read = make_link<QueueKind::kThreads, true, false>;
constexpr auto make_threads_write = make_link<QueueKind::kThreads, true, true>;
constexpr auto make_threads_scatter = make_link<QueueKind::kThreads, true, false, 6>;
constexpr auto make_threads_gather = make_link<QueueKind::kThreads, true, true, 6>;

// Memory that O_DIRECT cannot use, and a second drive: no link joins them with a drive directly.
template <bool FromDrive, bool ToDrive>
std::unique_ptr<LinkRig> make_staged(std::string* missing) {
  auto rig = std::make_unique<NvmeLinkRig>();
  const LinkSettings settings{.depth = kDepth, .request_bytes = 16 << 10};
  const auto open = [&](bool drive, const char* name) -> std::unique_ptr<Tier> {
    if (drive) return nvme::open_tier(rig->directory.file(name), kBlock, kSlots, settings);
    return std::make_unique<nvme::AlignedTier>(kSlots, kBlock, 6, 64);
  };
  rig->from = open(FromDrive, "from");
  rig->to = open(ToDrive, "to");
  SpaceConfig space;
  space.block_bytes = kBlock;
  auto link = connect_staged({*rig->from, *rig->to, {}}, space, 6 * kBlock, missing);
  EXPECT_TRUE(link.ok()) << *missing;
  if (!link.ok()) return nullptr;
  rig->link = std::move(link).value();
  return rig;
}

constexpr auto make_staged_read = make_staged<true, false>;
constexpr auto make_staged_write = make_staged<false, true>;
constexpr auto make_staged_drives = make_staged<true, true>;

KELVIN_TIER_CONFORMS(Nvme, make_tier);

KELVIN_LINK_CONFORMS(NvmeUringRead, make_uring_read);
KELVIN_LINK_CONFORMS(NvmeUringWrite, make_uring_write);
KELVIN_LINK_CONFORMS(NvmeUringScatter, make_uring_scatter);
KELVIN_LINK_CONFORMS(NvmeUringGather, make_uring_gather);
KELVIN_LINK_CONFORMS(NvmeSharedUringRead, make_shared_uring_read);
KELVIN_LINK_CONFORMS(NvmeSharedUringWrite, make_shared_uring_write);
KELVIN_LINK_CONFORMS(NvmeThreadsRead, make_threads_read);
KELVIN_LINK_CONFORMS(NvmeThreadsWrite, make_threads_write);
KELVIN_LINK_CONFORMS(NvmeThreadsScatter, make_threads_scatter);
KELVIN_LINK_CONFORMS(NvmeThreadsGather, make_threads_gather);
KELVIN_LINK_CONFORMS(NvmeStagedRead, make_staged_read);
KELVIN_LINK_CONFORMS(NvmeStagedWrite, make_staged_write);
KELVIN_LINK_CONFORMS(NvmeStagedDrives, make_staged_drives);

}  // namespace
}  // namespace kelvin::testing
