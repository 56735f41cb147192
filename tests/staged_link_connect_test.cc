// Staged links as they are made between two tiers: over fake ones on virtual time, how long blocks take; and
// where none is made.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "staged_link_fixture.h"
#include "staging/connect_staged.h"
#include "tiers/fake/fake.h"

namespace kelvin::testing {
namespace {

// Two fake tiers of one speed: a block takes kStepNs through either half.
class StagedTime : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBytesPerSecond = 1 << 30;
  static constexpr std::uint64_t kStepNs = kBlock * 1'000'000'000 / kBytesPerSecond;

  std::unique_ptr<FakeTier> fake(const std::string& name, const std::string& faults = "") {
    TierConfig tier;
    tier.name = name;
    tier.kind = "fake";
    tier.capacity_bytes = kSlots * kBlock;
    std::string why;
    auto script = Script::parse(faults, &why);
    EXPECT_TRUE(script.ok()) << why;
    auto made = FakeTier::open({space_, tier}, {0, kBytesPerSecond, kBytesPerSecond},
                               std::move(script).value(), &why);
    EXPECT_TRUE(made.ok()) << why;
    return std::move(made).value();
  }
  std::unique_ptr<Link> connect(const Tier& from, const Tier& to, std::uint64_t staging_blocks) {
    std::string why;
    auto link = connect_staged({from, to, [this] { return now_; }}, space_, staging_blocks * kBlock, &why);
    EXPECT_TRUE(link.ok()) << why;
    return std::move(link).value();
  }
  // How long `count` blocks take, in steps.
  double steps_of(Link& link, std::uint32_t count) {
    const std::uint64_t start = now_;
    std::uint32_t submitted = 0;
    std::uint32_t done = 0;
    std::array<Completion, 8> completions;
    while (done < count && now_ < start + 100 * count * kStepNs) {
      for (; submitted < count; ++submitted) {
        const Copy copy = across(submitted);
        if (link.submit({&copy, 1}) == 0) break;
      }
      const std::size_t got = link.poll(completions);
      for (std::size_t i = 0; i < got; ++i) EXPECT_TRUE(completions[i].status.ok());
      done += static_cast<std::uint32_t>(got);
      if (got == 0) now_ += kStepNs / 64;
    }
    EXPECT_EQ(done, count);
    return static_cast<double>(now_ - start) / static_cast<double>(kStepNs);
  }

  SpaceConfig space_{.block_bytes = kBlock};
  std::uint64_t now_ = 1;
};

TEST_F(StagedTime, OfManyBlocksIsThatOfOneHalfAndOneBlockMore) {
  const auto disk = fake("disk");
  const auto gpu = fake("gpu");
  EXPECT_NEAR(steps_of(*connect(*disk, *gpu, 8), 32), 33, 1.0) << "not 64";
  EXPECT_NEAR(steps_of(*connect(*gpu, *disk, 8), 32), 33, 1.0);
}

TEST_F(StagedTime, NeedsNoMoreThanTwoStagingSlotsToOverlap) {
  const auto disk = fake("disk");
  const auto gpu = fake("gpu");
  const auto link = connect(*disk, *gpu, 0);
  EXPECT_EQ(link->info().depth, 2U) << "never fewer";
  EXPECT_LT(steps_of(*link, 32), 34);
}

TEST_F(StagedTime, OfOneBlockIsThatOfBothHalves) {
  const auto disk = fake("disk");
  const auto gpu = fake("gpu");
  EXPECT_NEAR(steps_of(*connect(*disk, *gpu, 8), 1), 2, 0.1);
}

TEST_F(StagedTime, FaultsOfEitherHalfCostTheirCopiesAlone) {
  const auto disk = fake("disk", "error@3");
  const auto gpu = fake("gpu", "short@2 late@1");
  const auto link = connect(*disk, *gpu, 8);
  std::vector<Copy> copies;
  for (std::uint32_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(fill_slot(*disk, Slot(i), i));
    copies.push_back(across(i));
  }
  ASSERT_EQ(link->submit(copies), 6U);
  std::array<Completion, 8> done;
  std::size_t count = 0;
  for (int round = 0; count < 6 && round < 10'000; ++round) {
    count += link->poll(std::span(done).subspan(count));
    now_ += kStepNs / 8;
  }
  ASSERT_EQ(count, 6U);
  EXPECT_EQ(done[5].tag, 0U) << "overtaken on the way out";
  for (const Completion& completion : std::span(done).first(6)) {
    const bool good = completion.tag != 2 && completion.tag != 1;
    EXPECT_EQ(completion.status.ok(), good) << completion.tag;
    const Slot slot(static_cast<std::uint32_t>(completion.tag));
    EXPECT_TRUE(!good || slot_holds(*gpu, slot, completion.tag));
  }
}

TEST(ConnectStaged, JoinsNothingThatHasNoLinkWithHostMemory) {
  class Elsewhere final : public Tier {
   public:
    Elsewhere() {
      info_.name = "elsewhere";
      info_.space = AddressSpace::kRemote;
      info_.slots = 1;
    }
    const TierInfo& info() const noexcept override { return info_; }
    Address address(Slot /*slot*/, std::uint32_t /*segment*/) const noexcept override { return {}; }

   private:
    TierInfo info_;
  };
  const Elsewhere elsewhere;
  const auto dram = memory("dram", 1);
  std::string why;
  for (const bool in : {false, true}) {
    const LinkContext context{in ? static_cast<const Tier&>(elsewhere) : *dram,
                              in ? *dram : static_cast<const Tier&>(elsewhere),
                              {}};
    const auto link = connect_staged(context, {.block_bytes = kBlock}, 1 << 20, &why);
    ASSERT_TRUE(link.ok()) << why;
    EXPECT_EQ(*link, nullptr);
  }
}

TEST(ConnectStaged, SaysThatThereIsTooLittleMemory) {
  const auto dram = memory("dram", 1);
  std::string why;
  const auto link = connect_staged({*dram, *dram, {}}, {.block_bytes = kBlock}, 1ULL << 50, &why);
  EXPECT_FALSE(link.ok());
  EXPECT_NE(why.find("mover.staging"), std::string::npos) << why;
  EXPECT_NE(why.find("from tier 'dram'"), std::string::npos) << why;
}

}  // namespace
}  // namespace kelvin::testing
