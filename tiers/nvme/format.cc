// See format.h.
#include "tiers/nvme/format.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/format_text.h"
#include "checksum/crc32c.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kMostSlots = std::numeric_limits<std::uint32_t>::max() - 1;

constexpr std::uint64_t up(std::uint64_t value, std::uint64_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

Geometry Geometry::fit(std::uint64_t capacity_bytes, std::uint64_t block_bytes, bool scratch) noexcept {
  Geometry geometry{block_bytes, 0, scratch};
  const auto fits = [&](std::uint64_t count) {
    return count <= kMostSlots &&
           Geometry{block_bytes, static_cast<std::uint32_t>(count), scratch}.bytes() <= capacity_bytes;
  };
  // Too few: the table counts as if it took up to one alignment more than it does.
  const std::uint64_t apart = kTableOffset + 2 * kDataAlignment;
  const std::uint64_t each = block_bytes + (scratch ? 0 : sizeof(Record));
  std::uint64_t slots =
      capacity_bytes > apart ? std::min((capacity_bytes - apart) / each, kMostSlots - 1) : 0;
  while (fits(slots + 1)) ++slots;
  geometry.slots = static_cast<std::uint32_t>(slots);
  return geometry;
}

std::uint64_t Geometry::table_bytes() const noexcept {
  return scratch ? 0 : up(slots * sizeof(Record), kPageBytes);
}

std::uint64_t Geometry::data_offset() const noexcept {
  return up(kTableOffset + table_bytes(), kDataAlignment);
}

std::uint32_t superblock_checksum(const Superblock& page) noexcept {
  const auto* bytes = reinterpret_cast<const std::byte*>(&page);
  constexpr std::size_t kBehind = offsetof(Superblock, checksum) + sizeof page.checksum;
  return crc32c(bytes + kBehind, sizeof page - kBehind, crc32c(bytes, offsetof(Superblock, checksum)));
}

PageState examine(const Superblock& page) noexcept {
  if (page.magic != kMagic) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&page);
    const bool blank = std::all_of(bytes, bytes + sizeof page, [](std::byte b) { return b == std::byte{0}; });
    return blank ? PageState::kBlank : PageState::kForeign;
  }
  if (page.version != kFormatVersion) return PageState::kOtherVersion;
  return page.checksum == superblock_checksum(page) ? PageState::kGood : PageState::kDamaged;
}

bool consistent(const Superblock& page) noexcept {
  constexpr std::uint64_t kMostBytes = 1ULL << 62;  // so that no offset overflows
  const Geometry geometry = page.geometry();
  return page.block_bytes != 0 && page.block_bytes % kPageBytes == 0 && page.block_bytes <= 1ULL << 32 &&
         page.slots != 0 && page.slots <= kMostSlots && page.slots <= kMostBytes / page.block_bytes &&
         page.members != 0 && page.member < page.members &&
         page.table_offset == (geometry.scratch ? 0 : kTableOffset) &&
         page.data_offset == geometry.data_offset();
}

bool Record::empty() const noexcept {
  static constexpr Record kEmpty{};
  return std::memcmp(this, &kEmpty, sizeof *this) == 0;
}

std::uint32_t record_checksum(const Record& record, std::uint32_t slot, const Uuid& uuid) noexcept {
  const std::uint32_t seed = crc32c(&slot, sizeof slot, crc32c(uuid.data(), uuid.size()));
  return crc32c(&record, offsetof(Record, checksum), seed);
}

Remembered to_remembered(const Record& record, Slot slot) noexcept {
  return {.slot = slot,
          .key = record.key,
          .parent = record.parent,
          .has_parent = (record.place & Record::kHasParent) != 0,
          .depth = record.place & 0xFFFF,
          .checksum = record.payload_checksum,
          .written = record.generation};
}

std::string uuid_text(const Uuid& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += format_text("{:02x}", uuid[i]);
  }
  return text;
}

}  // namespace kelvin::nvme
