// The contract of tier.h as a suite that every tier passes.
//
// Registering a tier is one line in conformance_test.cc:
//   KELVIN_TIER_CONFORMS(Dram, make_dram);
// where `std::unique_ptr<TierRig> make_dram(std::string* missing)` opens one; a null pointer skips the suite,
// and `missing` says what the machine lacks.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checksum/crc32c.h"
#include "kelvin/tier.h"
#include "slot_bytes.h"

namespace kelvin::testing {

struct TierRig {
  virtual ~TierRig() = default;
  std::unique_ptr<Tier> tier;
  std::uint64_t capacity_bytes = 0;  // what the tier was given
};

struct TierCase {
  const char* name;
  std::unique_ptr<TierRig> (*make)(std::string* missing);
};

class TierConformance : public ::testing::TestWithParam<TierCase> {
 protected:
  void SetUp() override {
    std::string missing = "the rig does not say";
    rig_ = GetParam().make(&missing);
    if (rig_ == nullptr) GTEST_SKIP() << GetParam().name << " cannot run here: " << missing;
  }

  const Tier& tier() const { return *rig_->tier; }
  const TierInfo& info() const { return rig_->tier->info(); }

  // Where a segment begins, as a number in its address space.
  std::uint64_t place(std::uint32_t slot, std::uint32_t segment) const {
    const Address at = tier().address(Slot(slot), segment);
    const bool is_memory = at.space == AddressSpace::kHost || at.space == AddressSpace::kDevice;
    return is_memory ? reinterpret_cast<std::uintptr_t>(at.pointer) : at.offset;
  }

  template <class F>
  void for_each_segment(F f) const {
    for (std::uint32_t slot = 0; slot < info().slots; ++slot) {
      for (std::uint32_t segment = 0; segment < info().segments; ++segment) f(slot, segment);
    }
  }

  std::unique_ptr<TierRig> rig_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TierConformance);

TEST_P(TierConformance, ItsNumbersAgree) {
  EXPECT_FALSE(info().name.empty());
  EXPECT_GT(info().slots, 0U);
  EXPECT_LT(info().slots, Slot::kNone);
  EXPECT_GT(info().slot_bytes, 0U);
  EXPECT_GT(info().segments, 0U);
  EXPECT_EQ(info().slot_bytes, info().segments * info().segment_bytes);
  EXPECT_GT(info().alignment, 0U);
  EXPECT_EQ(info().alignment & (info().alignment - 1), 0U) << "not a power of two";
}

TEST_P(TierConformance, ItsCapacityIsAHardCap) {
  EXPECT_LE(info().slots * info().slot_bytes, rig_->capacity_bytes);
}

TEST_P(TierConformance, EveryAddressIsInItsSpaceAndAligned) {
  for_each_segment([&](std::uint32_t slot, std::uint32_t segment) {
    const Address at = tier().address(Slot(slot), segment);
    ASSERT_EQ(at.space, info().space);
    ASSERT_EQ(place(slot, segment) % info().alignment, 0U) << "slot " << slot << " segment " << segment;
    if (at.space == AddressSpace::kHost) {
      ASSERT_NE(at.pointer, nullptr);
    }
  });
}

TEST_P(TierConformance, NoTwoSegmentsOverlap) {
  if (info().space == AddressSpace::kFile || info().space == AddressSpace::kRemote) {
    for (std::uint32_t slot = 1; slot < info().slots; ++slot) {
      if (tier().address(Slot(slot), 0).device != tier().address(Slot(0), 0).device) {
        GTEST_SKIP() << "slots lie in several files: their offsets cannot be compared";
      }
    }
  }
  std::vector<std::uint64_t> places;
  for_each_segment(
      [&](std::uint32_t slot, std::uint32_t segment) { places.push_back(place(slot, segment)); });
  std::ranges::sort(places);
  for (std::size_t i = 1; i < places.size(); ++i) ASSERT_GE(places[i] - places[i - 1], info().segment_bytes);
}

TEST_P(TierConformance, EveryHostSegmentLiesInOneRange) {
  if (info().space != AddressSpace::kHost) {
    EXPECT_TRUE(info().ranges.empty()) << "only host memory has ranges";
    return;
  }
  for_each_segment([&](std::uint32_t slot, std::uint32_t segment) {
    const std::uint64_t begin = place(slot, segment);
    const bool inside = std::ranges::any_of(info().ranges, [&](const HostRange& range) {
      const auto base = reinterpret_cast<std::uintptr_t>(range.base);
      return begin >= base && begin + info().segment_bytes <= base + range.bytes;
    });
    ASSERT_TRUE(inside) << "slot " << slot << " segment " << segment;
  });
}

TEST_P(TierConformance, RangesAreSmallEnoughToRegister) {
  for (const HostRange& range : info().ranges) {
    EXPECT_NE(range.base, nullptr);
    EXPECT_GT(range.bytes, 0U);
    EXPECT_LE(range.bytes, 1ULL << 30);
  }
}

TEST_P(TierConformance, SlotsKeepTheirBytesApart) {
  if (info().space != AddressSpace::kHost && info().access == nullptr)
    GTEST_SKIP() << "its bytes are reached through links only";
  for (std::uint32_t slot = 0; slot < info().slots; ++slot) ASSERT_TRUE(fill_slot(tier(), Slot(slot), slot));
  for (std::uint32_t slot = 0; slot < info().slots; ++slot) {
    ASSERT_TRUE(slot_holds(tier(), Slot(slot), slot)) << "slot " << slot;
  }
}

TEST_P(TierConformance, ChecksumsOfWhatTheHostCannotAddressAreThoseOfTheBytes) {
  if (info().access == nullptr) GTEST_SKIP() << "its bytes are in host memory, or reached through links only";
  std::vector<Slot> slots;
  std::vector<std::uint32_t> expected;
  for (std::uint32_t slot = 0; slot < info().slots; slot += 3) {
    ASSERT_TRUE(fill_slot(tier(), Slot(slot), slot));
    slots.emplace_back(slot);
    const auto bytes = pattern(slot, info().slot_bytes);
    expected.push_back(crc32c(bytes.data(), bytes.size()));
  }
  std::vector<std::uint32_t> sums(slots.size());
  ASSERT_TRUE(info().access->checksums(slots, sums).ok());
  EXPECT_EQ(sums, expected);
}

}  // namespace kelvin::testing

#define KELVIN_TIER_CONFORMS(Name, make) \
  INSTANTIATE_TEST_SUITE_P(Name, TierConformance, ::testing::Values(::kelvin::testing::TierCase{#Name, make}))
