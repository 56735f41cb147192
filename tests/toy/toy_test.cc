// The toy tier, link and policy of docs/adding.md, registered as that page says, in a space.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "kelvin/kelvin.h"
#include "registry.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kBlockBytes = 16 << 10;
constexpr std::string_view kConfig = R"(
[space]
block_bytes  = "16KiB"
block_tokens = 1
model        = "toy"

[[tier]]
name     = "dram"
kind     = "dram"
capacity = "128KiB"   # 8 blocks

[[tier]]
name     = "file"
kind     = "toy"
capacity = "1MiB"     # 64 blocks

[policy]
name = "toy"
)";

std::vector<BlockKey> prompt(const Space& space, std::uint32_t request, std::size_t blocks) {
  std::vector<std::uint32_t> tokens(blocks, request);
  std::vector<BlockKey> keys(blocks);
  hash_chain(tokens, 1, "", space.layout(), keys);
  return keys;
}

void compute(Space& space, const std::vector<BlockKey>& keys, std::uint32_t request) {
  AllocateOptions patient;
  patient.when_full = WhenFull::kWait;
  patient.timeout = std::chrono::seconds(10);
  auto fresh = space.allocate(static_cast<std::uint32_t>(keys.size()), TierIndex(0), patient);
  ASSERT_TRUE(fresh.ok()) << fresh.status().message();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    std::memset(fresh->address(i).pointer, static_cast<int>(request), kBlockBytes);
  }
  ASSERT_TRUE(space.publish(*fresh, keys, 0).ok());
  ASSERT_TRUE(fresh->release().ok());
}

TEST(ToyTest, IsKnownToTheRegistryByName) {
  ASSERT_NE(find_tier_factory("toy"), nullptr);
  ASSERT_NE(find_policy_factory("toy"), nullptr);
  EXPECT_NE(find_tier_factory("dram"), nullptr);
}

TEST(ToyTest, BlocksThatLeaveDramComeBackFromTheToyTierByteForByte) {
  std::string why;
  const auto config = parse_config(kConfig, "toy.toml", &why);
  ASSERT_TRUE(config.ok()) << why;
  auto space = Space::open(*config, &why);
  ASSERT_TRUE(space.ok()) << why;

  for (std::uint32_t request = 1; request <= 8; ++request) {
    compute(**space, prompt(**space, request, 4), request);
  }
  for (std::uint32_t request = 1; request <= 8; ++request) {
    const auto keys = prompt(**space, request, 4);
    auto ticket = (*space)->acquire(keys, TierIndex(0));
    ASSERT_TRUE(ticket.ok()) << ticket.status().message();
    ASSERT_TRUE(ticket->wait(std::chrono::seconds(10)).ok()) << ticket->status().message();
    Lease lease = ticket->take();
    ASSERT_EQ(lease.size(), 4U) << "request " << request;
    for (std::size_t i = 0; i < lease.size(); ++i) {
      const std::byte* bytes = lease.address(i).pointer;
      EXPECT_EQ(std::set<std::byte>(bytes, bytes + kBlockBytes), std::set{static_cast<std::byte>(request)});
    }
    ASSERT_TRUE(lease.release().ok());
  }
  EXPECT_GE((*space)->stats().tiers[1].hits, 24U);  // DRAM holds 8 of the 32
}

TEST(ToyTest, AFolderThatIsNotThereIsNamedInTheMessage) {
  std::string why;
  auto config = parse_config(kConfig, "toy.toml", &why);
  ASSERT_TRUE(config.ok()) << why;
  config->tiers[1].options = {{.name = "folder", .value = "/nowhere/at/all"}};
  EXPECT_FALSE(Space::open(*config, &why).ok());
  EXPECT_NE(why.find("/nowhere/at/all"), std::string::npos) << why;
}

}  // namespace
}  // namespace kelvin
