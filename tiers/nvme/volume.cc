// See volume.h.
#include "tiers/nvme/volume.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "base/format_text.h"
#include "base/huge_array.h"
#include "tiers/nvme/bulk_read.h"
#include "tiers/nvme/errors.h"

namespace kelvin::nvme {
namespace {

constexpr const char* kOpening = "opening a block volume";
constexpr std::size_t kPagesAtOnce = 256;

Status io_refused(const Status& status, const Medium& medium, const char* what, std::string* why) {
  return refuse(status, why, format_text("{}: {} failed: {}", medium.info().path, what, status.message()));
}

// A page, or zeros where the medium ends before it.
Status read_page(Medium& medium, std::uint64_t offset, Superblock* page) noexcept {
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(page, 1));
  std::ranges::fill(bytes, std::byte{0});
  if (medium.info().bytes < offset + sizeof *page) return {};
  return medium.read(offset, bytes);
}

// Nothing but zeros where our superblocks and those of others lie.
Result<bool> blank(Medium& medium) noexcept {
  const std::uint64_t bytes = medium.info().bytes;
  if (bytes % kPageBytes != 0) return false;
  auto head = HugeArray<std::byte>::make(std::min(bytes, kDataAlignment));
  if (!head.ok()) return head.status();
  const std::span<std::byte> all(head->data(), head->size());
  if (all.empty()) return true;
  if (const Status s = medium.read(0, all); !s.ok()) return s;
  return std::ranges::all_of(all, [](std::byte b) { return b == std::byte{0}; });
}

std::string text_of(const Superblock& page) {
  return {page.model.data(), ::strnlen(page.model.data(), page.model.size())};
}

}  // namespace

Uuid random_uuid() {
  std::random_device random;
  Uuid uuid;
  for (std::uint8_t& byte : uuid) byte = static_cast<std::uint8_t>(random());
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x40);  // version 4, of RFC 4122
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);
  return uuid;
}

Status read_superblock(Medium& medium, Superblock* best, std::string* why) {
  const std::string& path = medium.info().path;
  bool good = false;
  bool damaged = false;
  std::uint32_t other_version = 0;
  for (const std::uint64_t offset : kSuperblockAt) {
    Superblock page;
    if (const Status s = read_page(medium, offset, &page); !s.ok()) {
      return io_refused(s, medium, "reading a superblock", why);
    }
    switch (examine(page)) {
      case PageState::kGood:
        if (!good || page.epoch > best->epoch) *best = page;
        good = true;
        break;
      case PageState::kDamaged: damaged = true; break;
      case PageState::kOtherVersion: other_version = page.version; break;
      default: break;
    }
  }
  if (good && consistent(*best)) return {};
  if (good || damaged) {
    return refuse(
        {Code::kCorrupt, kOpening}, why,
        format_text("{}: both superblocks are damaged: its blocks are lost; begin anew with `kelvin "
                    "nvme format`, or choose another path",
                    path));
  }
  if (other_version != 0) {
    const bool newer = other_version > kFormatVersion;
    return refuse({Code::kInvalid, kOpening}, why,
                  format_text("{}: was made by {} version (format {}, this one knows {}): {}begin anew with "
                              "`kelvin nvme format`, or choose another path",
                              path, newer ? "a newer" : "an older", other_version, kFormatVersion,
                              newer ? "use that version, " : ""));
  }
  const auto empty = blank(medium);
  if (!empty.ok()) return io_refused(empty.status(), medium, "reading the first 2 MiB", why);
  if (*empty) return Status(Code::kNotFound, kOpening);
  return refuse(
      {Code::kInvalid, kOpening}, why,
      format_text("{}: holds something else than blocks: remove it, choose another path, or give it up "
                  "with `kelvin nvme format`",
                  path));
}

