// Several devices in one tier: blocks lie by turns on all of them, and the devices stay together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "nvme_fixture.h"
#include "space_fixture.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/stripe.h"

namespace kelvin::nvme {
namespace {

using testing::acquire_blocks;
using testing::blocks_are;
using testing::chain_of;
using testing::kBlockBytes;
using testing::kFar;
using testing::store_blocks;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

class NvmeStripe : public ::testing::Test {
 protected:
  std::string path(int i) const { return directory_.file("blocks" + std::to_string(i)); }
  std::vector<std::string> paths(std::initializer_list<int> numbers) const {
    std::vector<std::string> list;
    list.reserve(numbers.size());
    for (const int i : numbers) list.push_back(path(i));
    return list;
  }
  Result<std::unique_ptr<Tier>> open(const std::vector<std::string>& list,
                                     std::uint64_t capacity = 24 * kMiB) {
    TierConfig tier;
    tier.name = "drives";
    tier.kind = "nvme";
    tier.capacity_bytes = capacity;
    std::string joined;
    for (const std::string& one : list) joined += (joined.empty() ? "" : "\n") + one;
    tier.options = {{"path", joined}, {"direct", "auto"}};
    SpaceConfig space;
    space.block_bytes = 64 * kKiB;
    why_.clear();
    auto options = Options::bind(kNvmeTier.options, tier.options, "tier 'drives'", &why_);
    if (!options.ok()) return options.status();
    return kNvmeTier.open({.space = space, .tier = tier}, *options, &why_);
  }
  Code refusal(const std::vector<std::string>& list) {
    std::vector<std::string> before;
    before.reserve(list.size());
    for (const std::string& one : list) before.push_back(head_of(one));
    const Code code = open(list).status().code();
    for (std::size_t i = 0; i < list.size(); ++i) {
      EXPECT_TRUE(head_of(list[i]) == before[i]) << list[i] << " was changed";
    }
    return code;
  }
  static void put_record(const std::string& file) {
    std::string why;
    auto medium = FileMedium::open({.path = file, .require_direct = false}, &why);
    ASSERT_TRUE(medium.ok()) << why;
    const auto volume = Volume::inspect(std::move(medium).value(), &why);
    ASSERT_TRUE(volume.ok()) << why;
    (*volume)->table()->put(3, Copy{}, 0);
    ASSERT_TRUE((*volume)->write_table().ok());
  }
  static std::string head_of(const std::string& file) {
    std::string bytes(2 * kMiB, '\0');
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const ssize_t n = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }

