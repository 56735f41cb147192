// crc32c by slicing tables, for any CPU of any byte order; copies by memcpy.
//
// Thread contract: pure functions; any thread.
#include <algorithm>
#include <cstring>

#include "checksum/kernels.h"
#include "checksum/polynomial.h"

namespace kelvin::crc {
namespace {

constexpr SlicingTables kTables = slicing_tables();

std::uint32_t load_le32(const unsigned char* p) noexcept {
  return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 |
         std::uint32_t{p[3]} << 24;
}

std::uint32_t portable_crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint32_t state = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    const std::uint32_t a = load_le32(p) ^ state;
    const std::uint32_t b = load_le32(p + 4);
    state = kTables[7][a & 0xFFU] ^ kTables[6][a >> 8 & 0xFFU] ^ kTables[5][a >> 16 & 0xFFU] ^
            kTables[4][a >> 24] ^ kTables[3][b & 0xFFU] ^ kTables[2][b >> 8 & 0xFFU] ^
            kTables[1][b >> 16 & 0xFFU] ^ kTables[0][b >> 24];
  }
  for (; bytes > 0; --bytes, ++p) state = (state >> 8) ^ kTables[0][(state ^ *p) & 0xFFU];
  return ~state;
}

void portable_copy(void* to, const void* from, std::size_t bytes) noexcept {
  if (bytes > 0) std::memcpy(to, from, bytes);  // null pointers are allowed for no bytes
}

std::uint32_t portable_copy_crc32c(void* to, const void* from, std::size_t bytes,
                                   std::uint32_t crc) noexcept {
  constexpr std::size_t kPiece = 8192;  // still in the first-level cache when it is summed
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  while (bytes > 0) {
    const std::size_t n = std::min(bytes, kPiece);
    std::memcpy(out, in, n);
    crc = portable_crc32c(in, n, crc);
    out += n, in += n, bytes -= n;
  }
  return crc;
}

bool always() noexcept { return true; }

}  // namespace

constinit const Kernel kPortableKernel = {"portable", always, portable_crc32c, portable_copy_crc32c,
                                          portable_copy};

}  // namespace kelvin::crc
