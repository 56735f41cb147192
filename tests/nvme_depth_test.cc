// How many requests a drive is given at once.
#include <gtest/gtest.h>

#include "tiers/nvme/depth_limit.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

// A drive that carries out one request after the other, `each_ns` long: with so many in hand, one takes as
// long as all of them.
void serve(DepthLimit& depth, std::uint64_t each_ns, int requests, bool short_of = true) {
  for (int i = 0; i < requests; ++i) depth.ended(depth.now() * each_ns, short_of);
}

TEST(DepthLimit, AFastDriveGetsAllItMay) {
  DepthLimit depth(32, 50 * kMs);
  serve(depth, kMs / 2, 1000);
  EXPECT_EQ(depth.now(), 32u);
}

TEST(DepthLimit, ASlowDriveGetsAsManyAsItCarriesOutInTheTime) {
  DepthLimit depth(32, 50 * kMs);
  serve(depth, 4 * kMs, 1000);
  EXPECT_LE(depth.now(), 12u);
  EXPECT_GE(depth.now(), 8u);
}

TEST(DepthLimit, ADriveThatSpeedsUpGetsMoreAgain) {
  DepthLimit depth(32, 50 * kMs);
  serve(depth, 20 * kMs, 1000);
  EXPECT_EQ(depth.now(), 2u);
  serve(depth, kMs, 2000);
  EXPECT_EQ(depth.now(), 32u);
}

TEST(DepthLimit, OneThatIsHopelesslySlowStillGetsTwo) {
  DepthLimit depth(32, 50 * kMs);
  serve(depth, 10'000 * kMs, 1000);
  EXPECT_EQ(depth.now(), 2u);
  DepthLimit one(1, 50 * kMs);
  serve(one, 10'000 * kMs, 10);
  EXPECT_EQ(one.now(), 1u);
}

TEST(DepthLimit, NothingIsAddedWhileNothingWaits) {
  DepthLimit depth(32, 50 * kMs);
  serve(depth, 20 * kMs, 1000);
  serve(depth, kMs, 3, false);  // ends the turn that had begun
  const std::uint32_t before = depth.now();
  serve(depth, kMs, 1000, false);
  EXPECT_EQ(depth.now(), before);
}

TEST(DepthLimit, WithoutAWishItStaysAsItIs) {
  DepthLimit depth(32, 0);
  EXPECT_FALSE(depth.measures());
  EXPECT_EQ(depth.now(), 32u);
}

}  // namespace
}  // namespace kelvin::nvme
