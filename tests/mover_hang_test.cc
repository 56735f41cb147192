// A link to tier 0 that hangs: the tier stays in use, the link alone is shut until it has given back what it
// has.
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "core_parts.h"
#include "journal/journal.h"
#include "leases/hold.h"
#include "mover/mover.h"
#include "planner/planner.h"

namespace kelvin::testing {
namespace {

constexpr std::uint32_t kSlots = 8;
constexpr std::uint64_t kDeadlineNs = 1000;

class DeviceTier final : public Tier {
 public:
  DeviceTier(std::string name, AddressSpace space) {
    info_.name = std::move(name);
    info_.space = space;
    info_.slots = kSlots;
    info_.slot_bytes = info_.segment_bytes = 1000;
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot /*slot*/, std::uint32_t /*segment*/) const noexcept override { return {}; }

 private:
  TierInfo info_;
};

// Takes copies, and ends them only when it is told to.
class SlowLink final : public Link {
 public:
  SlowLink(const Tier& from, const Tier& to) {
    info_.name = from.info().name + ">" + to.info().name;
    info_.from = &from;
    info_.to = &to;
    info_.depth = 2;
  }
  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override {
    for (const Copy& copy : copies) tags.push_back(copy.tag);
    return copies.size();
  }
  std::size_t poll(std::span<Completion> done) noexcept override {
    std::size_t count = 0;
    for (; answers && count < done.size() && !tags.empty(); tags.pop_back())
      done[count++] = {tags.back(), {}, 7};
    return count;
  }
  void cancel_all() noexcept override { ++cancels; }

  std::vector<std::uint64_t> tags;
  bool answers = false;
  int cancels = 0;

 private:
  LinkInfo info_;
};

class IdlePolicy final : public Policy {
 public:
  void observe(const View& /*view*/, std::span<const Event> /*events*/) noexcept override {}
  std::size_t plan(const View& /*view*/, const Budget& /*budget*/,
                   std::span<Move> /*moves*/) noexcept override {
    return 0;
  }
};

// A drive over dram: tier 0 is neither host memory nor a GPU, which alone may leave its place as tier 0.
class MoverHang : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::unique_ptr<Tier>> tiers;
    tiers.push_back(std::make_unique<DeviceTier>("drive", AddressSpace::kFile));
    tiers.push_back(std::make_unique<DeviceTier>("dram", AddressSpace::kHost));
    const std::vector<const TierInfo*> infos = {&tiers[0]->info(), &tiers[1]->info()};
    std::vector<std::unique_ptr<Topology::Edge>> edges;
    for (std::size_t from = 0; from < 2; ++from) {
      auto edge = std::make_unique<Topology::Edge>();
      edge->from = from == 0 ? kFirst : kSecond;
      edge->to = from == 0 ? kSecond : kFirst;
      auto link = std::make_unique<SlowLink>(*tiers[from], *tiers[1 - from]);
      links_[from] = link.get();
      edge->link = std::move(link);
      edges.push_back(std::move(edge));
    }
    topology_ = made(Topology::make(std::move(tiers), std::move(edges), nullptr));
    residency_ = make_residency(64, infos);
    journal_ = made(Journal::make());
    config_.queue = 16;
    config_.deadline_ns = kDeadlineNs;
    mover_ = std::make_unique<Mover>(*residency_, *topology_, holds_, clock_, config_);
    planner_ = std::make_unique<Planner>(Planner::Parts{
        *residency_, *journal_, *mover_, clock_, clock_, *topology_, std::make_unique<IdlePolicy>(), {}, {}});
    ASSERT_TRUE(planner_->open({}).ok());
    mover_->begin(*planner_);
  }

