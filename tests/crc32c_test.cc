// crc32c.h: every kernel this CPU can run against a bitwise reference.
#include "checksum/crc32c.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "checksum/kernels.h"

namespace kelvin {
namespace {

using Bytes = std::vector<unsigned char>;

// crc32c by its definition, one bit at a time.
std::uint32_t reference(const unsigned char* data, std::size_t bytes, std::uint32_t crc) {
  std::uint32_t state = ~crc;
  for (std::size_t i = 0; i < bytes; ++i) {
    state ^= data[i];
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1U) != 0 ? 0x82F63B78U : 0U);
  }
  return ~state;
}

Bytes random_bytes(std::size_t n, std::mt19937_64& random) {
  Bytes bytes(n);
  std::ranges::generate(bytes, [&] { return static_cast<unsigned char>(random()); });
  return bytes;
}

// Pages whose last byte is followed by memory that must not be touched.
class GuardedPages {
 public:
  explicit GuardedPages(std::size_t bytes) : bytes_(bytes) {
    void* raw = ::mmap(nullptr, bytes + kGuard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<unsigned char*>(raw);
    ::mprotect(base_ + bytes, kGuard, PROT_NONE);
  }
  ~GuardedPages() { ::munmap(base_, bytes_ + kGuard); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  unsigned char* end() const { return base_ + bytes_; }

 private:
  static constexpr std::size_t kGuard = 4096;
  std::size_t bytes_;
  unsigned char* base_ = nullptr;
};

class Crc32cKernel : public ::testing::TestWithParam<const crc::Kernel*> {
 protected:
  void SetUp() override {
    if (!kernel().supported()) GTEST_SKIP() << "this CPU cannot run the kernel " << kernel().name;
  }
  static const crc::Kernel& kernel() { return *GetParam(); }

  // Copies `n` bytes between the given misalignments; checks sum, bytes, and that nothing around them
  // changed.
  static void check_copy(std::size_t n, std::size_t from_offset, std::size_t to_offset,
                         std::mt19937_64& random) {
    constexpr std::size_t kMargin = 128;
    const Bytes source = random_bytes(from_offset + n, random);
    Bytes target(to_offset + n + 2 * kMargin, 0xA5);
    unsigned char* const to = target.data() + kMargin + to_offset;
    const auto seed = static_cast<std::uint32_t>(random());
    const std::uint32_t sum = kernel().copy_crc32c(to, source.data() + from_offset, n, seed);
    ASSERT_EQ(sum, reference(source.data() + from_offset, n, seed)) << n << " bytes";
    expect_exact(target, to, source.data() + from_offset, n);
    std::ranges::fill(target, static_cast<unsigned char>(0x5A));
    kernel().copy_stream(to, source.data() + from_offset, n);
    expect_exact(target, to, source.data() + from_offset, n);
  }

 private:
  static void expect_exact(const Bytes& target, const unsigned char* to, const unsigned char* from,
                           std::size_t n) {
    ASSERT_TRUE(std::equal(from, from + n, to)) << n << " bytes";
    const unsigned char margin = target.front();
    const auto is_margin = [margin](unsigned char b) { return b == margin; };
    ASSERT_TRUE(std::all_of(target.data(), to, is_margin)) << "wrote before its range";
    ASSERT_TRUE(std::all_of(to + n, target.data() + target.size(), is_margin)) << "wrote behind its range";
  }
};

TEST_P(Crc32cKernel, KnowsThePublishedVectors) {
  EXPECT_EQ(kernel().crc32c("123456789", 9, 0), 0xE3069283U);
  const Bytes zeros(32, 0x00);
  const Bytes ones(32, 0xFF);
  EXPECT_EQ(kernel().crc32c(zeros.data(), 32, 0), 0x8A9136AAU);
  EXPECT_EQ(kernel().crc32c(ones.data(), 32, 0), 0x62A8AB43U);
}

TEST_P(Crc32cKernel, SumsEveryShortLengthAtEveryOffset) {
  std::mt19937_64 random(1);
  const Bytes bytes = random_bytes(64 + 600, random);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (std::size_t n = 0; n <= 600; n += offset % 7 + 1) {
      ASSERT_EQ(kernel().crc32c(bytes.data() + offset, n, 0), reference(bytes.data() + offset, n, 0))
          << n << " bytes at offset " << offset;
    }
  }
}

TEST_P(Crc32cKernel, SumsRandomLongLengths) {
  std::mt19937_64 random(2);
  const Bytes bytes = random_bytes(64 + 40000, random);
  for (int i = 0; i < 200; ++i) {
    const std::size_t offset = random() % 64;
    const std::size_t n = random() % 40000;
    ASSERT_EQ(kernel().crc32c(bytes.data() + offset, n, 0), reference(bytes.data() + offset, n, 0))
        << n << " bytes at offset " << offset;
  }
}

TEST_P(Crc32cKernel, ContinuesFromAnEarlierSum) {
  std::mt19937_64 random(3);
  const Bytes bytes = random_bytes(20000, random);
  const std::uint32_t whole = reference(bytes.data(), bytes.size(), 0);
  for (int i = 0; i < 200; ++i) {
    const std::size_t cut = random() % bytes.size();
    const std::uint32_t first = kernel().crc32c(bytes.data(), cut, 0);
    ASSERT_EQ(kernel().crc32c(bytes.data() + cut, bytes.size() - cut, first), whole) << "cut at " << cut;
  }
}

TEST_P(Crc32cKernel, CopiesEveryShortLengthExactly) {
  std::mt19937_64 random(4);
  for (std::size_t n = 0; n <= 600; ++n) check_copy(n, random() % 64, random() % 64, random);
}

TEST_P(Crc32cKernel, CopiesAtEveryPairOfOffsets) {
  std::mt19937_64 random(5);
  for (std::size_t from = 0; from < 64; from += 3) {
    for (std::size_t to = 0; to < 64; ++to) check_copy(random() % 4400, from, to, random);
  }
}

TEST_P(Crc32cKernel, CopiesLongLengthsExactly) {
  std::mt19937_64 random(6);
  for (const std::size_t n : {4032U, 4033U, 8064U, 8065U, 12096U, 65536U, 65537U, 100003U}) {
    check_copy(n, 0, 0, random);
    check_copy(n, random() % 64, random() % 64, random);
  }
}

TEST_P(Crc32cKernel, StaysWithinItsRanges) {
  const GuardedPages source(5 * 4096);
  const GuardedPages target(5 * 4096);
  for (std::size_t n = 1; n <= 5 * 4096; n += n < 700 ? 1 : 61) {
    const unsigned char* from = source.end() - n;
    const std::uint32_t sum = kernel().crc32c(from, n, 0);
    ASSERT_EQ(kernel().copy_crc32c(target.end() - n, from, n, 0), sum);
    kernel().copy_stream(target.end() - n, from, n);
  }
}

TEST_P(Crc32cKernel, TakesNoBytesAtAll) {
  EXPECT_EQ(kernel().crc32c(nullptr, 0, 7), 7U);
  EXPECT_EQ(kernel().copy_crc32c(nullptr, nullptr, 0, 7), 7U);
  kernel().copy_stream(nullptr, nullptr, 0);
}

INSTANTIATE_TEST_SUITE_P(Every, Crc32cKernel,
                         ::testing::ValuesIn(crc::kernels().begin(), crc::kernels().end()),
                         [](const auto& instance) {
                           std::string name = instance.param->name;
                           std::erase_if(name, [](unsigned char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST(Crc32c, TheLastKernelRunsEverywhere) {
  ASSERT_FALSE(crc::kernels().empty());
  EXPECT_TRUE(crc::kernels().back()->supported());
}

TEST(Crc32c, TheBestSupportedKernelIsChosen) {
  const auto best =
      std::ranges::find_if(crc::kernels(), [](const auto* kernel) { return kernel->supported(); });
  EXPECT_STREQ(crc32c_kernel(), (*best)->name);
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283U);
  std::array<char, 9> copy{};
  EXPECT_EQ(copy_crc32c(copy.data(), "123456789", 9), 0xE3069283U);
  EXPECT_EQ(std::memcmp(copy.data(), "123456789", 9), 0);
  copy.fill(0);
  copy_stream(copy.data(), "123456789", 9);
  EXPECT_EQ(std::memcmp(copy.data(), "123456789", 9), 0);
}

}  // namespace
}  // namespace kelvin
