// TierContent: blocks are filled and checked the same way wherever a tier keeps them.
#include "cli/tier_content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/content.h"
#include "registry.h"
#include "space_fixture.h"

namespace kelvin::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint32_t kSlots = 8;
using testing::kBlockBytes;

// One tier, all of whose slots are leased.
struct Leased {
  std::vector<std::byte> engine;
  std::unique_ptr<Space> space;
  Lease lease;
  const TierInfo& info() const { return *space->tier_info(TierIndex(0)); }
};

Leased lease_all(Leased leased, const TierConfig& tier, Parts parts = {}) {
  leased.space = testing::open_space(testing::config_of({tier}), std::move(parts));
  if (leased.space == nullptr) return leased;
  std::vector<Slot> slots;
  if (leased.info().adopted) {
    for (std::uint32_t s = 0; s < kSlots; ++s) slots.emplace_back(s);
  }
  AllocateOptions options;
  options.slots = slots;
  auto lease = leased.space->allocate(kSlots, TierIndex(0), options);
  EXPECT_TRUE(lease.ok()) << lease.status().message();
  if (lease.ok()) leased.lease = std::move(*lease);
  return leased;
}

Leased in_host_memory() { return lease_all({}, testing::tier_of("near", "dram", kSlots)); }

// Four pieces a block, with gaps between them.
Leased in_segments() {
  constexpr std::uint64_t kPiece = kBlockBytes / 4;
  constexpr std::uint64_t kStride = kPiece + 192;
  Leased leased;
  leased.engine.resize(4 * kSlots * kStride);
  AdoptedMemory memory;
  memory.segment_bytes = kPiece;
  memory.stride_bytes = kStride;
  memory.slots = kSlots;
  for (std::uint32_t s = 0; s < 4; ++s) memory.bases.push_back(leased.engine.data() + s * kSlots * kStride);
  Parts parts;
  parts.adopted.push_back({"near", std::move(memory)});
  TierConfig tier = testing::tier_of("near", "adopted", 0);
  return lease_all(std::move(leased), tier, std::move(parts));
}

// Of an emulated GPU; without a space where this build has no such tiers.
Leased in_gpu_memory(const char* segments, const char* order) {
  if (find_tier_factory("hbm") == nullptr) return {};
  return lease_all({},
                   testing::tier_of("near", "hbm", kSlots,
                                    {{"device", "emulated:0"}, {"segments", segments}, {"order", order}}));
}
Leased in_gpu_memory() { return in_gpu_memory("1", "block"); }
Leased in_gpu_segments() { return in_gpu_memory("4", "segment"); }

// What check() told, one line a block.
std::vector<std::string> findings(TierContent& content, const Leased& leased,
                                  std::span<const BlockKey> keys) {
  std::vector<std::string> told;
  const Status status = content.check(leased.lease, keys, [&](std::size_t i, const std::string& what) {
    told.push_back(std::to_string(i) + ": " + what);
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return told;
}

class TierContentOf : public ::testing::TestWithParam<Leased (*)()> {
 protected:
  void SetUp() override {
    leased_ = GetParam()();
    if (leased_.space == nullptr) GTEST_SKIP() << "this build has no tiers in GPU memory";
    ASSERT_EQ(leased_.lease.size(), kSlots);
    ASSERT_TRUE(TierContent::reaches(leased_.info()));
    content_ = std::make_unique<TierContent>(leased_.info());
  }
  // A whole block.
  std::vector<std::byte> read(std::size_t i) const {
    const TierInfo& info = leased_.info();
    if (info.space == AddressSpace::kHost) {
      std::vector<std::byte> block;
      for (std::uint32_t s = 0; s < info.segments; ++s) {
        const std::byte* piece = leased_.lease.address(i, s).pointer;
        block.insert(block.end(), piece, piece + info.segment_bytes);
      }
      return block;
    }
    std::vector<std::byte> block(info.slot_bytes);
    EXPECT_TRUE(info.access->read(leased_.lease.slot(i), block).ok());
    return block;
  }
  void flip(std::size_t i, std::uint64_t byte) {
    const TierInfo& info = leased_.info();
    if (info.space == AddressSpace::kHost) {
      const auto segment = static_cast<std::uint32_t>(byte / info.segment_bytes);
      leased_.lease.address(i, segment).pointer[byte % info.segment_bytes] ^= std::byte{1};
      return;
    }
    auto block = read(i);
    block[byte] ^= std::byte{1};
    EXPECT_TRUE(info.access->write(leased_.lease.slot(i), block).ok());
  }

  Leased leased_;
  std::unique_ptr<TierContent> content_;
  const std::vector<BlockKey> keys_ = testing::chain_of(1, kSlots);
};
INSTANTIATE_TEST_SUITE_P(Host, TierContentOf, ::testing::Values(&in_host_memory));
INSTANTIATE_TEST_SUITE_P(HostSegments, TierContentOf, ::testing::Values(&in_segments));
INSTANTIATE_TEST_SUITE_P(Gpu, TierContentOf, ::testing::Values(static_cast<Leased (*)()>(&in_gpu_memory)));
INSTANTIATE_TEST_SUITE_P(GpuSegments, TierContentOf, ::testing::Values(&in_gpu_segments));

TEST_P(TierContentOf, WhatWasFilledIsRight) {
  ASSERT_TRUE(content_->fill(leased_.lease, keys_).ok());
  EXPECT_THAT(findings(*content_, leased_, keys_), IsEmpty());
  for (std::size_t i = 0; i < kSlots; ++i) EXPECT_TRUE(check_content(keys_[i], read(i)));
}

TEST_P(TierContentOf, OneFlippedBitIsFoundAndItsPlaceIsTold) {
  ASSERT_TRUE(content_->fill(leased_.lease, keys_).ok());
  flip(3, 2 * kBlockBytes / 4 + 17);
  flip(6, kBlockBytes - 1);
  const auto told = findings(*content_, leased_, keys_);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told[0], HasSubstr("3: wrong bytes, the first of them is byte 2065 of 4096"));
  EXPECT_THAT(told[1], HasSubstr("6: wrong bytes, the first of them is byte 4095 of 4096"));
}

TEST_P(TierContentOf, ABlockUnderAnothersNameIsFound) {
  ASSERT_TRUE(content_->fill(leased_.lease, keys_).ok());
  std::vector<BlockKey> others = keys_;
  std::swap(others[0], others[1]);
  EXPECT_EQ(findings(*content_, leased_, others).size(), 2U);
}

TEST_P(TierContentOf, NoBlocksAreRight) {
  const Leased none{{}, nullptr, {}};
  EXPECT_TRUE(content_->fill(none.lease, {}).ok());
  EXPECT_THAT(findings(*content_, none, {}), IsEmpty());
}

TEST(TierContent, DoesNotReachWhatHasNoAddressAndNoAccess) {
  TierInfo info;
  info.space = AddressSpace::kFile;
  EXPECT_FALSE(TierContent::reaches(info));
}

}  // namespace
}  // namespace kelvin::cli
