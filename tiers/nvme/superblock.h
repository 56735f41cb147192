// The first page of a block file: says that the file is ours, and for which geometry it was made.
//
// On the drive, little endian, at offset 0 (the rest of the page is zero; blocks start at kDataOffset):
//
//   offset  bytes  field
//        0      8  magic "KELVINBK"
//        8      4  version, 1
//       12      4  slots
//       16      8  block_bytes
//       24      8  stride_bytes     slot s is at kDataOffset + s * stride_bytes
//       32      8  written_bytes    all bytes of the file below this have been written once (see `prewrite`)
//       40      4  owner            process id of the last owner, for messages only
//       44      4  crc32c of bytes 0 .. 43
//
// Blocks are not found again after a restart: a file with this page is scratch, and may be overwritten.
//
// Thread contract: plain values and pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kelvin::nvme {

inline constexpr std::uint64_t kPageBytes = 4096;         // unit of O_DIRECT: offsets, lengths, addresses
inline constexpr std::uint64_t kDataOffset = 2ULL << 20;  // blocks stay aligned to huge pages and erase units
inline constexpr std::uint32_t kSuperblockVersion = 1;
inline constexpr std::array<char, 8> kSuperblockMagic = {'K', 'E', 'L', 'V', 'I', 'N', 'B', 'K'};

static_assert(std::endian::native == std::endian::little, "the page is written as it lies in memory");

struct alignas(kPageBytes) Superblock {
  std::array<char, 8> magic = kSuperblockMagic;
  std::uint32_t version = kSuperblockVersion;
  std::uint32_t slots = 0;
  std::uint64_t block_bytes = 0;
  std::uint64_t stride_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint32_t owner = 0;
  std::uint32_t checksum = 0;
  std::array<std::byte, kPageBytes - 48> unused{};
};

static_assert(sizeof(Superblock) == kPageBytes);
static_assert(offsetof(Superblock, checksum) == 44);

// The checksum its fields ask for.
std::uint32_t superblock_checksum(const Superblock& page) noexcept;

}  // namespace kelvin::nvme