Result<Content> examine(Medium& medium, const VolumeConfig& config, std::string* why) {
  Superblock page;
  if (const Status s = read_superblock(medium, &page, why); !s.ok()) {
    if (s.code() == Code::kNotFound) return Content::kNothing;
    return s;
  }
  const Geometry geometry = page.geometry();
  if (geometry.scratch) return Content::kNothing;
  const auto no = [&](const std::string& holds, const std::string& mend) {
    return refuse(
        {Code::kInvalid, kOpening}, why,
        format_text("{}: holds {}: {}, choose another path, or give its blocks up with `kelvin nvme "
                    "format`",
                    medium.info().path, holds, mend));
  };
  if (config.geometry.scratch) {
    return no("blocks that outlive the process, and persist is false", "set persist = true");
  }
  if (page.block_bytes != config.geometry.block_bytes || page.layout != config.layout.fingerprint) {
    return no(format_text("blocks of {} bytes and {} tokens of model \"{}\"", page.block_bytes,
                          page.block_tokens, text_of(page)),
              "set block_bytes, block_tokens and model as they were");
  }
  if (page.slots != config.geometry.slots) {
    return no(format_text("{} slots, and the config asks for {}", page.slots, config.geometry.slots),
              format_text("set capacity = \"{}B\"", geometry.bytes() * page.members));
  }
  if (page.member != config.member || page.members != config.members) {
    return no(format_text("the {}. part of a tier of {} devices", page.member + 1, page.members),
              "name all of them in their order");
  }
  return Content::kBlocks;
}

Volume::Volume(std::unique_ptr<Medium> medium, const Superblock& superblock) noexcept
    : medium_(std::move(medium)), superblock_(superblock), geometry_(superblock.geometry()) {}

Result<std::unique_ptr<Volume>> Volume::open(std::unique_ptr<Medium> medium, const VolumeConfig& config,
                                             Content content, std::string* why) try {
  if (content == Content::kBlocks) {
    auto volume = inspect(std::move(medium), why);
    if (!volume.ok()) return volume.status();
    (*volume)->in_use_ = true;
    const Status s = (*volume)->write_superblocks(false);
    if (!s.ok()) return io_refused(s, (*volume)->medium(), "writing a superblock", why);
    return volume;
  }
  Superblock page;
  page.uuid = random_uuid();
  page.set = config.set;
  page.member = config.member;
  page.members = config.members;
  page.layout = config.layout.fingerprint;
  page.block_bytes = config.geometry.block_bytes;
  page.block_tokens = config.block_tokens;
  page.slots = config.geometry.slots;
  page.flags = config.geometry.scratch ? Superblock::kScratch : 0;
  page.table_offset = config.geometry.scratch ? 0 : kTableOffset;
  page.data_offset = config.geometry.data_offset();
  std::copy_n(config.model.begin(), std::min(config.model.size(), page.model.size()), page.model.begin());
  std::unique_ptr<Volume> volume(new Volume(std::move(medium), page));
  if (const Status s = volume->format(why); !s.ok()) return s;
  return volume;
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, kOpening);
}

Result<std::unique_ptr<Volume>> Volume::inspect(std::unique_ptr<Medium> medium, std::string* why) {
  Superblock page;
  if (const Status s = read_superblock(*medium, &page, why); !s.ok()) {
    if (s.code() == Code::kNotFound) *why = medium->info().path + ": holds nothing yet";
    return s;
  }
  std::unique_ptr<Volume> volume(new Volume(std::move(medium), page));
  if (volume->geometry_.scratch) return volume;
  if (const Status s = volume->load(why); !s.ok()) return s;
  return volume;
}

// Blocks may lie behind the end: they are misses, one by one. Records may not.
Status Volume::load(std::string* why) {
  if (const MediumInfo& info = medium_->info(); info.bytes < geometry_.data_offset()) {
    return refuse({Code::kCorrupt, kOpening}, why,
                  format_text("{}: ends after {}, and its slot table needs {}: give it back its "
                              "length, or begin anew with `kelvin nvme format`",
                              info.path, size_text(info.bytes), size_text(geometry_.data_offset())));
  }
  auto table = SlotTable::make(superblock_);
  if (!table.ok())
    return refuse(table.status(), why, medium_->info().path + ": no memory for its slot table");
  table_ = std::move(table).value();
  if (const Status s = bulk_read(*medium_, kTableOffset, table_->pages(), why); !s.ok()) return s;
  found_ = table_->verify();
  return {};
}

