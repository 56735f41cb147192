// Keys: golden vectors of docs/formats.md, and what a chain of hashes must keep.
#include "kelvin/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kelvin {
namespace {

using Tokens = std::vector<std::uint32_t>;

// The golden vectors were computed by another implementation of XXH3 from the bytes that docs/formats.md
// names: they hold whatever this library, its compiler or its machine.
const Layout kUnnamed = make_layout("unnamed", 2u << 20, 512);
const Layout kLlama = make_layout("llama-3.1-8b/bf16/tp1", 65536, 16);

Tokens scrambled(std::size_t count) {
  Tokens tokens(count);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = static_cast<std::uint32_t>(i * 2654435761u);
  return tokens;
}

std::vector<BlockKey> chain(const Tokens& tokens, std::uint32_t block_tokens, std::string_view salt,
                            Layout layout) {
  std::vector<BlockKey> keys(tokens.size());
  keys.resize(hash_chain(tokens, block_tokens, salt, layout, keys));
  return keys;
}

TEST(Hash, LayoutsAreThoseOfTheFormat) {
  EXPECT_EQ(kUnnamed.fingerprint, 0x455de387ba96a02cu);
  EXPECT_EQ(kLlama.fingerprint, 0x7667ce7e7b6db19au);
  EXPECT_EQ(make_layout("", 0, 0).fingerprint, 0x3d374e279bbbf60eu);
}

TEST(Hash, RootsAreThoseOfTheFormat) {
  std::string long_salt;
  for (int i = 0; i < 512; ++i) long_salt.push_back(static_cast<char>(i % 256));
  EXPECT_EQ(root_key("", kUnnamed), (BlockKey{.hi = 0x5358acb0d8344b27, .lo = 0x738c1fe6e61d8664}));
  EXPECT_EQ(root_key("tenant-a", kUnnamed), (BlockKey{.hi = 0x62a0191200fc8b78, .lo = 0x5999af5b903836ec}));
  EXPECT_EQ(root_key("tenant-a", kLlama), (BlockKey{.hi = 0xe06e242d5d0c0239, .lo = 0x69fd4ab0156b56f8}));
  EXPECT_EQ(root_key(long_salt, kLlama), (BlockKey{.hi = 0x773cd43381647646, .lo = 0x69ef9a3be5cdbd39}));
}

TEST(Hash, KeysOfBlocksOfAnySizeAreThoseOfTheFormat) {
  const BlockKey root = root_key("", kUnnamed);
  EXPECT_EQ(chain_key(root, {}), (BlockKey{.hi = 0x702a7070032f0f39, .lo = 0x23f28346efb9d073}));
  EXPECT_EQ(chain_key(root, Tokens{1}), (BlockKey{.hi = 0x5bf6c53fbe491db9, .lo = 0x2a62c15a60231332}));
  EXPECT_EQ(chain_key(root, Tokens{1, 2, 3, 0xFFFFFFFF}),
            (BlockKey{.hi = 0x6182361646afa670, .lo = 0xa655daf6033fec60}));
  const std::array<std::pair<std::size_t, BlockKey>, 5> golden = {{
      {16, {.hi = 0x66534b1fedd571b0, .lo = 0xe850e9fec4c408c4}},
      {512, {.hi = 0x6a364d5fdaae3a81, .lo = 0x85eef6d1dc7a5305}},
      {1024, {.hi = 0xa82f29599ae52d4a, .lo = 0x6aa6ac8f07f924f6}},
      {1025, {.hi = 0x5a1e215ea321ed74, .lo = 0x691f19dc4530e643}},
      {5000, {.hi = 0x3038ba1b4284683c, .lo = 0x7b7a720037fceb2b}},
  }};
  for (const auto& [count, key] : golden) EXPECT_EQ(chain_key(root, scrambled(count)), key) << count;
}

TEST(Hash, AChainIsThatOfTheFormat) {
  Tokens tokens(600);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::uint32_t>(i * 7 + 1);
  const std::vector<BlockKey> keys = chain(tokens, 16, "tenant-a", kLlama);
  ASSERT_EQ(keys.size(), 37u);
  EXPECT_EQ(keys[0], (BlockKey{.hi = 0x88cb22f78201aa5c, .lo = 0x290fda1705320b2b}));
  EXPECT_EQ(keys[1], (BlockKey{.hi = 0xe533b374d9b5c809, .lo = 0x85a128df702b1d03}));
  EXPECT_EQ(keys[36], (BlockKey{.hi = 0xc6cdf0a3367c5044, .lo = 0x9272fbf808403818}));
}

TEST(Hash, AChainIsItsKeysChainedByHand) {
  const Tokens tokens = scrambled(64);
  const std::vector<BlockKey> keys = chain(tokens, 16, "salt", kLlama);
  ASSERT_EQ(keys.size(), 4u);
  BlockKey parent = root_key("salt", kLlama);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    parent = chain_key(parent, std::span(tokens).subspan(i * 16, 16));
    EXPECT_EQ(keys[i], parent);
  }
}

