// The histogram's promises: bounded error, exact maximum, monotonic buckets.
#include "cli/latency.h"

#include <gtest/gtest.h>

#include <memory>

namespace kelvin::cli {
namespace {

TEST(Histogram, BucketsCoverEveryValueWithoutGaps) {
  EXPECT_EQ(Histogram::bucket_of(0), 0U);
  EXPECT_EQ(Histogram::bucket_of(~std::uint64_t{0}), Histogram::kBuckets - 1);
  for (std::size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    ASSERT_EQ(Histogram::bucket_of(Histogram::lowest(bucket)), bucket);
    ASSERT_EQ(Histogram::bucket_of(Histogram::highest(bucket)), bucket);
    if (bucket == 0) continue;
    ASSERT_EQ(Histogram::lowest(bucket), Histogram::highest(bucket - 1) + 1);
  }
}

TEST(Histogram, ABucketIsAtMostAThirtySecondOfItsValues) {
  for (std::size_t bucket = 2 * Histogram::kParts; bucket < Histogram::kBuckets; ++bucket) {
    const std::uint64_t width = Histogram::highest(bucket) - Histogram::lowest(bucket);
    ASSERT_LE(width, Histogram::lowest(bucket) / 32) << bucket;
  }
}

TEST(Histogram, AnEmptyOneAnswersZero) {
  const auto histogram = std::make_unique<Histogram>();
  EXPECT_EQ(histogram->percentile(50), 0U);
  EXPECT_EQ(histogram->max(), 0U);
  EXPECT_EQ(histogram->count(), 0U);
}

TEST(Histogram, PercentilesOfSmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 50; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0), 1U);
  EXPECT_EQ(histogram.percentile(50), 25U);
  EXPECT_EQ(histogram.percentile(98), 49U);
  EXPECT_EQ(histogram.percentile(100), 50U);
}

TEST(Histogram, PercentilesOfLargeValuesAreCloseAndNeverTooLow) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1'000'000; ++value) histogram.add(value);
  for (const double percent : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9}) {
    const double exact = percent * 10'000;
    EXPECT_GE(static_cast<double>(histogram.percentile(percent)), exact);
    EXPECT_LE(static_cast<double>(histogram.percentile(percent)), exact * 33 / 32);
  }
}

TEST(Histogram, TheMaximumIsExactAndBoundsEveryPercentile) {
  Histogram histogram;
  histogram.add(1'000'003);
  EXPECT_EQ(histogram.max(), 1'000'003U);
  EXPECT_EQ(histogram.percentile(50), 1'000'003U);
  EXPECT_EQ(histogram.percentile(99), 1'000'003U);
}

TEST(Histogram, AddingManyAtOnceEqualsAddingThemOneByOne) {
  Histogram once;
  once.add(700, 3);
  once.add(9, 0);
  EXPECT_EQ(once.count(), 3U);
  EXPECT_EQ(once.max(), 700U);
  EXPECT_EQ(once.percentile(1), 700U);
}

}  // namespace
}  // namespace kelvin::cli