// The superblocks come last: killed before, the medium is blank still.
Status Volume::format(std::string* why) {
  if (!geometry_.scratch) {
    auto table = SlotTable::make(superblock_);
    if (!table.ok())
      return refuse(table.status(), why, medium_->info().path + ": no memory for its slot table");
    table_ = std::move(table).value();
    const std::span<const std::byte> zeros = table_->pages();
    constexpr std::size_t kStep = kPagesAtOnce * kPageBytes;
    for (std::size_t at = 0; at < zeros.size(); at += kStep) {
      const Status s =
          medium_->write(kTableOffset + at, zeros.subspan(at, std::min(kStep, zeros.size() - at)));
      if (!s.ok()) return io_refused(s, *medium_, "writing the slot table", why);
    }
  }
  in_use_ = true;
  const Status s = write_superblocks(false);
  return s.ok() ? s : io_refused(s, *medium_, "writing a superblock", why);
}

// One after the other, so that one of them is whole at any time.
Status Volume::write_superblocks(bool clean) noexcept {
  ++superblock_.epoch;
  superblock_.owner = static_cast<std::uint32_t>(::getpid());
  superblock_.flags &= ~Superblock::kClean;
  if (clean) superblock_.flags |= Superblock::kClean;
  superblock_.checksum = superblock_checksum(superblock_);
  for (std::size_t i = kSuperblockAt.size(); i-- > 0;) {
    const auto bytes = std::as_bytes(std::span(&superblock_, 1));
    if (const Status s = medium_->write(kSuperblockAt[i], bytes); !s.ok()) return s;
    if (const Status s = medium_->flush(); !s.ok()) return s;
  }
  return {};
}

// kBusy: somebody else writes it.
Status Volume::write_page(std::uint32_t page) noexcept {
  struct alignas(kPageBytes) Page {
    std::array<std::byte, kPageBytes> bytes;
  };
  Page copy;
  if (!table_->begin_page(page, copy.bytes)) return {Code::kBusy, "writing a page of the slot table"};
  const Status s = medium_->write(kTableOffset + page * kPageBytes, copy.bytes);
  table_->end_page(page, s.ok());
  return s;
}

Status Volume::write_table() noexcept {
  for (std::uint32_t n = table_->next_dirty(0); n != SlotTable::kNone; n = table_->next_dirty(n + 1)) {
    if (const Status s = write_page(n); !s.ok() && s.code() != Code::kBusy) return s;
  }
  return {};
}

Status Volume::discard(std::span<const std::uint32_t> slots) noexcept try {
  if (table_ != nullptr) {
    // Else, after a crash, a record would name bytes that are there no more.
    std::uint32_t last = SlotTable::kNone;
    for (const std::uint32_t slot : slots) {
      const std::uint32_t page = SlotTable::page_of(slot);
      if (page == last) continue;
      last = page;
      if (table_->settled(page)) continue;
      if (const Status s = write_page(page); !s.ok()) return s;
    }
    if (const Status s = medium_->flush(); !s.ok()) return s;
  }
  std::vector<ByteRange> ranges;
  for (const std::uint32_t slot : slots) {
    const std::uint64_t offset = geometry_.offset(slot);
    const bool continues = !ranges.empty() && ranges.back().offset + ranges.back().bytes == offset;
    if (!continues) ranges.push_back({offset, 0});
    ranges.back().bytes += geometry_.block_bytes;
  }
  return medium_->discard(ranges);
} catch (const std::bad_alloc&) {
  return {Code::kFull, "discarding slots"};
}

Status Volume::close() noexcept {
  if (!std::exchange(in_use_, false)) return {};
  if (table_ != nullptr) {
    if (const Status s = write_table(); !s.ok()) return s;
    if (const Status s = medium_->flush(); !s.ok()) return s;
  }
  return write_superblocks(true);
}

Volume::~Volume() {
  // Nobody is left to be told: what is not on the medium is not found again.
  if (medium_ != nullptr) static_cast<void>(close());
}

}  // namespace kelvin::nvme
