// The contract of link.h as a suite that every link passes.
//
// Registering a link is one line in conformance_test.cc:
//   KELVIN_LINK_CONFORMS(HostContiguous, make_contiguous);
// where `std::unique_ptr<LinkRig> make_contiguous(std::string* missing)` sets up two tiers and the link
// between them; a null pointer skips the suite, and `missing` says what the machine lacks. Both tiers should
// have more slots than the link is deep; blocks should be small.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "checksum/crc32c.h"
#include "kelvin/link.h"
#include "slot_bytes.h"

namespace kelvin::testing {

// Two tiers and a link. Rigs whose bytes are not simply in memory or in a file override fill and holds.
struct LinkRig {
  virtual ~LinkRig() = default;
  std::unique_ptr<Tier> from;
  std::unique_ptr<Tier> to;
  std::unique_ptr<Link> link;  // ends before the tiers

  // Gives a slot of `from` the bytes that `seed` names, as a completed copy into it would have.
  virtual bool fill(Slot slot, std::uint64_t seed) { return fill_slot(*from, slot, seed); }
  // Whether a slot of `to` holds exactly these bytes; called when no copy is in flight.
  virtual bool holds(Slot slot, std::uint64_t seed) { return slot_holds(*to, slot, seed); }
  // Called between polls that had nothing: lets time pass where it is virtual.
  virtual void wait() { std::this_thread::sleep_for(std::chrono::microseconds(50)); }
};

struct LinkCase {
  const char* name;
  std::unique_ptr<LinkRig> (*make)(std::string* missing);
};

class LinkConformance : public ::testing::TestWithParam<LinkCase> {
 protected:
  using Done = std::map<std::uint64_t, Completion>;

  void SetUp() override {
    std::string missing = "the rig does not say";
    rig_ = GetParam().make(&missing);
    if (rig_ == nullptr) GTEST_SKIP() << GetParam().name << " cannot run here: " << missing;
    slots_ = std::min(rig_->from->info().slots, rig_->to->info().slots);
    ASSERT_GT(slots_, 0U);
  }

  Link& link() { return *rig_->link; }

  // The bytes of copies in these tests are named by the source slot.
  static std::uint64_t seed_of(Slot from) { return 1000 + from.value; }

  // Copies slot i to slot slots - 1 - i, for the first `n` slots, with sources filled. Tag: 7 * i + 1.
  std::vector<Copy> make_copies(std::uint32_t n) {
    std::vector<Copy> copies(std::min(n, slots_));
    for (std::uint32_t i = 0; i < copies.size(); ++i) {
      copies[i].tag = 7 * i + 1;
      copies[i].from = Slot(i);
      copies[i].to = Slot(slots_ - 1 - i);
      copies[i].key = BlockKey{i + 1, ~std::uint64_t{i}};
      EXPECT_TRUE(rig_->fill(copies[i].from, seed_of(copies[i].from)));
    }
    return copies;
  }

  // Polls with spans of `at_most` until `n` completions came; each tag may come once. The deadline only ends
  // a test that would hang.
  Done collect(std::size_t n, std::size_t at_most = 16) {
    Done done;
    std::vector<Completion> some(at_most);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (done.size() < n && std::chrono::steady_clock::now() < deadline) {
      const std::size_t got = link().poll(some);
      EXPECT_LE(got, at_most);
      for (std::size_t i = 0; i < got; ++i) {
        EXPECT_TRUE(done.emplace(some[i].tag, some[i]).second) << "tag " << some[i].tag << " completed twice";
      }
      if (got == 0) rig_->wait();
    }
    EXPECT_EQ(done.size(), n) << "copies that never completed";
    return done;
  }

  // Submits all of them, collecting as the link fills up.
  Done run(std::span<const Copy> copies) {
    Done done;
    while (!copies.empty()) {
      const std::size_t taken = link().submit(copies);
      EXPECT_LE(taken, copies.size());
      if (taken == 0) {
        ADD_FAILURE() << "an idle link takes nothing";
        return done;
      }
      copies = copies.subspan(taken);
      done.merge(collect(taken));
    }
    return done;
  }

  void expect_nothing_more() {
    std::array<Completion, 4> some;
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(link().poll(some), 0U);
      rig_->wait();
    }
  }

  std::uint32_t sum_of(Slot from) const {
    const auto bytes = pattern(seed_of(from), rig_->from->info().slot_bytes);
    return crc32c(bytes.data(), bytes.size());
  }

  void expect_arrived(std::span<const Copy> copies, const Done& done) {
    for (const Copy& copy : copies) {
      const auto it = done.find(copy.tag);
      ASSERT_NE(it, done.end()) << "tag " << copy.tag;
      ASSERT_TRUE(it->second.status.ok()) << it->second.status.context();
      if (copy.checksum) {
        EXPECT_EQ(it->second.checksum, sum_of(copy.from)) << "tag " << copy.tag;
      }
      EXPECT_TRUE(rig_->holds(copy.to, seed_of(copy.from))) << "tag " << copy.tag;
    }
  }

  std::unique_ptr<LinkRig> rig_;
  std::uint32_t slots_ = 0;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LinkConformance);

TEST_P(LinkConformance, ItsInfoNamesItsTiers) {
  EXPECT_EQ(link().info().from, rig_->from.get());
  EXPECT_EQ(link().info().to, rig_->to.get());
  EXPECT_EQ(link().info().name, rig_->from->info().name + ">" + rig_->to->info().name);
  EXPECT_GT(link().info().depth, 0U);
  EXPECT_GT(link().info().bytes_per_second, 0U);
}

TEST_P(LinkConformance, AnIdleLinkHasNothingToSay) {
  EXPECT_EQ(link().submit({}), 0U);
  EXPECT_EQ(link().poll({}), 0U);
  expect_nothing_more();
  link().cancel_all();
  expect_nothing_more();
}

