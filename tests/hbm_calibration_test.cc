// Calibration: what is measured decides how pieces are copied and where checksums are made.
#include <gtest/gtest.h>

#include "hbm_fixture.h"
#include "tiers/hbm/calibration.h"

namespace kelvin::hbm {
namespace {

using namespace std::chrono_literals;

// By the device's own delays: what a busy machine adds to them decides nothing.
Calibration measured(EmulatedDevice& device) {
  Calibration calibration(device.properties());
  calibration.measure(device, [&] { return device.delayed_ns(); });
  return calibration;
}

TEST(HbmCalibration, TakesTheFastestWayForEachSizeAndNumber) {
  EmulatedDevice device(20);
  // As GPUs are: plain copies cost by the piece, the kernel by the call.
  device.delay(Way::kPlain, {.call = 0us, .piece = 300ns});
  device.delay(Way::kBatch, {.call = 20us, .piece = 0ns});
  device.delay(Way::kKernel, {.call = 8us, .piece = 0ns});
  const Calibration calibration = measured(device);
  EXPECT_TRUE(calibration.measured());
  for (const Direction direction : {Direction::kFromHost, Direction::kToHost}) {
    EXPECT_EQ(calibration.way(direction, 2 << 20, 1, true), Way::kPlain);
    EXPECT_EQ(calibration.way(direction, 4096, 512, true), Way::kKernel);
    EXPECT_EQ(calibration.way(direction, 4096, 512, false), Way::kBatch) << "no kernel for odd pieces";
  }
  EXPECT_EQ(calibration.way(Direction::kToPeer, 4096, 512, true), Way::kBatch) << "kernels stay at home";
}

TEST(HbmCalibration, PrefersWhatTakesNothingFromTheEngine) {
  EmulatedDevice device(21);
  for (const Way way : {Way::kPlain, Way::kBatch}) device.delay(way, {.call = 8us});
  device.delay(Way::kKernel, {.piece = 875ns});
  const Calibration calibration = measured(device);
  const auto chosen = [&](std::uint64_t pieces) {
    return calibration.way(Direction::kFromHost, 4 << 10, pieces, true);
  };
  EXPECT_EQ(chosen(64), Way::kPlain) << "a batch that is as fast is not better";
  EXPECT_EQ(chosen(8), Way::kPlain) << "nor is a kernel that is an eighth faster";
  EXPECT_EQ(chosen(1), Way::kKernel);
}

TEST(HbmCalibration, TakesOnlyWaysThatTheDeviceHas) {
  EmulatedDevice device(22, {.ways = 1U << static_cast<unsigned>(Way::kPlain)});
  device.delay(Way::kPlain, {.call = 10us, .piece = 1us});
  const Calibration calibration = measured(device);
  for (const std::uint64_t size : Calibration::kSizes) {
    for (const std::uint64_t count : Calibration::kCounts)
      EXPECT_EQ(calibration.way(Direction::kToHost, size, count, true), Way::kPlain);
  }
}

TEST(HbmCalibration, MakesChecksumsWhereTheyAreCheaper) {
  EmulatedDevice slow(23);
  slow.delay_checksums({.call = 1us});  // on a clock on which the host's take none
  EXPECT_FALSE(measured(slow).sums_on_device());
  EmulatedDevice without(24, {.checksums = false});
  EXPECT_FALSE(measured(without).sums_on_device());
}

TEST(HbmCalibration, TheMachinesClockIsTakenWhereNoneIsGiven) {
  EmulatedDevice device(28, {.ways = 1U << static_cast<unsigned>(Way::kPlain)});
  device.delay(Way::kPlain, {.call = 2ms});
  Calibration calibration(device.properties());
  calibration.measure(device);
  EXPECT_TRUE(calibration.measured());
  EXPECT_GE(calibration.estimate_ns(Direction::kToHost, 2 << 20, 4), 2'000'000U);
}

TEST(HbmCalibration, EstimatesGrowWithTheBytes) {
  EmulatedDevice device(25);
  for (const Way way : {Way::kPlain, Way::kBatch, Way::kKernel}) device.delay(way, {.piece = 1us});
  const Calibration calibration = measured(device);
  EXPECT_GT(calibration.estimate_ns(Direction::kToHost, 2 << 20, 1), 0U);
  EXPECT_GT(calibration.estimate_ns(Direction::kToHost, 2 << 20, 4000),
            calibration.estimate_ns(Direction::kToHost, 2 << 20, 40));
}

TEST(HbmCalibration, ADeviceThatCannotBeMeasuredIsTakenForALikelyOne) {
  EmulatedDevice device(26);
  device.limit_memory(0);
  EXPECT_FALSE(measured(device).measured());
  EmulatedDevice failing(27);
  failing.fail_copies(1U << 20);
  const Calibration calibration = measured(failing);
  EXPECT_FALSE(calibration.measured());
  EXPECT_EQ(calibration.way(Direction::kFromHost, 2 << 20, 1, true), Way::kPlain);
  EXPECT_NE(calibration.way(Direction::kFromHost, 4096, 512, true), Way::kPlain);
  EXPECT_GT(calibration.estimate_ns(Direction::kFromHost, 4096, 1), 0U);
}

class CalibrationOf : public ::testing::TestWithParam<const char*> {};

TEST_P(CalibrationOf, EachDeviceIsMeasuredOnce) {
  std::string missing;
  Device* device = device_of(GetParam(), &missing);
  if (device == nullptr) GTEST_SKIP() << missing;
  const Calibration& calibration = calibration_of(*device);
  EXPECT_TRUE(calibration.measured());
  EXPECT_EQ(&calibration_of(*device), &calibration);
}

TEST_P(CalibrationOf, WhatTheConfigFixesIsNotChosen) {
  std::string missing;
  if (device_of(GetParam(), &missing) == nullptr) GTEST_SKIP() << missing;
  HbmSettings settings = on(GetParam());
  settings.way = Way::kPlain;
  settings.sums = SumPlace::kHost;
  const auto tier = open_tier({.slots = 2, .settings = settings});
  ASSERT_NE(tier, nullptr);
  EXPECT_EQ(tier->way(Direction::kToHost, 4096, 512, true), Way::kPlain);
  EXPECT_FALSE(tier->sums_on_device());
}

INSTANTIATE_TEST_SUITE_P(On, CalibrationOf, ::testing::ValuesIn(kDevices), device_name);

}  // namespace
}  // namespace kelvin::hbm