  // A load of a block into gpu that has a copy in dram.
  Hold& load(std::uint64_t n) {
    const BlockKey key{n, 1};
    BlockId block = residency_->table().find(key);
    if (!block) block = put_block(*residency_, key, BlockId{}, 0, kSecond);
    Hold& hold = *holds_.take(now_ns_);
    hold.tier = kFirst;
    hold.published = true;
    HoldEntry& entry = hold.entries.emplace_back();
    entry.block = block;
    entry.source = kSecond;
    entry.kind = HoldEntry::Kind::kLoading;
    entry.slot = residency_->pin(block, key, kSecond);
    EXPECT_TRUE(entry.slot);
    hold.pending = 1;
    hold.state.store(Hold::kLoading);
    mover_->load(&hold);
    mover_->round();
    return hold;
  }
  static bool done(const Hold& hold) { return hold.state.load() == Hold::kDone; }
  std::uint32_t free_slots() const { return residency_->slots(kFirst).free_count(); }

  std::uint64_t now_ns_ = 1;
  Clock clock_ = [this] { return now_ns_; };
  MoverConfig config_;
  HoldPool holds_{8, nullptr, [](Core*) noexcept {}};
  std::unique_ptr<Topology> topology_;
  std::array<SlowLink*, 2> links_{};
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Planner> planner_;
};

TEST_F(MoverHang, ALinkToTierZeroIsShutUntilAllIsGivenBackAndTheTierStays) {
  SlowLink& up = *links_[1];
  Hold& first = load(1);
  now_ns_ += 10;
  Hold& second = load(2);
  Hold& third = load(3);  // the link is two deep
  ASSERT_EQ(up.tags.size(), 2u);
  EXPECT_EQ(mover_->due_ns(), 1 + kDeadlineNs);
  now_ns_ = kDeadlineNs;
  mover_->round();
  EXPECT_FALSE(done(first));
  now_ns_ = 1 + kDeadlineNs;
  mover_->round();
  for (const Hold* hold : {&first, &second, &third}) {
    EXPECT_TRUE(done(*hold));
    EXPECT_EQ(hold->status.code(), Code::kUnavailable);
    EXPECT_TRUE(hold->entries.empty());
  }
  EXPECT_TRUE(residency_->online(kFirst));
  EXPECT_TRUE(residency_->online(kSecond));
  EXPECT_EQ(up.cancels, 1);
  EXPECT_EQ(free_slots(), kSlots - 2);
  EXPECT_TRUE(mover_->idle()) << "nobody waits for the two";
  Hold& fourth = load(1);
  EXPECT_TRUE(done(fourth)) << "nothing is sent after them";
  EXPECT_EQ(fourth.status.code(), Code::kUnavailable);
  EXPECT_EQ(up.tags.size(), 2u);
  up.answers = true;
  mover_->round();
  EXPECT_EQ(free_slots(), kSlots);
  EXPECT_EQ(residency_->table().record(residency_->table().find({1, 1})).copy(kFirst), Slot{});
  Hold& fifth = load(1);
  mover_->round();
  ASSERT_TRUE(done(fifth));
  EXPECT_TRUE(fifth.status.ok());
  EXPECT_EQ(fifth.entries.size(), 1u);
  for (Hold* hold : {&first, &second, &third, &fourth, &fifth}) mover_->release(*hold);
}

TEST_F(MoverHang, ManyHangsInATurnUseUpNoMoves) {
  SlowLink& up = *links_[1];
  for (std::uint64_t round = 0; round < 100; ++round) {
    up.answers = false;
    Hold& one = load(1);
    Hold& two = load(2);
    ASSERT_EQ(up.tags.size(), 2u) << round;
    now_ns_ += kDeadlineNs;
    mover_->round();
    ASSERT_TRUE(done(one) && done(two)) << round;
    mover_->release(one);
    mover_->release(two);
    up.answers = true;
    mover_->round();
    ASSERT_EQ(free_slots(), kSlots);
  }
  EXPECT_EQ(residency_->slots(kSecond).free_count(), kSlots - 2);
  EXPECT_TRUE(mover_->idle());
}

TEST_F(MoverHang, ClosingLeavesToTheLinkWhatItDoesNotGiveBack) {
  Hold& hold = load(1);
  mover_->cancel();
  EXPECT_TRUE(done(hold));
  EXPECT_EQ(hold.status.code(), Code::kCanceled);
  EXPECT_EQ(links_[1]->tags.size(), 1u);
  EXPECT_EQ(free_slots(), kSlots - 1);
  mover_->release(hold);
}

}  // namespace
}  // namespace kelvin::testing
