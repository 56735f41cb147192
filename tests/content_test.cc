// Content of blocks: fixed for ever, the same by every instruction set, and nothing wrong passes the check.
#include "cli/content.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace kelvin::cli {
namespace {

constexpr BlockKey kKey{0x0123456789ABCDEFULL, 0xFEDCBA9876543210ULL};

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// The definition, written down once more, word by word.
std::vector<std::byte> expected(const BlockKey& key, std::size_t bytes) {
  std::vector<std::uint64_t> words((bytes + 15) / 16 * 2);
  for (std::size_t i = 0; i < words.size() / 2; ++i) {
    words[2 * i] = mix(key.hi) + i * 0x9E3779B97F4A7C15ULL;
    words[2 * i + 1] = mix(key.lo ^ 0x6A09E667F3BCC909ULL) + i * 0xD1B54A32D192ED03ULL;
  }
  std::vector<std::byte> block(bytes);
  if (bytes > 0) std::memcpy(block.data(), words.data(), bytes);
  return block;
}

std::vector<std::byte> filled(const BlockKey& key, std::size_t bytes) {
  std::vector<std::byte> block(bytes);
  fill_content(key, block);
  return block;
}

TEST(Content, EveryInstructionSetWritesTheDefinitionAtEverySize) {
  for (const ContentRoutines& routines : content_routines()) {
    for (const std::size_t bytes : {0U, 1U, 7U, 8U, 16U, 100U, 255U, 256U, 257U, 512U, 4096U, 65536U}) {
      std::vector<std::byte> block(bytes + 1, std::byte{0x5A});
      routines.fill(kKey, block.data(), bytes);
      EXPECT_EQ(block.back(), std::byte{0x5A}) << routines.name << " wrote beyond " << bytes;
      block.pop_back();
      EXPECT_EQ(block, expected(kKey, bytes)) << routines.name << ' ' << bytes;
      EXPECT_TRUE(routines.check(kKey, block.data(), bytes)) << routines.name << ' ' << bytes;
    }
  }
}

TEST(Content, EveryFlippedBitIsCaughtByEveryInstructionSet) {
  for (const ContentRoutines& routines : content_routines()) {
    for (const std::size_t bytes : {512U, 777U}) {
      auto block = expected(kKey, bytes);
      for (std::size_t bit = 0; bit < bytes * 8; ++bit) {
        block[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ASSERT_FALSE(routines.check(kKey, block.data(), bytes)) << routines.name << " missed bit " << bit;
        block[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      }
      ASSERT_TRUE(routines.check(kKey, block.data(), bytes));
    }
  }
}

TEST(Content, AFlippedBitAnywhereInALargeBlockIsCaught) {
  auto block = filled(kKey, 65536);
  for (std::size_t at = 0; at < block.size(); at += 61) {
    block[at] ^= std::byte{0x40};
    ASSERT_FALSE(check_content(kKey, block)) << at;
    block[at] ^= std::byte{0x40};
  }
  EXPECT_TRUE(check_content(kKey, block));
}

TEST(Content, AnotherKeysBlockIsCaughtHoweverLittleTheKeysDiffer) {
  const auto block = filled(kKey, 4096);
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_FALSE(check_content({kKey.hi ^ (std::uint64_t{1} << bit), kKey.lo}, block));
    EXPECT_FALSE(check_content({kKey.hi, kKey.lo ^ (std::uint64_t{1} << bit)}, block));
  }
  EXPECT_FALSE(check_content({kKey.lo, kKey.hi}, block));
  EXPECT_FALSE(check_content({}, block));
}

TEST(Content, APieceOfAnotherBlockIsCaughtWhereverItLies) {
  const auto other = filled({kKey.hi, kKey.lo + 1}, 4096);
  for (std::size_t at = 0; at + 16 <= other.size(); at += 16) {
    auto block = filled(kKey, 4096);
    std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(at), 16,
                block.begin() + static_cast<std::ptrdiff_t>(at));
    ASSERT_FALSE(check_content(kKey, block)) << at;
  }
}

TEST(Content, ItsOwnBytesAtAnotherPlaceAreCaught) {
  auto block = filled(kKey, 8192);
  std::rotate(block.begin(), block.begin() + 512, block.end());
  EXPECT_FALSE(check_content(kKey, block));
}

TEST(Content, AnEmptyOrUnwrittenBlockIsCaught) {
  EXPECT_FALSE(check_content(kKey, std::vector<std::byte>(4096)));
  EXPECT_FALSE(check_content({}, std::vector<std::byte>(4096)));
  EXPECT_FALSE(check_content(kKey, std::vector<std::byte>(4096, std::byte{0xFF})));
}

}  // namespace
}  // namespace kelvin::cli
