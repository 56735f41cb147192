// Whatever happens, no policy proposes and no planner carries out what is against the rules: a million steps
// at random, from a seed, over every policy that is registered.
//
// KELVIN_SEED=N runs another million.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "plan_world.h"
#include "sanitized.h"

namespace kelvin::testing {
namespace {

constexpr std::uint64_t kSteps = kSanitized ? 100'000 : 1'000'000;
constexpr std::uint64_t kStepsAWorld = 1'000;

class EveryPlan : public ::testing::TestWithParam<const PolicyFactory*> {};

TEST_P(EveryPlan, RespectsLeasesPinsSharesRetentionBudgetsAndTiersThatAreOffline) {
  const char* given = std::getenv("KELVIN_SEED");  // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 2;
  const std::uint64_t steps = kSteps / policy_factories().size() + 1;
  std::uint64_t proposed = 0;
  std::uint64_t left = 0;
  std::uint64_t done = 0;
  for (std::uint64_t world = 0; done < steps; ++world) {
    PlanWorld run(*GetParam(), first * 1'000'003 + world);
    for (std::uint64_t step = 0; step < kStepsAWorld && done < steps; ++step, ++done) {
      SCOPED_TRACE("seed " + std::to_string(first) + ", world " + std::to_string(world) + ", step " +
                   std::to_string(step));
      run.step();
      if (HasFailure()) return;
    }
    proposed += run.proposed();
    left += run.dropped;
  }
  EXPECT_GT(proposed, steps / 20) << "too little was planned to prove anything";
  EXPECT_GT(left, steps / 20);
}

std::string name_of(const ::testing::TestParamInfo<const PolicyFactory*>& policy) {
  return std::string(policy.param->name);
}
INSTANTIATE_TEST_SUITE_P(OfEach, EveryPlan,
                         ::testing::ValuesIn(policy_factories().begin(), policy_factories().end()), name_of);

}  // namespace
}  // namespace kelvin::testing
