// Random requests on several streams whose kernels are done at random times: no slot is used by somebody else
// before the kernels that use it are done, and every block that is had is right.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "space_fixture.h"
#include "tiers/fake/fake_streams.h"

namespace kelvin::testing {
namespace {

constexpr std::size_t kChains = 6;
constexpr std::size_t kChainBlocks = 8;
constexpr std::size_t kUsedStreams = 3;

struct Use {
  Slot slot;
  std::byte* at = nullptr;
  BlockKey key;
};

// Work that the engine has put on a stream: it writes or reads slots at the moment when it is done.
struct Kernel {
  std::atomic<bool> ran{false};
  bool writes = false;
  bool over = false;
  std::vector<Use> uses;
};

class Kernels {
 public:
  Kernel& add(bool writes) {
    Kernel& kernel = kernels_.emplace_back();
    kernel.writes = writes;
    return kernel;
  }
  // What was done since: bytes appear, or are still what they were.
  void look() {
    for (Kernel& kernel : kernels_) {
      if (kernel.over || !kernel.ran) continue;
      kernel.over = true;
      for (const Use& use : kernel.uses) {
        const auto bytes = pattern(content_of(use.key), kBlockBytes);
        if (kernel.writes) {
          std::memcpy(use.at, bytes.data(), bytes.size());
        } else {
          EXPECT_EQ(std::memcmp(use.at, bytes.data(), bytes.size()), 0) << "read by a kernel";
        }
      }
    }
    while (!kernels_.empty() && kernels_.front().over) kernels_.pop_front();
  }
  bool uses(Slot slot, bool writing) const {
    return std::ranges::any_of(kernels_, [&](const Kernel& kernel) {
      return !kernel.over && (kernel.writes || !writing) &&
             std::ranges::any_of(kernel.uses, [&](const Use& use) { return use.slot == slot; });
    });
  }

 private:
  std::deque<Kernel> kernels_;
};

// Sees every copy that sets out.
class WatchedLink final : public Link {
 public:
  WatchedLink(std::unique_ptr<Link> link, const Kernels& kernels)
      : link_(std::move(link)), kernels_(kernels) {}
  const LinkInfo& info() const noexcept override { return link_->info(); }
  std::size_t submit(std::span<const Copy> copies) noexcept override {
    for (const Copy& copy : copies) {
      if (info().from->info().streams != nullptr) {
        EXPECT_FALSE(kernels_.uses(copy.from, true)) << "copied out before it is written";
      }
      if (info().to->info().streams != nullptr) {
        EXPECT_FALSE(kernels_.uses(copy.to, false)) << "copied into while kernels use it";
      }
    }
    return link_->submit(copies);
  }
  std::size_t poll(std::span<Completion> done) noexcept override { return link_->poll(done); }
  void cancel_all() noexcept override { link_->cancel_all(); }

 private:
  std::unique_ptr<Link> link_;
  const Kernels& kernels_;
};

class StreamsModel : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  struct Held {
    Lease lease;
    std::vector<BlockKey> keys;
    bool reads_end = true;  // nothing on a stream reads it, but what publish_on knows of
  };
  struct Asked {
    Ticket ticket;
    std::vector<BlockKey> keys;
    std::vector<Slot> told;
    bool on_stream = false;
  };

