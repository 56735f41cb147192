// HostLink: what the conformance suite does not already hold it to.
#include "tiers/host/host_link.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "checksum/crc32c.h"
#include "slot_bytes.h"
#include "tiers/host/adopted_tier.h"
#include "tiers/host/host.h"
#include "tiers/host/host_tier.h"

namespace kelvin {
namespace {

using testing::fill_slot;
using testing::pattern;
using testing::slot_holds;

std::unique_ptr<HostTier> open_dram(const std::string& name, std::uint64_t block_bytes, std::uint32_t slots) {
  HostTierOptions options;
  options.name = name;
  options.block_bytes = block_bytes;
  options.capacity_bytes = block_bytes * slots;
  std::string why;
  auto tier = HostTier::open(options, &why);
  EXPECT_TRUE(tier.ok()) << why;
  return tier.ok() ? std::move(*tier) : nullptr;
}

// A tier whose bytes are not in host memory.
class FileTier final : public Tier {
 public:
  FileTier() {
    info_.name = "file";
    info_.space = AddressSpace::kFile;
    info_.slots = 1;
    info_.slot_bytes = info_.segment_bytes = 4096;
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot, std::uint32_t) const noexcept override { return {.space = AddressSpace::kFile}; }

 private:
  TierInfo info_;
};

std::vector<Copy> one_to_one(std::uint32_t n) {
  std::vector<Copy> copies(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    copies[i].tag = i;
    copies[i].from = copies[i].to = Slot(i);
  }
  return copies;
}

TEST(HostLink, CopiesInTheOrderOfSubmission) {
  const auto from = open_dram("near", 4096, 8);
  const auto to = open_dram("far", 4096, 8);
  HostLink link(*from, *to);
  ASSERT_EQ(link.submit(one_to_one(8)), 8U);
  std::array<Completion, 8> done;
  ASSERT_EQ(link.poll(done), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(done[i].tag, i);
}

TEST(HostLink, SubmitMovesNoByte) {
  const auto from = open_dram("near", 4096, 1);
  const auto to = open_dram("far", 4096, 1);
  ASSERT_TRUE(fill_slot(*from, Slot(0), 1));
  ASSERT_TRUE(fill_slot(*to, Slot(0), 2));
  HostLink link(*from, *to);
  ASSERT_EQ(link.submit(one_to_one(1)), 1U);
  EXPECT_TRUE(slot_holds(*to, Slot(0), 2));
  std::array<Completion, 1> done;
  ASSERT_EQ(link.poll(done), 1U);
  EXPECT_TRUE(slot_holds(*to, Slot(0), 1));
}

TEST(HostLink, TakesExactlyItsDepth) {
  const auto from = open_dram("near", 4096, HostLink::kDepth + 1);
  const auto to = open_dram("far", 4096, HostLink::kDepth + 1);
  HostLink link(*from, *to);
  EXPECT_EQ(link.submit(one_to_one(HostLink::kDepth + 1)), HostLink::kDepth);
  EXPECT_EQ(link.submit(one_to_one(1)), 0U);
}

TEST(HostLink, OnePollEndsAfterItsShareOfBytes) {
  constexpr std::uint64_t kBlock = HostLink::kBytesPerPoll / 2;
  const auto from = open_dram("near", kBlock, 5);
  const auto to = open_dram("far", kBlock, 5);
  HostLink link(*from, *to);
  ASSERT_EQ(link.submit(one_to_one(5)), 5U);
  std::array<Completion, 8> done;
  EXPECT_EQ(link.poll(done), 2U);
  EXPECT_EQ(link.poll(done), 2U);
  EXPECT_EQ(link.poll(done), 1U);
}

TEST(HostLink, CancelSparesWhatIsSubmittedLater) {
  const auto from = open_dram("near", 4096, 4);
  const auto to = open_dram("far", 4096, 4);
  ASSERT_TRUE(fill_slot(*from, Slot(3), 9));
  ASSERT_TRUE(fill_slot(*to, Slot(0), 8));
  HostLink link(*from, *to);
  const auto copies = one_to_one(4);
  ASSERT_EQ(link.submit(std::span(copies).first(3)), 3U);
  link.cancel_all();
  ASSERT_EQ(link.submit(std::span(copies).last(1)), 1U);
  std::array<Completion, 4> done;
  ASSERT_EQ(link.poll(done), 4U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(done[i].status.code(), Code::kCanceled);
  EXPECT_TRUE(done[3].status.ok());
  EXPECT_TRUE(slot_holds(*to, Slot(3), 9));
  EXPECT_TRUE(slot_holds(*to, Slot(0), 8)) << "a canceled copy was carried out";
}

// Segment sizes of which neither divides the other: pieces end where either side's segment does.
TEST(HostLink, WalksSegmentsThatDoNotNest) {
  constexpr std::uint64_t kBlock = 6 * 1000;
  std::vector<std::byte> near(kBlock * 2);
  std::vector<std::byte> far(kBlock * 2);
  const auto layout = [](std::vector<std::byte>& memory, std::uint32_t segments) {
    AdoptedMemory adopted;
    adopted.segment_bytes = adopted.stride_bytes = kBlock / segments;
    adopted.slots = 2;
    for (std::uint32_t s = 0; s < segments; ++s)
      adopted.bases.push_back(memory.data() + s * 2 * kBlock / segments);
    return adopted;
  };
  auto from = AdoptedTier::open("near", layout(near, 2), kBlock, 0, nullptr);
  auto to = AdoptedTier::open("far", layout(far, 3), kBlock, 0, nullptr);
  ASSERT_TRUE(from.ok() && to.ok());
  ASSERT_TRUE(fill_slot(**from, Slot(1), 42));
  HostLink link(**from, **to);
  std::array<Copy, 1> copies;
  copies[0].from = Slot(1);
  copies[0].to = Slot(0);
  ASSERT_EQ(link.submit(copies), 1U);
  std::array<Completion, 1> done;
  ASSERT_EQ(link.poll(done), 1U);
  const auto bytes = pattern(42, kBlock);
  EXPECT_EQ(done[0].checksum, crc32c(bytes.data(), bytes.size()));
  EXPECT_TRUE(slot_holds(**to, Slot(0), 42));
}

TEST(HostLinkFactory, JoinsTiersInHostMemoryAlone) {
  const auto near = open_dram("near", 4096, 2);
  const auto far = open_dram("far", 4096, 2);
  const FileTier file;
  std::string why;
  const auto joined = kHostLink.connect({*near, *far, {}, true}, &why);
  ASSERT_TRUE(joined.ok());
  ASSERT_NE(*joined, nullptr);
  EXPECT_EQ((*joined)->info().name, "near>far");
  EXPECT_EQ((*joined)->info().wake_fd, -1);
  const auto to_file = kHostLink.connect({*near, file, {}, true}, &why);
  ASSERT_TRUE(to_file.ok());
  EXPECT_EQ(*to_file, nullptr);
  const auto from_file = kHostLink.connect({file, *near, {}, true}, &why);
  ASSERT_TRUE(from_file.ok());
  EXPECT_EQ(*from_file, nullptr);
}

TEST(HostLinkFactory, DoesNotJoinBlocksOfDifferentSize) {
  const auto near = open_dram("near", 4096, 2);
  const auto far = open_dram("far", 8192, 2);
  std::string why;
  const auto link = kHostLink.connect({*near, *far, {}, true}, &why);
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(*link, nullptr);
}

}  // namespace
}  // namespace kelvin