TEST(Hash, PromptsShareKeysAsFarAsTheyShareTokensAndNoFurther) {
  const Tokens one = scrambled(160);
  Tokens other = one;
  other[83] ^= 1;  // in block 5
  const std::vector<BlockKey> a = chain(one, 16, "", kLlama);
  const std::vector<BlockKey> b = chain(other, 16, "", kLlama);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i] == b[i], i < 5) << i;
}

TEST(Hash, EqualTokensAtDifferentDepthsHaveDifferentKeys) {
  const std::vector<BlockKey> keys = chain(Tokens(1600, 42), 16, "", kLlama);
  EXPECT_EQ(std::set<BlockKey>(keys.begin(), keys.end()).size(), 100u);
}

TEST(Hash, NoSaltOrLayoutEverSharesAKeyWithAnother) {
  const Tokens tokens = scrambled(160);
  std::set<BlockKey> all;
  std::size_t count = 0;
  for (const char* salt : {"", "a", "b", "aa", "tenant", "tenan", "tenants"}) {
    for (const Layout layout :
         {make_layout("m", 65536, 16), make_layout("m", 65536, 32), make_layout("m", 131072, 16),
          make_layout("n", 65536, 16), make_layout("", 65536, 16)}) {
      for (const BlockKey& key : chain(tokens, 16, salt, layout)) all.insert(key);
      all.insert(root_key(salt, layout));
      count += 11;
    }
  }
  EXPECT_EQ(all.size(), count);
}

TEST(Hash, TenantsHaveIdsThatAreNeverZero) {
  EXPECT_EQ(tenant_id("tenant-a"), 0x635c5bebe6e5f781U);
  EXPECT_EQ(tenant_id(""), 0x2d06800538d394c2U);
  EXPECT_EQ(tenant_id(std::string_view()), tenant_id(""));
}

TEST(Hash, AnEmptySaltMayHaveNoAddress) {
  EXPECT_EQ(root_key(std::string_view(), kUnnamed), root_key("", kUnnamed));
}

TEST(Hash, ALastPartialBlockGetsNoKey) {
  EXPECT_TRUE(chain(scrambled(15), 16, "", kLlama).empty());
  EXPECT_EQ(chain(scrambled(31), 16, "", kLlama), chain(scrambled(16), 16, "", kLlama));
}

TEST(Hash, WritesNoMoreKeysThanThereIsRoomFor) {
  const Tokens tokens = scrambled(64);
  std::array<BlockKey, 3> out{};
  EXPECT_EQ(hash_chain(tokens, 16, "", kLlama, std::span(out).first(2)), 2u);
  EXPECT_EQ(out[2], BlockKey{});
  EXPECT_EQ(hash_chain(tokens, 16, "", kLlama, {}), 0u);
}

TEST(Hash, BlocksOfNoTokensHaveNoKeys) {
  std::array<BlockKey, 1> out{};
  EXPECT_EQ(hash_chain(scrambled(64), 0, "", kLlama, out), 0u);
  EXPECT_EQ(hash_chain({}, 16, "", kLlama, out), 0u);
}

TEST(Hash, OneBlockMayHoldHundredsOfThousandsOfTokens) {
  const Tokens tokens = scrambled(300'000);
  const std::vector<BlockKey> keys = chain(tokens, 300'000, "", kLlama);
  ASSERT_EQ(keys.size(), 1u);
  Tokens changed = tokens;
  changed.back() ^= 1;
  EXPECT_NE(chain(changed, 300'000, "", kLlama)[0], keys[0]);
}

}  // namespace
}  // namespace kelvin
