// The tiers in host memory: their slots, their layouts, and what their factories refuse.
#include "tiers/host/host_tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/slot_layout.h"
#include "tiers/host/adopted_tier.h"
#include "tiers/host/host.h"

namespace kelvin {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kGiB = 1ULL << 30;

// Pages of [base, base + bytes) that are in memory.
std::size_t resident_pages(std::byte* base, std::uint64_t bytes) {
  std::vector<unsigned char> present((bytes + 4095) / 4096);
  if (::mincore(base, bytes, present.data()) != 0) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(present, [](unsigned char p) { return (p & 1U) != 0; }));
}

std::byte* at(std::uint64_t n) { return reinterpret_cast<std::byte*>(n); }

TEST(SlotRanges, CoverOneBaseInPiecesCutBetweenSlots) {
  const std::array bases = {at(kGiB)};
  const std::uint64_t stride = 3 * kMiB;
  const auto ranges = slot_ranges({bases, stride, stride, 1000});
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_EQ(ranges.front().base, bases[0]);
  std::byte* next = bases[0];
  for (const HostRange& range : ranges) {
    EXPECT_EQ(range.base, next);
    EXPECT_LE(range.bytes, kMaxRangeBytes);
    EXPECT_EQ(range.bytes % stride, 0U);
    next += range.bytes;
  }
  EXPECT_EQ(next, bases[0] + 1000 * stride);
}

TEST(SlotRanges, OfInterleavedBasesAreOneRun) {
  const std::array bases = {at(kGiB + 4096), at(kGiB)};
  const auto ranges = slot_ranges({bases, 8192, 4096, 10});
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].base, at(kGiB));
  EXPECT_EQ(ranges[0].bytes, 10U * 8192);
}

TEST(SlotRanges, OfInterleavedBasesNeverCutASegment) {
  // Two combs, offset so that a cut at a multiple of the stride alone would go through the second's teeth.
  const std::uint64_t stride = 10 * kMiB;
  const std::uint64_t segment = 4 * kMiB;
  const std::uint32_t slots = 350;
  const std::array bases = {at(kGiB), at(kGiB + 100 * stride + 7 * kMiB)};
  const SlotLayout layout{bases, stride, segment, slots};
  ASSERT_TRUE(segments_overlap(layout)) << "4 MiB at 7 of 10 run into the next slot";
  const std::array apart = {at(kGiB), at(kGiB + 100 * stride + 5 * kMiB)};
  const SlotLayout good{apart, stride, segment, slots};
  ASSERT_FALSE(segments_overlap(good));
  const auto ranges = slot_ranges(good);
  EXPECT_GE(ranges.size(), 4U);
  for (std::byte* base : apart) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      std::byte* const begin = base + slot * stride;
      EXPECT_TRUE(std::ranges::any_of(ranges,
                                      [&](const HostRange& range) {
                                        return range.bytes <= kMaxRangeBytes && begin >= range.base &&
                                               begin + segment <= range.base + range.bytes;
                                      }))
          << "slot " << slot;
    }
  }
}

TEST(SlotRanges, OfASlotLargerThanARangeAreCutAnyway) {
  const std::array bases = {at(kGiB)};
  const auto ranges = slot_ranges({bases, 3 * kGiB, 3 * kGiB, 1});
  ASSERT_EQ(ranges.size(), 3U);
  for (const HostRange& range : ranges) EXPECT_EQ(range.bytes, kGiB);
}

TEST(Segments, OverlapWhereAnySlotsOfTwoBasesTouch) {
  const auto overlap = [](std::uint64_t a, std::uint64_t b, std::uint32_t slots) {
    const std::array bases = {at(kGiB + a), at(kGiB + b)};
    return segments_overlap({bases, 100, 40, slots});
  };
  EXPECT_TRUE(overlap(0, 0, 1));
  EXPECT_TRUE(overlap(0, 39, 1));
  EXPECT_FALSE(overlap(0, 40, 1));
  EXPECT_FALSE(overlap(40, 0, 1));
  EXPECT_FALSE(overlap(0, 60, 5));
  EXPECT_TRUE(overlap(0, 61, 5));
  EXPECT_TRUE(overlap(0, 430, 5));
  EXPECT_FALSE(overlap(0, 500, 5));
  EXPECT_TRUE(overlap(439, 0, 5));
  EXPECT_FALSE(overlap(440, 0, 5));
}

