// HBM links: what they do when the device fails, hangs or is full, while host memory is being pinned, and how
// segments arrive one by one. The rest of their contract is in hbm_conformance_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "checksum/crc32c.h"
#include "hbm_fixture.h"

namespace kelvin::hbm {
namespace {

using ::testing::AllOf;
using testing::fill_slot;
using ::testing::HasSubstr;
using testing::pattern;
using testing::slot_holds;
using namespace std::chrono_literals;

constexpr std::uint64_t kBlock = 16 << 10;
constexpr std::uint32_t kSlots = 24;

// A host tier that grows when the test says so.
class GrowingTier final : public Tier {
 public:
  GrowingTier() : inner_(open_host("dram", kBlock, kSlots)), info_(inner_->info()) {
    info_.growth = &growth;
    // A range for each half.
    const std::uint64_t half = kSlots / 2 * kBlock;
    std::byte* const base = info_.ranges.front().base;
    info_.ranges = {{base, half}, {base + half, half}};
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override {
    return inner_->address(slot, segment);
  }
  Growth growth;

 private:
  std::unique_ptr<Tier> inner_;
  TierInfo info_;
};

struct HbmLinkTest : ::testing::Test {
  static std::int32_t next_ordinal() {
    static std::int32_t last = 100;
    return ++last;
  }
  EmulatedDevice& device = own_device(next_ordinal());
  std::unique_ptr<Tier> host = open_host("dram", kBlock, kSlots);
  std::unique_ptr<HbmTier> hbm;
  std::unique_ptr<HbmLink> link;