TEST_P(LinkConformance, BytesAndChecksumsArriveExactly) {
  const auto copies = make_copies(slots_);
  expect_arrived(copies, run(copies));
  expect_nothing_more();
}

TEST_P(LinkConformance, BytesArriveWithoutAChecksum) {
  auto copies = make_copies(8);
  for (Copy& copy : copies) copy.checksum = false;
  expect_arrived(copies, run(copies));
}

TEST_P(LinkConformance, OtherSlotsKeepTheirBytes) {
  const auto first = make_copies(slots_);
  expect_arrived(first, run(first));
  // A second round that touches one slot alone.
  Copy one = first.back();
  one.from = Slot(0);
  const std::array again = {one};
  expect_arrived(again, run(again));
  expect_arrived(std::span(first).first(first.size() - 1), [&] {
    Done done;
    for (const Copy& copy : first) done[copy.tag] = {copy.tag, Status(), sum_of(copy.from)};
    return done;
  }());
}

TEST_P(LinkConformance, AFullLinkTakesAPrefix) {
  const std::uint32_t depth = link().info().depth;
  if (slots_ <= depth) GTEST_SKIP() << "the rig has " << slots_ << " slots for a depth of " << depth;
  const auto copies = make_copies(slots_);
  const std::size_t taken = link().submit(copies);
  ASSERT_GT(taken, 0U);
  EXPECT_LE(taken, depth);
  if (taken == depth) {
    EXPECT_EQ(link().submit(std::span(copies).subspan(taken)), 0U) << "took more than its depth";
  }
  const Done done = collect(taken);
  expect_arrived(std::span(copies).first(taken), done);
  expect_nothing_more();
}

TEST_P(LinkConformance, ItTakesMoreAsSoonAsItHasCompletedSome) {
  const auto copies = make_copies(slots_);
  const std::size_t taken = link().submit(copies);
  if (taken == copies.size()) GTEST_SKIP() << "the rig has too few slots to fill the link";
  Done done = collect(1, 1);
  ASSERT_EQ(link().submit(std::span(copies).subspan(taken, 1)), 1U);
  done.merge(collect(taken));
  expect_arrived(std::span(copies).first(taken + 1), done);
}

TEST_P(LinkConformance, DescriptorsAreCopiedAtSubmit) {
  auto copies = make_copies(4);
  const auto given = copies;
  const std::size_t taken = link().submit(copies);
  std::ranges::fill(copies, Copy{});
  const Done done = collect(taken);
  expect_arrived(std::span(given).first(taken), done);
}

TEST_P(LinkConformance, PollWritesNoMoreThanItIsGivenRoomFor) {
  const auto copies = make_copies(std::min(slots_, link().info().depth));
  const std::size_t taken = link().submit(copies);
  EXPECT_EQ(link().poll({}), 0U);
  const Done done = collect(taken, 1);
  expect_arrived(std::span(copies).first(taken), done);
}

TEST_P(LinkConformance, EveryCopyCompletesOnceUnderRandomUse) {
  std::mt19937_64 random(20);
  std::vector<Copy> copies = make_copies(slots_);
  for (std::uint64_t round = 0; round < 5; ++round) {
    std::ranges::shuffle(copies, random);
    for (std::size_t i = 0; i < copies.size(); ++i)
      copies[i].tag = (round << 32) + random() % 1000 + 1000 * i;
    expect_arrived(copies, run(copies));
  }
  expect_nothing_more();
}

TEST_P(LinkConformance, CancelEndsEverythingSoon) {
  const auto copies = make_copies(std::min(slots_, link().info().depth));
  const std::size_t taken = link().submit(copies);
  link().cancel_all();
  const Done done = collect(taken);
  for (const auto& [tag, completion] : done) {
    if (completion.status.ok()) {
      const auto copy = std::ranges::find(copies, tag, &Copy::tag);
      expect_arrived(std::span(copy, 1), done);
    } else {
      EXPECT_EQ(completion.status.code(), Code::kCanceled) << completion.status.context();
    }
  }
  expect_nothing_more();
}

TEST_P(LinkConformance, ItWorksOnAfterACancel) {
  const auto copies = make_copies(std::min(slots_, link().info().depth));
  const std::size_t taken = link().submit(copies);
  link().cancel_all();
  link().cancel_all();
  collect(taken);
  expect_arrived(copies, run(copies));
}

TEST_P(LinkConformance, SourcesAreNeverChanged) {
  const TierInfo& from = rig_->from->info();
  if (from.space != AddressSpace::kHost && from.access == nullptr)
    GTEST_SKIP() << "the source's bytes are not in memory";
  const auto copies = make_copies(slots_);
  run(copies);
  for (const Copy& copy : copies) EXPECT_TRUE(slot_holds(*rig_->from, copy.from, seed_of(copy.from)));
}

TEST_P(LinkConformance, ItMayEndWithCopiesInFlight) {
  const auto copies = make_copies(std::min(slots_, link().info().depth));
  link().submit(copies);
  rig_->link.reset();
  // From here on the slots are the caller's again: what is written now stays.
  if (rig_->to->info().space != AddressSpace::kHost && rig_->to->info().access == nullptr) return;
  for (const Copy& copy : copies) ASSERT_TRUE(fill_slot(*rig_->to, copy.to, 5));
  rig_->wait();
  for (const Copy& copy : copies) EXPECT_TRUE(slot_holds(*rig_->to, copy.to, 5));
}

}  // namespace kelvin::testing

#define KELVIN_LINK_CONFORMS(Name, make) \
  INSTANTIATE_TEST_SUITE_P(Name, LinkConformance, ::testing::Values(::kelvin::testing::LinkCase{#Name, make}))