TEST(CommonAlignment, IsTheLargestPowerOfTwoInEveryAddress) {
  const std::array base = {at(kGiB)};
  EXPECT_EQ(common_alignment({base, 4096, 4096, 9}), 4096U);
  EXPECT_EQ(common_alignment({base, 5056, 5001, 9}), 64U);
  EXPECT_EQ(common_alignment({base, 5001, 5001, 1}), 2 * kMiB);
  const std::array odd = {at(kGiB), at(kGiB + 8)};
  EXPECT_EQ(common_alignment({odd, 4096, 8, 9}), 8U);
}

Result<std::unique_ptr<HostTier>> open_tier(std::uint64_t capacity, std::uint64_t block, std::string* why) {
  HostTierOptions options;
  options.name = "dram";
  options.capacity_bytes = capacity;
  options.block_bytes = block;
  return HostTier::open(options, why);
}

TEST(HostTier, PacksBlocksOfWholePagesWithoutGaps) {
  std::string why;
  const auto tier = open_tier(10 * 65536 + 1, 65536, &why);
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_EQ((*tier)->info().slots, 10U);
  EXPECT_EQ((*tier)->info().alignment, 65536U);
  EXPECT_EQ((*tier)->address(Slot(9), 0).pointer - (*tier)->address(Slot(0), 0).pointer, 9 * 65536);
}

TEST(HostTier, KeepsOddBlocksApartWithinItsCapacity) {
  std::string why;
  const auto tier = open_tier(100000, 5001, &why);
  ASSERT_TRUE(tier.ok()) << why;
  EXPECT_EQ((*tier)->info().slots, 100000U / 5056);
  EXPECT_EQ((*tier)->info().alignment, 64U);
  EXPECT_EQ((*tier)->address(Slot(1), 0).pointer - (*tier)->address(Slot(0), 0).pointer, 5056);
}

