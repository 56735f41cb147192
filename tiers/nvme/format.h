// What lies on the medium, byte by byte: see docs/formats.md. Pure: nothing here does I/O.
//
//   0         superblock           4 KiB
//   1 MiB     superblock again
//   +4 KiB    slot table           64 bytes a slot, whole pages; none on a scratch medium
//   2 MiB x n slots                block_bytes each
//
// Thread contract: plain values and pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kelvin/block.h"
#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin::nvme {

inline constexpr std::uint64_t kPageBytes = 4096;  // unit of I/O: offsets, lengths, addresses
inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::array<std::uint64_t, 2> kSuperblockAt = {0, 1ULL << 20};
inline constexpr std::uint64_t kTableOffset = kSuperblockAt[1] + kPageBytes;
inline constexpr std::uint64_t kDataAlignment = 2ULL << 20;  // of huge pages and erase units
inline constexpr std::array<char, 8> kMagic = {'K', 'E', 'L', 'V', 'I', 'N', 'B', 'K'};

static_assert(std::endian::native == std::endian::little, "the medium is written as memory lies");

// How a medium is cut up.
struct Geometry {
  std::uint64_t block_bytes = 0;
  std::uint32_t slots = 0;
  bool scratch = false;  // without a slot table: blocks end with the process

  // As many slots as fit into `capacity_bytes`; none: 0.
  static Geometry fit(std::uint64_t capacity_bytes, std::uint64_t block_bytes, bool scratch) noexcept;

  std::uint64_t table_bytes() const noexcept;  // whole pages
  std::uint64_t data_offset() const noexcept;
  std::uint64_t offset(std::uint32_t slot) const noexcept { return data_offset() + slot * block_bytes; }
  std::uint64_t bytes() const noexcept { return offset(slots); }  // of the whole medium
};

using Uuid = std::array<std::uint8_t, 16>;

struct alignas(kPageBytes) Superblock {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kFormatVersion;
  std::uint32_t flags = 0;
  Uuid uuid{};               // of this format: another one every time
  Uuid set{};                // common to all media of a tier
  std::uint32_t member = 0;  // this one's place among them
  std::uint32_t members = 1;
  std::uint64_t epoch = 0;   // grows with each superblock written
  std::uint64_t layout = 0;  // fingerprint of the space's layout
  std::uint64_t block_bytes = 0;
  std::uint32_t block_tokens = 0;
  std::uint32_t slots = 0;
  std::uint64_t table_offset = 0;  // 0: scratch
  std::uint64_t data_offset = 0;
  std::uint32_t owner = 0;        // process id of the last owner: for messages, and how long to wait for it
  std::uint32_t checksum = 0;     // crc32c of all before and all behind it
  std::array<char, 128> model{};  // of the layout, for messages: UTF-8, cut off, zeros behind
  std::array<std::byte, kPageBytes - 240> unused{};

  static constexpr std::uint32_t kScratch = 1;
  static constexpr std::uint32_t kClean = 2;  // closed in order: no record waits to be written

  Geometry geometry() const noexcept { return {block_bytes, slots, (flags & kScratch) != 0}; }
};
static_assert(sizeof(Superblock) == kPageBytes);
static_assert(offsetof(Superblock, epoch) == 56 && offsetof(Superblock, checksum) == 108 &&
              offsetof(Superblock, model) == 112);

// The checksum that its other bytes ask for.
std::uint32_t superblock_checksum(const Superblock& page) noexcept;

// What a page that should be a superblock is.
enum class PageState : std::uint8_t { kBlank, kForeign, kDamaged, kOtherVersion, kGood };
PageState examine(const Superblock& page) noexcept;

// Of a good superblock: whether its fields agree with each other.
bool consistent(const Superblock& page) noexcept;

// One slot of the slot table. All zero: the slot holds nothing.
struct Record {
  BlockKey key;
  BlockKey parent;
  std::uint64_t layout = 0;
  std::uint64_t generation = 0;        // from 1 on; the medium's later ones are larger
  std::uint32_t length = 0;            // bytes of the block
  std::uint32_t payload_checksum = 0;  // crc32c of them
  std::uint32_t place = 0;             // bits 0-15 depth, bit 16 has_parent
  std::uint32_t checksum = 0;          // see record_checksum

  static constexpr std::uint32_t kHasParent = 1U << 16;
  bool empty() const noexcept;
};
static_assert(sizeof(Record) == 64 && offsetof(Record, checksum) == 60);
inline constexpr std::uint32_t kRecordsPerPage = kPageBytes / sizeof(Record);

// crc32c of the record's other bytes, of its slot and of the medium's uuid: a record in a wrong place, or of
// an earlier format, does not verify.
std::uint32_t record_checksum(const Record& record, std::uint32_t slot, const Uuid& uuid) noexcept;

Remembered to_remembered(const Record& record, Slot slot) noexcept;

// "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
std::string uuid_text(const Uuid& uuid);

}  // namespace kelvin::nvme