  void open(bool store, HbmSettings settings = {}) {
    settings.device = device.properties().name;
    hbm = open_tier({.block_bytes = kBlock, .slots = kSlots, .settings = settings});
    ASSERT_NE(hbm, nullptr);
    link = store ? join(*hbm, *host) : join(*host, *hbm);
    ASSERT_NE(link, nullptr);
  }
  void settle_pins() const {
    while (!link->registration()->settled()) std::this_thread::sleep_for(1ms);
  }
  std::vector<Copy> copies(std::uint32_t n) const {
    std::vector<Copy> all(n);
    for (std::uint32_t i = 0; i < n; ++i) {
      all[i].tag = i;
      all[i].from = Slot(i);
      all[i].to = Slot(i);
    }
    return all;
  }
  std::map<std::uint64_t, Completion> collect(std::size_t n) const {
    std::map<std::uint64_t, Completion> done;
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    std::array<Completion, 8> some;
    while (done.size() < n && std::chrono::steady_clock::now() < give_up) {
      const std::size_t got = link->poll(some);
      for (std::size_t i = 0; i < got; ++i) done[some[i].tag] = some[i];
      if (got == 0) std::this_thread::sleep_for(100us);
    }
    EXPECT_EQ(done.size(), n);
    return done;
  }
  void expect_works() {
    const auto all = copies(kSlots);
    for (const Copy& copy : all) ASSERT_TRUE(fill_slot(*link->info().from, copy.from, 70 + copy.tag));
    ASSERT_EQ(link->submit(all), kSlots);
    for (const auto& [tag, completion] : collect(kSlots)) {
      EXPECT_TRUE(completion.status.ok()) << completion.status.message();
      const auto bytes = pattern(70 + tag, kBlock);
      EXPECT_EQ(completion.checksum, crc32c(bytes.data(), bytes.size()));
      EXPECT_TRUE(slot_holds(*link->info().to, Slot(static_cast<std::uint32_t>(tag)), 70 + tag));
    }
  }
};

TEST_F(HbmLinkTest, ACallThatFailsFailsItsCopiesAndTheNextOnesWork) {
  for (const bool store : {false, true}) {
    open(store);
    device.fail_copies(1);
    ASSERT_EQ(link->submit(copies(3)), 3U);
    for (const auto& [tag, completion] : collect(3)) EXPECT_EQ(completion.status.code(), Code::kIo);
    expect_works();
    link.reset();
  }
}

TEST_F(HbmLinkTest, AFullQueueIsWaitedFor) {
  open(true, {.segments = 4});
  device.fail_copies(3, Code::kBusy);
  expect_works();
}

TEST_F(HbmLinkTest, ADeviceThatIsLostEndsEverythingAsUnavailable) {
  open(false);
  device.stall();
  ASSERT_EQ(link->submit(copies(4)), 4U);
  device.lose();
  for (const auto& [tag, completion] : collect(4)) EXPECT_EQ(completion.status.code(), Code::kUnavailable);
  ASSERT_EQ(link->submit(copies(2)), 2U);
  for (const auto& [tag, completion] : collect(2)) EXPECT_EQ(completion.status.code(), Code::kUnavailable);
  std::vector<std::byte> block(kBlock);
  EXPECT_EQ(hbm->info().access->read(Slot(0), block).code(), Code::kUnavailable);
}

TEST_F(HbmLinkTest, WhatADeviceThatHangsHasNotTakenIsCanceledTheRestComesLater) {
  open(false, {.queues = 1});
  device.stall();
  device.fail_copies(1U << 20, Code::kBusy);
  auto all = copies(8);
  ASSERT_EQ(link->submit(std::span(all).first(4)), 4U);
  ASSERT_EQ(link->submit(std::span(all).subspan(4)), 4U);
  link->cancel_all();
  for (const auto& [tag, completion] : collect(4)) {
    EXPECT_GE(tag, 4U);
    EXPECT_EQ(completion.status.code(), Code::kCanceled);
  }
  device.fail_copies(0);
  device.resume();
  for (const auto& [tag, completion] : collect(4)) EXPECT_TRUE(completion.status.ok());
  expect_works();
}

TEST_F(HbmLinkTest, ItsEndWaitsForADeviceThatHangs) {
  open(false);
  device.stall();
  ASSERT_EQ(link->submit(copies(4)), 4U);
  std::atomic<bool> ended{false};
  std::thread ending([&] {
    link.reset();
    ended = true;
  });
  std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(ended);
  device.resume();
  ending.join();
}

TEST_F(HbmLinkTest, SaysWhyHostMemoryWasNotPinned) {
  open(false);
  settle_pins();
  EXPECT_TRUE(link->registration()->covers(Slot(kSlots - 1)));
  ASSERT_NE(link->info().slowed, nullptr);
  EXPECT_EQ(link->info().slowed->load(), nullptr);
  device.fail_registrations(~0U);
  const Registration refused(device, *host, true);
  while (!refused.settled()) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(refused.covers(Slot(0)));
  EXPECT_THAT(refused.failure().load(), AllOf(HasSubstr("tier 'dram'"), HasSubstr("refuses to pin")));
}

TEST_F(HbmLinkTest, BlocksGoThroughABufferWhereHostMemoryCannotBePinned) {
  for (const bool store : {false, true}) {
    auto growing = std::make_unique<GrowingTier>();
    Growth& growth = growing->growth;
    host = std::move(growing);
    open(store);
    device.fail_registrations(~0U);
    growth.ready = kSlots;
    settle_pins();
    EXPECT_FALSE(link->registration()->covers(Slot(0)));
    EXPECT_THAT(link->info().slowed->load(), HasSubstr("refuses to pin"));
    expect_works();
    device.fail_registrations(0);
    link.reset();
  }
}

TEST_F(HbmLinkTest, IsNotMadeWhereNotEvenItsBuffersCanBePinned) {
  open(false);
  device.fail_registrations(~0U);
  std::string why;
  const auto refused =
      HbmLink::connect({.from = *hbm, .to = *host, .clock = {}, .single_issuer = true}, &why);
  EXPECT_EQ(refused.status().code(), Code::kIo);
  EXPECT_THAT(why, AllOf(HasSubstr("link 'hbm>dram'"), HasSubstr("refuses to pin")));
  std::string why_no_tier;
  HbmSetup setup{.block_bytes = kBlock, .slots = kSlots, .settings = on(device.properties().name)};
  EXPECT_FALSE(try_open(setup, &why_no_tier).ok());
  EXPECT_THAT(why_no_tier, HasSubstr("refuses to pin"));
  device.fail_registrations(0);
}

TEST_F(HbmLinkTest, PinsAGrowingTierAsItGrows) {
  auto growing = std::make_unique<GrowingTier>();
  Growth& growth = growing->growth;
  growth.ready = 2;
  host = std::move(growing);
  open(false);
  EXPECT_FALSE(link->registration()->covers(Slot(0))) << "its range is not ready";
  growth.ready = kSlots / 2;
  while (!link->registration()->covers(Slot(0))) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(link->registration()->covers(Slot(kSlots - 1)));
  expect_works();
  growth.ready = kSlots;
  settle_pins();
  EXPECT_TRUE(link->registration()->covers(Slot(kSlots - 1)));
  expect_works();
}

TEST_F(HbmLinkTest, AGrowthThatStopsIsNotWaitedFor) {
  auto growing = std::make_unique<GrowingTier>();
  growing->growth.ready = kSlots / 2;
  growing->growth.stopped = "no memory";
  host = std::move(growing);
  open(true);
  settle_pins();
  EXPECT_TRUE(link->registration()->covers(Slot(0)));
  EXPECT_FALSE(link->registration()->covers(Slot(kSlots - 1)));
}

TEST_F(HbmLinkTest, BothDirectionsPinOnceAndTheLastOneUnpins) {
  open(false);
  settle_pins();
  auto back = join(*hbm, *host);
  EXPECT_EQ(back->registration(), link->registration());
  link.reset();
  EXPECT_TRUE(back->registration()->covers(Slot(0)));
  const std::uint64_t pinned = device.registered_bytes();
  back.reset();
  EXPECT_LE(device.registered_bytes() + kSlots * kBlock, pinned);
}

TEST_F(HbmLinkTest, SegmentsArriveInTheirOrder) {
  open(false, {.segments = 8, .segments_apart = true});
  std::array<std::atomic<std::uint32_t>, kSlots> arrived{};
  auto all = copies(kSlots);
  for (Copy& copy : all) {
    ASSERT_TRUE(fill_slot(*host, copy.from, 90 + copy.tag));
    copy.arrived = &arrived[copy.tag];
  }
  device.delay(Way::kPlain, {.call = 1ms});
  device.delay(Way::kBatch, {.call = 1ms});
  device.delay(Way::kKernel, {.call = 1ms});
  ASSERT_EQ(link->submit(all), kSlots);
  std::uint32_t seen = 0;
  std::size_t steps = 0;
  std::size_t done = 0;
  std::array<Completion, 8> some;
  while (done < kSlots) {
    done += link->poll(some);
    const std::uint32_t now = arrived[0].load(std::memory_order_acquire);
    ASSERT_GE(now, seen) << "it only rises";
    if (now > seen) ++steps;
    for (; seen < now; ++seen) {
      // Those of the last copy as well: all copies' first segments come first.
      const auto bytes = pattern(90 + kSlots - 1, kBlock);
      const std::uint64_t piece = kBlock / 8;
      EXPECT_EQ(std::memcmp(hbm->address(Slot(kSlots - 1), seen).pointer, bytes.data() + seen * piece, piece),
                0);
    }
  }
  EXPECT_EQ(seen, 8U);
  EXPECT_GT(steps, 1U);
  for (const Copy& copy : all) EXPECT_TRUE(slot_holds(*hbm, copy.to, 90 + copy.tag));
}

TEST_F(HbmLinkTest, AFailureTellsOfNoSegments) {
  open(false, {.segments = 4});
  std::atomic<std::uint32_t> arrived{0};
  auto all = copies(1);
  all[0].arrived = &arrived;
  device.fail_copies(1);
  ASSERT_EQ(link->submit(all), 1U);
  EXPECT_EQ(collect(1)[0].status.code(), Code::kIo);
  EXPECT_EQ(arrived, 0U);
}

TEST_F(HbmLinkTest, CopiesWaitForWhatTheirSlotsFollow) {
  open(true);
  const Stream stream = device.make_stream();
  std::atomic<bool> go{false};
  ASSERT_TRUE(fill_slot(*hbm, Slot(0), 1));
  device.launch(stream, [&] {
    while (!go) std::this_thread::sleep_for(100us);
    const auto bytes = pattern(2, kBlock);
    std::memcpy(hbm->address(Slot(0), 0).pointer, bytes.data(), kBlock);
  });
  const Slot slot(0);
  ASSERT_TRUE(hbm->info().streams->follow(stream, {&slot, 1}).ok());
  ASSERT_EQ(link->submit(copies(1)), 1U);
  std::array<Completion, 1> none;
  EXPECT_EQ(link->poll(none), 0U);
  go = true;
  EXPECT_TRUE(collect(1)[0].status.ok());
  EXPECT_TRUE(slot_holds(*host, slot, 2)) << "it copied before the engine had written";
  device.close_stream(stream);
}

TEST_F(HbmLinkTest, ToAPeerToo) {
  EmulatedDevice& other = own_device(next_ordinal());
  open(false);
  link.reset();
  const auto far = open_tier(
      {.name = "far", .block_bytes = kBlock, .slots = kSlots, .settings = on(other.properties().name)});
  link = join(*hbm, *far);
  const Stream stream = other.make_stream();
  std::atomic<bool> go{false};
  other.launch(stream, [&] {
    while (!go) std::this_thread::sleep_for(100us);
  });
  const Slot slot(0);
  ASSERT_TRUE(far->info().streams->follow(stream, {&slot, 1}).ok());
  ASSERT_TRUE(fill_slot(*hbm, slot, 3));
  ASSERT_EQ(link->submit(copies(1)), 1U);
  std::array<Completion, 1> none;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(link->poll(none), 0U);
  go = true;
  EXPECT_TRUE(collect(1)[0].status.ok());
  EXPECT_TRUE(slot_holds(*far, slot, 3));
  link.reset();
  other.close_stream(stream);
}

TEST_F(HbmLinkTest, OneWayOfCopyingNeedsWhatItNeeds) {
  HbmSettings kernel = on(device.properties().name);
  kernel.way = Way::kKernel;
  const auto tier = open_tier({.block_bytes = kBlock, .slots = 2, .settings = kernel});
  std::vector<std::byte> loose(2 * kBlock + 64);
  AdoptedMemory odd{{loose.data() + 8}, kBlock, kBlock, 2};
  std::string why;
  const auto engine = taken(AdoptedTier::open("engine", odd, kBlock, 0, &why));
  if (engine->info().alignment % 16 == 0) GTEST_SKIP() << "the allocator's address happens to be aligned";
  const auto joined = HbmLink::connect({*engine, *tier, {}, true}, &why);
  EXPECT_EQ(joined.status().code(), Code::kInvalid);
  EXPECT_THAT(why, HasSubstr("set copy to auto"));
}

TEST_F(HbmLinkTest, JoinsNoOthers) {
  open(false);
  const auto small = open_host("small", kBlock / 2, 4);
  std::string why;
  const auto sizes = HbmLink::connect({*small, *hbm, {}, true}, &why);
  ASSERT_TRUE(sizes.ok());
  EXPECT_EQ(*sizes, nullptr) << "slots of another size";
  const auto hosts = HbmLink::connect({*host, *small, {}, true}, &why);
  ASSERT_TRUE(hosts.ok());
  EXPECT_EQ(*hosts, nullptr);
}

}  // namespace
}  // namespace kelvin::hbm