  void SetUp() override {
    dice_.seed(GetParam());
    for (std::size_t c = 0; c < kChains; ++c) chains_.push_back(chain_of(c + 1, kChainBlocks));
    TierConfig gpu = tier_of(
        "gpu", "fake", 14,
        {{"device", "true"}, {"segments", "4"}, {"latency", "50us"}, {"faults", "error/17 late/5 short/29"}});
    gpu.free_ahead = 0.2;
    Config config = config_of(
        {std::move(gpu), tier_of("dram", "dram", 16), tier_of("far", "fake", 40, {{"latency", "100us"}})});
    config.mover.demand_retries = 2;
    config.mover.offline_after = 1'000'000;
    Parts parts;
    parts.clock = time_.clock();
    parts.wrap_link = [this](std::unique_ptr<Link> link) -> std::unique_ptr<Link> {
      return std::make_unique<WatchedLink>(std::move(link), kernels_);
    };
    space_ = open_space(config, std::move(parts));
    ASSERT_NE(space_, nullptr);
    streams_ = static_cast<FakeStreams*>(space_->tier_info(kNear)->streams);
  }

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(dice_); }
  Stream some_stream() { return FakeStreams::stream_of(below(kUsedStreams)); }
  const std::vector<BlockKey>& some_chain() { return chains_[below(kChains)]; }

  Kernel& launch(Stream stream, bool writes, const Lease& lease, std::span<const BlockKey> keys) {
    Kernel& kernel = kernels_.add(writes);
    for (std::size_t i = 0; i < lease.size(); ++i)
      kernel.uses.push_back({lease.slot(i), lease.address(i).pointer, keys[i]});
    streams_->put(stream, &kernel.ran);
    return kernel;
  }

