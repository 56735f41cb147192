// crc32c in chunks: each chunk is taken by itself, from any thread of a GPU or of the host, its part carried
// over the bytes behind it, and all parts added up. Adding is exclusive or, so their order does not matter.
//
// Thread contract: constant expressions and pure functions; compiles for the host and, by nvcc, for a GPU.
// Invariant: combined(parts) is crc32c (src/checksum) of the whole message, bit for bit, however it was cut.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define KELVIN_HOST_AND_DEVICE __host__ __device__
#else
#include <cstring>
#define KELVIN_HOST_AND_DEVICE
#endif

namespace kelvin::hbm {

// Castagnoli, reflected: the highest bit of a word is x^0; its x^32 is left out.
inline constexpr std::uint32_t kCrcPolynomial = 0x82F63B78U;

// v * x mod P.
KELVIN_HOST_AND_DEVICE constexpr std::uint32_t crc_times_x(std::uint32_t v) {
  return (v >> 1) ^ (kCrcPolynomial & (0U - (v & 1U)));
}

// a * b mod P.
KELVIN_HOST_AND_DEVICE constexpr std::uint32_t crc_multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (int power = 0; power < 32; ++power) {
    product ^= b & (0U - (a >> 31));
    a <<= 1;
    b = crc_times_x(b);
  }
  return product;
}

// over[d][v]: x^(8 * v * 16^d) mod P, the factor that carries a state over v * 16^d bytes of later message.
struct CrcCarries {
  std::uint32_t over[16][16] = {};
};
constexpr CrcCarries make_crc_carries() {
  CrcCarries carries;
  std::uint32_t one = 0x80000000U;  // x^0
  std::uint32_t unit = one;
  for (int bit = 0; bit < 8; ++bit) unit = crc_times_x(unit);
  for (auto& digit : carries.over) {
    digit[0] = one;
    for (int value = 1; value < 16; ++value) digit[value] = crc_multiply(digit[value - 1], unit);
    unit = crc_multiply(digit[15], unit);
  }
  return carries;
}

// of[k][b]: what byte b does to the state when k zero bytes follow it.
struct CrcSlices {
  std::uint32_t of[16][256] = {};
};
constexpr CrcSlices make_crc_slices() {
  CrcSlices slices;
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t v = b;
    for (int bit = 0; bit < 8; ++bit) v = crc_times_x(v);
    slices.of[0][b] = v;
  }
  for (int k = 1; k < 16; ++k) {
    for (int b = 0; b < 256; ++b) {
      const std::uint32_t before = slices.of[k - 1][b];
      slices.of[k][b] = (before >> 8) ^ slices.of[0][before & 0xFFU];
    }
  }
  return slices;
}

// The state after `bytes` zero bytes.
KELVIN_HOST_AND_DEVICE inline std::uint32_t crc_carried(const CrcCarries& carries, std::uint32_t state,
                                                        std::uint64_t bytes) {
  for (int digit = 0; bytes != 0; ++digit, bytes >>= 4) {
    if ((bytes & 15U) != 0) state = crc_multiply(carries.over[digit][bytes & 15U], state);
  }
  return state;
}

struct CrcWords {
  std::uint32_t at[4];
};

// 16 bytes; on a GPU they lie at a multiple of 16.
KELVIN_HOST_AND_DEVICE inline CrcWords crc_load(const std::byte* at) {
  CrcWords words;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
#if defined(__CUDA_ARCH__)
  const uint4 four = __ldg(reinterpret_cast<const uint4*>(at));
  words.at[0] = four.x;
  words.at[1] = four.y;
  words.at[2] = four.z;
  words.at[3] = four.w;
#elif defined(__CUDACC__)
  for (int i = 0; i < 4; ++i) words.at[i] = reinterpret_cast<const std::uint32_t*>(at)[i];
#else
  std::memcpy(&words, at, sizeof words);
#endif
  return words;
}

// The state after these bytes from state 0, without the inversions of crc32c: what combines by addition.
KELVIN_HOST_AND_DEVICE inline std::uint32_t crc_of_chunk(const CrcSlices& slices, const std::byte* data,
                                                         std::uint64_t bytes) {
  std::uint32_t state = 0;
  while (bytes > 0 && (reinterpret_cast<std::uintptr_t>(data) & 15U) != 0) {
    state = (state >> 8) ^ slices.of[0][(state ^ static_cast<std::uint32_t>(*data)) & 0xFFU];
    ++data, --bytes;
  }
  for (; bytes >= 16; bytes -= 16, data += 16) {
    CrcWords words = crc_load(data);
    words.at[0] ^= state;
    state = 0;
    for (int word = 0; word < 4; ++word) {
      for (int byte = 0; byte < 4; ++byte) {
        state ^= slices.of[15 - 4 * word - byte][(words.at[word] >> (8 * byte)) & 0xFFU];
      }
    }
  }
  for (; bytes > 0; ++data, --bytes) {
    state = (state >> 8) ^ slices.of[0][(state ^ static_cast<std::uint32_t>(*data)) & 0xFFU];
  }
  return state;
}

// What is to be added to the sum of all carried chunks of a message of so many bytes: the inversions of
// crc32c at its beginning and end.
KELVIN_HOST_AND_DEVICE inline std::uint32_t crc_inversions(const CrcCarries& carries, std::uint64_t bytes) {
  return crc_carried(carries, 0xFFFFFFFFU, bytes) ^ 0xFFFFFFFFU;
}

}  // namespace kelvin::hbm