  ScratchDirectory directory_;
  std::string why_;
};

TEST_F(NvmeStripe, TheCapacityIsDividedEvenly) {
  const auto tier = open(paths({1, 2, 3}));
  ASSERT_TRUE(tier.ok()) << why_;
  const NvmeTier* nvme = NvmeTier::of(**tier);
  ASSERT_EQ(nvme->volume_count(), 3u);
  EXPECT_EQ((*tier)->info().slots, 3u * 96u) << "8 MiB each, 2 of them for itself";
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(nvme->volume(i).medium().info().path, path(static_cast<int>(i) + 1));
    EXPECT_EQ(nvme->volume(i).medium().info().bytes, 8 * kMiB);
    EXPECT_EQ(nvme->volume(i).superblock().member, i);
    EXPECT_EQ(nvme->volume(i).superblock().members, 3u);
    EXPECT_EQ(nvme->volume(i).superblock().set, nvme->volume(0).superblock().set);
  }
  EXPECT_NE(nvme->volume(0).superblock().uuid, nvme->volume(1).superblock().uuid);
}

TEST_F(NvmeStripe, EachSlotHasItsPlaceAndNoOtherHasIt) {
  const auto tier = open(paths({1, 2, 3}));
  ASSERT_TRUE(tier.ok()) << why_;
  std::set<std::pair<int, std::uint64_t>> places;
  for (std::uint32_t s = 0; s < (*tier)->info().slots; ++s) {
    const Address at = (*tier)->address(Slot(s), 0);
    EXPECT_EQ(at.device, NvmeTier::of(**tier)->volume(s % 3).medium().info().fd);
    EXPECT_TRUE(places.emplace(at.device, at.offset).second);
  }
}

TEST_F(NvmeStripe, TheSameDevicesInTheSameOrderAreTakenAgain) {
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  EXPECT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
}

TEST_F(NvmeStripe, AnotherOrderIsRefusedAndTheRightOneNamed) {
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  EXPECT_EQ(refusal(paths({1, 3, 2})), Code::kInvalid);
  EXPECT_THAT(why_,
              AllOf(HasSubstr(path(3) + ": is number 3 of its tier, and named as number 2"),
                    HasSubstr("path = [\"" + path(1) + "\", \"" + path(2) + "\", \"" + path(3) + "\"]")));
}

TEST_F(NvmeStripe, AMissingDeviceIsRefusedAndNamed) {
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  EXPECT_EQ(refusal(paths({1, 3})), Code::kInvalid);
  EXPECT_THAT(why_, AllOf(HasSubstr("3 devices"), HasSubstr("without number 2")));
  EXPECT_EQ(refusal(paths({2})), Code::kInvalid);
  EXPECT_THAT(why_, AllOf(HasSubstr("number 2 of 3"), HasSubstr("without number 1, number 3")));
}

TEST_F(NvmeStripe, ADeviceOfAnotherTierIsRefusedAndNamed) {
  ASSERT_TRUE(open(paths({1, 2})).ok()) << why_;
  ASSERT_TRUE(open(paths({3, 4})).ok()) << why_;
  EXPECT_EQ(refusal(paths({1, 4})), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr(path(4) + ": belongs to another tier than " + path(1)));
}

TEST_F(NvmeStripe, ABlankDeviceAmongThoseWithBlocksIsRefusedAndNamed) {
  ASSERT_TRUE(open(paths({1, 2})).ok()) << why_;
  put_record(path(1));
  std::filesystem::remove(path(2));
  EXPECT_EQ(refusal(paths({1, 2})), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr(path(2) + ": holds no blocks, though " + path(1) + " does"));
  EXPECT_EQ(refusal(paths({1, 2, 5})), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr(path(2) + ", " + path(5) + ": holds no blocks"));
}

TEST_F(NvmeStripe, ABlankDeviceBehindThoseThatNeverHeldABlockIsMadeOneOfThem) {
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  std::filesystem::remove(path(3));
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  std::filesystem::remove(path(1));
  EXPECT_EQ(refusal(paths({1, 2, 3})), Code::kInvalid) << "so does no format end that was cut off";
}

TEST_F(NvmeStripe, ACopyOfADeviceIsNotTakenForAnother) {
  ASSERT_TRUE(open(paths({1, 2})).ok()) << why_;
  std::filesystem::copy_file(path(1), path(3));
  EXPECT_EQ(refusal(paths({1, 3})), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr(path(3) + ": is a copy of " + path(1)));
}

TEST_F(NvmeStripe, ADeviceNamedTwiceIsRefused) {
  EXPECT_EQ(open({path(1), directory_.path() + "/./blocks1"}).status().code(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("named twice"));
}

TEST_F(NvmeStripe, AnotherCapacityIsRefusedAndTheWholeOneNamed) {
  ASSERT_TRUE(open(paths({1, 2, 3})).ok()) << why_;
  EXPECT_EQ(open(paths({1, 2, 3}), 12 * kMiB).status().code(), Code::kInvalid);
  EXPECT_THAT(why_, HasSubstr("capacity = \"25165824B\""));
}

TEST_F(NvmeStripe, BlocksOnAllOfThemAreFoundAgain) {
  const auto chain = chain_of(1, 30);
  Config config =
      testing::config_of({testing::tier_of("dram", "dram", 32), testing::tier_of("drives", "nvme", 0)});
  config.tiers[1].options = {{"path", path(1) + "\n" + path(2) + "\n" + path(3)}, {"direct", "auto"}};
  config.tiers[1].capacity_bytes = 3 * (kDataAlignment + 16 * kBlockBytes);
  auto space = testing::open_space(config);
  ASSERT_NE(space, nullptr);
  EXPECT_EQ(space->tier_info(kFar)->slots, 48u);
  store_blocks(*space, chain);
  ASSERT_EQ(acquire_blocks(*space, chain, kFar).size(), 30u);
  ASSERT_TRUE(space->settle(10s).ok());
  space.reset();
  space = testing::open_space(config);
  ASSERT_NE(space, nullptr);
  EXPECT_EQ(space->stats().tiers[1].recovered, 30u);
  const Lease lease = acquire_blocks(*space, chain);
  EXPECT_EQ(lease.size(), 30u);
  EXPECT_TRUE(blocks_are(lease, chain));
}

}  // namespace
}  // namespace kelvin::nvme
