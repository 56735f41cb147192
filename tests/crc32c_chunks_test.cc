// crc_chunks.h: chunks taken one by one, carried and added, against crc32c of the whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "checksum/crc32c.h"
#include "checksum/polynomial.h"
#include "tiers/hbm/cuda/crc_chunks.h"

namespace kelvin::hbm {
namespace {

constexpr CrcSlices kSlices = make_crc_slices();
constexpr CrcCarries kCarries = make_crc_carries();

std::vector<std::byte> random_bytes(std::size_t count, std::mt19937& random) {
  std::vector<std::byte> bytes(count);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

// The crc of `bytes`, cut at these places and added up in this order of the pieces.
std::uint32_t in_chunks(const std::vector<std::byte>& bytes, const std::vector<std::size_t>& cuts) {
  std::uint32_t sum = 0;
  for (std::size_t i = cuts.size(); i-- > 0;) {
    const std::size_t first = i == 0 ? 0 : cuts[i - 1];
    const std::uint32_t part = crc_of_chunk(kSlices, bytes.data() + first, cuts[i] - first);
    sum ^= crc_carried(kCarries, part, bytes.size() - cuts[i]);
  }
  return sum ^ crc_inversions(kCarries, bytes.size());
}

TEST(Crc32cChunks, TablesAreThoseOfTheHost) {
  static_assert(kCrcPolynomial == crc::kPolynomial);
  constexpr auto kTables = crc::slicing_tables();
  for (std::size_t k = 0; k < kTables.size(); ++k) {
    EXPECT_TRUE(std::ranges::equal(kTables[k], kSlices.of[k])) << k;
  }
}

TEST(Crc32cChunks, CarriesArePowersOfX) {
  for (const std::uint64_t bytes : {0U, 1U, 15U, 16U, 17U, 255U, 4096U}) {
    EXPECT_EQ(crc_carried(kCarries, 0x80000000U, bytes), crc::x_to_the(8 * bytes)) << bytes;
  }
  EXPECT_EQ(crc_multiply(crc::x_to_the(100), crc::x_to_the(77)), crc::x_to_the(177));
  // Far carries go by the same digits: over a then b is over a + b.
  const std::uint64_t far = std::uint64_t{7} << 40 | 12345;
  const std::uint32_t once = crc_carried(kCarries, 0xDEADBEEFU, far);
  EXPECT_EQ(crc_carried(kCarries, crc_carried(kCarries, 0xDEADBEEFU, far - 99), 99), once);
}

TEST(Crc32cChunks, NoBytesHaveTheChecksumOfNoBytes) {
  EXPECT_EQ(crc_inversions(kCarries, 0), crc32c(nullptr, 0));
}

TEST(Crc32cChunks, AnyCutGivesTheChecksumOfTheWhole) {
  const unsigned seed = 20261128;
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    const auto bytes = random_bytes(random() % 20000, random);
    std::vector<std::size_t> cuts(random() % 30);
    for (std::size_t& cut : cuts) cut = random() % (bytes.size() + 1);
    cuts.push_back(bytes.size());
    std::ranges::sort(cuts);
    ASSERT_EQ(in_chunks(bytes, cuts), crc32c(bytes.data(), bytes.size())) << "seed " << seed << ", " << round;
  }
}

TEST(Crc32cChunks, UnalignedChunksAreTheSame) {
  std::mt19937 random(1);
  const auto bytes = random_bytes(4096, random);
  for (std::size_t first = 0; first < 33; ++first) {
    const std::size_t count = 2048 + first;
    const std::uint32_t sum =
        crc_of_chunk(kSlices, bytes.data() + first, count) ^ crc_inversions(kCarries, count);
    EXPECT_EQ(sum, crc32c(bytes.data() + first, count)) << first;
  }
}

}  // namespace
}  // namespace kelvin::hbm
