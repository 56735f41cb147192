// Slots for blocks that ask to be let in: Space::allocate with a chain.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "space_fixture.h"

namespace kelvin::testing {
namespace {

// Lets in so many newcomers of each request, in place of the first blocks that it was told of.
class CountingPolicy final : public Policy {
 public:
  explicit CountingPolicy(std::size_t admits, std::vector<Newcomers>* asked)
      : admits_(admits), asked_(asked) {}

  void observe(const View& /*view*/, std::span<const Event> events) noexcept override {
    for (const Event& event : events) {
      if (event.kind == EventKind::kPublish) blocks_.push_back(event.block);
    }
  }
  std::size_t plan(const View& /*view*/, const Budget& budget, std::span<Move> moves) noexcept override {
    std::size_t count = 0;
    if (budget.newcomers != nullptr) asked_->push_back(*budget.newcomers);
    for (std::uint32_t i = 0; i < budget.want_free[0] && count < moves.size(); ++i) {
      if (budget.newcomers != nullptr && budget.newcomers->granted + count == admits_) break;
      if (blocks_.empty()) break;
      moves[count++] = {blocks_.back(), kNear, kNoTier};
      blocks_.pop_back();
    }
    return count;
  }

 private:
  const std::size_t admits_;
  std::vector<Newcomers>* const asked_;
  std::vector<BlockId> blocks_;
};

class SpaceAdmission : public ::testing::Test {
 protected:
  void open(std::uint32_t slots, std::size_t admits) {
    Parts parts;
    parts.policy = std::make_unique<CountingPolicy>(admits, &asked_);
    space_ = open_space(config_of({tier_of("dram", "dram", slots)}), std::move(parts));
    store_blocks(*space_, chain_of(1, slots));
  }
  Result<Lease> ask(std::span<const BlockKey> chain, std::uint32_t n) {
    AllocateOptions options;
    options.chain = chain;
    options.hints.session = 9;
    return space_->allocate(n, kNear, options);
  }

  std::vector<Newcomers> asked_;
  std::unique_ptr<Space> space_;
};

TEST_F(SpaceAdmission, ThePolicyMayGrantFewerSlots) {
  open(8, 3);
  const auto chain = chain_of(2, 5);
  auto lease = ask(chain, 5);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->size(), 3U);
  ASSERT_TRUE(space_->publish(*lease, std::span(chain).first(3), 0).ok());
  ASSERT_FALSE(asked_.empty());
  EXPECT_EQ(asked_[0].hints.session, 9U);
  EXPECT_EQ(asked_[0].depth, 0U);
  EXPECT_FALSE(asked_[0].parent);
}

TEST_F(SpaceAdmission, ItIsAskedOnceMoreOnlyAsLongAsItGrantsAll) {
  open(300, 1000);
  const auto chain = chain_of(2, 300);
  auto lease = ask(chain, 300);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->size(), 300U);
  ASSERT_GE(asked_.size(), 2U) << "in batches";
  for (std::size_t i = 1; i < asked_.size(); ++i) EXPECT_GT(asked_[i].granted, asked_[i - 1].granted);
}

TEST_F(SpaceAdmission, NoneGrantedIsFull) {
  open(8, 0);
  const auto chain = chain_of(2, 5);
  EXPECT_EQ(ask(chain, 5).status().code(), Code::kFull);
  EXPECT_EQ(asked_.size(), 1U);
  EXPECT_EQ(space_->stats().tiers[0].resident, 8U);
  EXPECT_TRUE(nothing_leaked(*space_));
}

TEST_F(SpaceAdmission, FreeSlotsAreGrantedWithoutAsking) {
  open(4, 0);
  ASSERT_TRUE(space_->drop(chain_of(1, 4)).ok());
  const auto chain = chain_of(2, 3);
  auto lease = ask(chain, 3);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->size(), 3U);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(SpaceAdmission, TheNewcomersAreTheLastBlocksOfTheChainAndTheirParentIsNamed) {
  open(8, 2);
  auto chain = chain_of(1, 8);
  const Lease held = acquire_blocks(*space_, std::span(chain).first(2));
  chain = chain_of(1, 8);
  std::vector<BlockKey> longer(chain.begin(), chain.begin() + 2);
  longer.push_back({77, 1});
  longer.push_back({77, 2});
  auto lease = ask(longer, 2);
  ASSERT_TRUE(lease.ok());
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].keys.size(), 2U);
  EXPECT_EQ(asked_[0].depth, 2U);
  EXPECT_TRUE(asked_[0].parent);
}

TEST_F(SpaceAdmission, MoreThanTheTierHasIsGrantedAsFarAsItGoes) {
  open(8, 1000);
  const auto chain = chain_of(2, 20);
  auto lease = ask(chain, 20);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->size(), 8U);
}

TEST_F(SpaceAdmission, AChainShorterThanTheSlotsIsAnError) {
  open(8, 3);
  EXPECT_EQ(ask(chain_of(2, 2), 3).status().code(), Code::kInvalid);
}

}  // namespace
}  // namespace kelvin::testing
