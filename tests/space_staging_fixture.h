// What the tests of spaces whose tiers no link joins share: one tier next to a drive.
//
// Thread contract: one test, one thread, beside the space's own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "faulty_link.h"
#include "nvme_fixture.h"
#include "space_fixture.h"

namespace kelvin::testing {

inline constexpr std::uint32_t kSlots = 32;

// The parameter: mover.threads. A fake tier is nowhere aligned as O_DIRECT asks, so a drive has no link with
// it.
class SpaceStaging : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    ASSERT_FALSE(directory_.path().empty());
    std::string why;
    const auto medium = nvme::FileMedium::open({.path = directory_.file("probe")}, &why);
    if (!medium.ok()) GTEST_SKIP() << why;
  }
  TierConfig drive(const std::string& name) const {
    TierConfig tier = tier_of(name, "nvme", 0, {{"path", directory_.file(name)}});
    tier.capacity_bytes = nvme::kDataAlignment + 2 * kSlots * kBlockBytes;
    return tier;
  }
  Config config(std::vector<TierConfig> tiers) const {
    Config config = config_of(std::move(tiers), GetParam());
    config.mover.staging_bytes = 4 * kBlockBytes;
    return config;
  }
  void open(const Config& config) {
    space_.reset();
    space_ = open_space(config, faults_.parts());
    ASSERT_NE(space_, nullptr);
  }
  std::vector<std::string> links() const {
    std::vector<std::string> names;
    for (const LinkStats& link : space_->stats().links) names.push_back(link.name);
    std::ranges::sort(names);
    return names;
  }

  // Other bytes than were written, on the drive.
  static void rot(const Lease& lease, std::size_t i) {
    const Address at = lease.address(i);
    const auto bytes = aligned_buffer(kBlockBytes);
    std::fill_n(bytes.get(), kBlockBytes, std::byte{0x5A});
    const auto written = ::pwrite(at.device, bytes.get(), kBlockBytes, static_cast<off_t>(at.offset));
    ASSERT_EQ(written, static_cast<ssize_t>(kBlockBytes));
  }

  nvme::ScratchDirectory directory_;
  Faults faults_;
  std::unique_ptr<Space> space_;
  const std::vector<BlockKey> chain_ = chain_of(1, kSlots);
};

}  // namespace kelvin::testing