TEST(HostTier, RefusesACapacityBelowOneBlock) {
  std::string why;
  EXPECT_EQ(open_tier(4095, 4096, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("tier 'dram'"));
  EXPECT_THAT(why, HasSubstr("[[tier]].capacity"));
  EXPECT_EQ(open_tier(100, ~std::uint64_t{0}, &why).status().code(), Code::kInvalid);
  EXPECT_EQ(open_tier(100, 0, nullptr).status().code(), Code::kInvalid);
}

TEST(HostTier, RefusesMoreSlotsThanCanBeNumbered) {
  std::string why;
  EXPECT_EQ(open_tier(1ULL << 50, 64, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("4294967294"));
}

TEST(HostTier, ACapacityBeyondTheMachineSaysWhichTier) {
  std::string why;
  EXPECT_EQ(open_tier(1ULL << 50, 2 * kMiB, &why).status().code(), Code::kFull);
  EXPECT_THAT(why, HasSubstr("tier 'dram': "));
}

TEST(DramFactory, OpensATierFromItsOptions) {
  SpaceConfig space;
  space.block_bytes = 4096;
  TierConfig config;
  config.name = "near";
  config.capacity_bytes = 1 << 20;
  config.options = {{"huge_pages", "none"}, {"prefault", "true"}};
  std::string why;
  const auto options = Options::bind(kDramTier.options, config.options, "tier 'near'", &why);
  ASSERT_TRUE(options.ok()) << why;
  const auto tier = kDramTier.open({space, config}, *options, &why);
  ASSERT_TRUE(tier.ok()) << why;
  const TierInfo& info = (*tier)->info();
  EXPECT_EQ(info.name, "near");
  EXPECT_EQ(info.slots, 256U);
  EXPECT_EQ(info.kind, TierKind::kDram);
  EXPECT_FALSE(info.adopted);
  EXPECT_EQ(info.ledger, nullptr);
  EXPECT_EQ(resident_pages(info.ranges.front().base, 1 << 20), 256U);
}

TEST(DramFactory, RefusesPagesItDoesNotKnow) {
  std::string why;
  EXPECT_FALSE(Options::bind(kDramTier.options, {{"huge_pages", "enormous"}}, "tier 'near'", &why).ok());
  EXPECT_THAT(why, HasSubstr("huge_pages"));
}

class AdoptedTierTest : public ::testing::Test {
 protected:
  AdoptedTierTest() : bytes_(2 * 10 * 1024) {
    memory_.bases = {bytes_.data(), bytes_.data() + 10 * 1024};
    memory_.stride_bytes = 1024;
    memory_.segment_bytes = 1000;
    memory_.slots = 10;
  }

  // The reason why the memory is refused; "" if it is not.
  std::string refusal(std::uint64_t block_bytes = 2000, std::uint64_t capacity_bytes = 0) const {
    std::string why;
    const auto tier = AdoptedTier::open("engine", memory_, block_bytes, capacity_bytes, &why);
    if (tier.ok()) return "";
    EXPECT_EQ(tier.status().code(), Code::kInvalid);
    EXPECT_THAT(why, HasSubstr("tier 'engine'"));
    return why;
  }

  std::vector<std::byte> bytes_;
  AdoptedMemory memory_;
};

TEST_F(AdoptedTierTest, GivesTheEnginesOwnAddresses) {
  const auto tier = AdoptedTier::open("engine", memory_, 2000, 20000, nullptr);
  ASSERT_TRUE(tier.ok());
  EXPECT_EQ((*tier)->address(Slot(3), 1).pointer, bytes_.data() + (10 + 3) * 1024);
  EXPECT_EQ((*tier)->info().segments, 2U);
  EXPECT_EQ((*tier)->info().slots, 10U);
  EXPECT_TRUE((*tier)->info().adopted);
}

TEST_F(AdoptedTierTest, TakesInterleavedSegments) {
  memory_.bases = {bytes_.data(), bytes_.data() + 1000};
  memory_.stride_bytes = 2000;
  EXPECT_EQ(refusal(), "");
}

TEST_F(AdoptedTierTest, RefusesOverlappingSegments) {
  memory_.bases[1] = bytes_.data() + 5 * 1024;
  EXPECT_THAT(refusal(), HasSubstr("overlap"));
}

TEST_F(AdoptedTierTest, RefusesNullAndMissingBases) {
  memory_.bases[1] = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("null"));
  memory_.bases.clear();
  EXPECT_THAT(refusal(), HasSubstr("no bases"));
}

TEST_F(AdoptedTierTest, RefusesSegmentsThatAreNotABlock) {
  EXPECT_THAT(refusal(2048), HasSubstr("not a block of 2048 bytes"));
  memory_.segment_bytes = 0;
  EXPECT_THAT(refusal(), HasSubstr("not a block"));
}

TEST_F(AdoptedTierTest, RefusesAStrideBelowASegment) {
  memory_.stride_bytes = 999;
  EXPECT_THAT(refusal(), HasSubstr("stride"));
}

TEST_F(AdoptedTierTest, RefusesNoSlots) {
  memory_.slots = 0;
  EXPECT_THAT(refusal(), HasSubstr("0 slots"));
}

TEST_F(AdoptedTierTest, RefusesAddressesBeyondMemory) {
  memory_.stride_bytes = 1ULL << 62;
  EXPECT_THAT(refusal(), HasSubstr("end of memory"));
}

TEST_F(AdoptedTierTest, RefusesACapacityThatIsNotItsOwn) {
  EXPECT_EQ(refusal(2000, 20000), "");
  EXPECT_THAT(refusal(2000, 20001), HasSubstr("20000"));
}

TEST_F(AdoptedTierTest, TheFactoryNeedsMemory) {
  SpaceConfig space;
  space.block_bytes = 2000;
  TierConfig config;
  config.name = "engine";
  std::string why;
  const auto options = Options::bind(kAdoptedTier.options, {}, "tier 'engine'", &why);
  ASSERT_TRUE(options.ok()) << why;
  EXPECT_EQ(kAdoptedTier.open({space, config}, *options, &why).status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("Parts::adopted"));
  EXPECT_TRUE(kAdoptedTier.open({space, config, &memory_}, *options, &why).ok());
}

}  // namespace
}  // namespace kelvin