  void make() {
    const auto& chain = some_chain();
    const std::size_t known = below(3) == 0 ? 0 : space_->match(chain).blocks;
    const std::size_t first = known == chain.size() ? 0 : known;
    const std::size_t n = 1 + below(std::min<std::size_t>(4, chain.size() - first));
    auto lease = space_->allocate(static_cast<std::uint32_t>(n), kNear);
    if (!lease.ok()) return;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_FALSE(kernels_.uses(lease->slot(i), false)) << "given out while kernels use it";
      std::memset(lease->address(i).pointer, 0xEE, kBlockBytes);
    }
    const std::span<const BlockKey> prefix(chain.data(), first + n);
    std::vector<BlockKey> keys(prefix.begin() + static_cast<std::ptrdiff_t>(first), prefix.end());
    const Stream stream = some_stream();
    launch(stream, true, *lease, keys);
    if (below(8) == 0) {
      EXPECT_TRUE(lease->release_on(stream).ok());  // nothing came of it
      return;
    }
    ASSERT_TRUE(space_->publish_on(*lease, stream, prefix, first).ok());
    ++published_;
    held_.push_back({std::move(lease).value(), std::move(keys), true});
  }

  void ask() {
    const auto& chain = some_chain();
    const TierIndex tier(static_cast<std::uint8_t>(below(4) == 0 ? 1 + below(2) : 0));
    const bool on_stream = tier == kNear && below(2) == 0;
    const Stream stream = some_stream();
    auto ticket = on_stream ? space_->acquire_on(chain, tier, stream) : space_->acquire(chain, tier);
    if (!ticket.ok()) return;
    Asked asked{std::move(ticket).value(), chain, {}, on_stream};
    if (on_stream && below(2) == 0) {
      EXPECT_TRUE(asked.ticket.wait_on_stream(static_cast<std::uint32_t>(1 + below(5))).ok());
      ++waits_;
    }
    if (below(6) != 0) asked_.push_back(std::move(asked));  // else it is dropped
  }

  void answer() {
    for (auto asked = asked_.begin(); asked != asked_.end();) {
      std::array<Slot, kChainBlocks> slots;
      const auto count = asked->ticket.slots(slots);
      if (count.ok() && asked->told.empty() && !asked->ticket.done()) {
        asked->told.assign(slots.begin(), slots.begin() + *count);
        ++told_;
      }
      if (!asked->ticket.done()) {
        ++asked;
        continue;
      }
      Lease lease = asked->ticket.take();
      for (std::size_t i = 0; i < lease.size() && !asked->told.empty(); ++i)
        EXPECT_EQ(lease.slot(i), asked->told[i]) << "the engine was told so";
      for (std::size_t i = 0; i < lease.size() && !asked->on_stream; ++i)
        EXPECT_FALSE(lease.tier() == kNear && kernels_.uses(lease.slot(i), true))
            << "had before it is written";
      if (!asked->on_stream) {
        EXPECT_TRUE(blocks_are(lease, asked->keys));
      }
      got_ += lease.size();
      if (lease.size() != 0) held_.push_back({std::move(lease), asked->keys, !asked->on_stream});
      asked = asked_.erase(asked);
    }
  }

  void let_go() {
    if (held_.empty()) return;
    const std::size_t at = below(held_.size());
    Held held = std::move(held_[at]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
    const bool near = held.lease.tier() == kNear;
    switch (below(3)) {
      case 0: return;  // destroyed
      case 1: EXPECT_TRUE(held.lease.release().ok()); return;
      default: break;
    }
    if (!near) return;
    // Reads after whatever writes: on the same device, in order by marks.
    const Stream stream = some_stream();
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < held.lease.size(); ++i) slots.push_back(held.lease.slot(i));
    ASSERT_TRUE(streams_->precede(stream, slots).ok());
    launch(stream, false, held.lease, held.keys);
    EXPECT_TRUE(held.lease.release_on(stream).ok());
    ++used_;
  }

  void device() {
    if (below(3) == 0) {
      streams_->run_all();
    } else {
      streams_->run(some_stream());
    }
    kernels_.look();
  }

  void step() {
    if (streams_->open_marks() > FakeStreams::kMarks / 2) device();
    switch (below(12)) {
      case 0:
      case 1: make(); break;
      case 2:
      case 3:
      case 4: ask(); break;
      case 5:
      case 6: let_go(); break;
      case 7: device(); break;
      case 8: {
        const auto& chain = some_chain();
        static_cast<void>(
            space_->drop(std::span(chain).subspan(below(chain.size()), 1), below(2) == 0 ? kNear : kNoTier));
        break;
      }
      default:
        time_.pass(std::chrono::microseconds(below(60)));
        ASSERT_TRUE(space_->poll().ok());
        break;
    }
    answer();
    while (held_.size() > 6) let_go();
  }

  void finish() {
    for (int i = 0; i < 5'000 && !(asked_.empty() && space_->stats().leases == held_.size()); ++i) {
      device();
      time_.pass(100us);
      ASSERT_TRUE(space_->poll().ok());
      answer();
    }
    EXPECT_TRUE(asked_.empty()) << "a ticket is never answered";
    while (!held_.empty()) let_go();
    for (int i = 0; i < 5'000; ++i) {
      device();
      time_.pass(100us);
      ASSERT_TRUE(space_->poll().ok());
    }
    EXPECT_EQ(streams_->open_marks(), 0u) << "a stream waits for ever";
    ASSERT_TRUE(space_->settle(10s).ok());
    EXPECT_TRUE(nothing_leaked(*space_));
  }

  std::mt19937_64 dice_;
  VirtualClock time_;
  Kernels kernels_;
  std::vector<std::vector<BlockKey>> chains_;
  std::unique_ptr<Space> space_;
  FakeStreams* streams_ = nullptr;
  std::vector<Held> held_;
  std::vector<Asked> asked_;
  std::uint64_t published_ = 0, got_ = 0, used_ = 0, told_ = 0, waits_ = 0;
};

TEST_P(StreamsModel, NoSlotIsUsedByOthersBeforeItsKernelsAreDone) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  for (int i = 0; i < 20'000 && !HasFatalFailure(); ++i) step();
  finish();
  EXPECT_GT(published_, 100u);
  EXPECT_GT(got_, 100u);
  EXPECT_GT(used_, 20u);
  EXPECT_GT(waits_, 20u);
  const Stats stats = space_->stats();
  EXPECT_GT(stats.tiers[0].dropped_clean + stats.tiers[0].dropped_last, 0u) << "nothing ever left";
}

INSTANTIATE_TEST_SUITE_P(Seeds, StreamsModel, ::testing::Range<std::uint64_t>(1, 25));

}  // namespace
}  // namespace kelvin::testing
