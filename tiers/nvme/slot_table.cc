// See slot_table.h.
#include "tiers/nvme/slot_table.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace kelvin::nvme {

Result<std::unique_ptr<SlotTable>> SlotTable::make(const Superblock& of) noexcept try {
  std::unique_ptr<SlotTable> table(new SlotTable());
  const std::uint64_t pages = of.geometry().table_bytes() / kPageBytes;
  auto records = HugeArray<Record>::make(pages * kRecordsPerPage);
  if (!records.ok()) return records.status();
  const SpinGuard guard(table->mu_);
  table->slots_ = of.slots;
  table->layout_ = of.layout;
  table->length_ = static_cast<std::uint32_t>(of.block_bytes);
  table->uuid_ = of.uuid;
  table->records_ = std::move(records).value();
  table->states_.resize(pages);
  return table;
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "making room for a slot table");
}

std::span<std::byte> SlotTable::pages() noexcept {
  const SpinGuard guard(mu_);
  return std::as_writable_bytes(std::span(records_.data(), records_.size()));
}

SlotTable::Found SlotTable::verify() noexcept {
  const SpinGuard guard(mu_);
  Found found;
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    Record& record = records_[slot];
    if (record.empty()) continue;
    if (record.checksum == record_checksum(record, slot, uuid_) && record.layout == layout_ &&
        record.length == length_ && record.generation != 0) {
      next_generation_ = std::max(next_generation_, record.generation + 1);
      ++found.used;
    } else {
      record = {};
      ++found.damaged;
    }
  }
  return found;
}

bool SlotTable::get(std::uint32_t slot, Record* record) const noexcept {
  const SpinGuard guard(mu_);
  *record = records_[slot];
  return !record->empty();
}

bool SlotTable::clear(std::uint32_t slot) noexcept {
  const SpinGuard guard(mu_);
  if (records_[slot].empty()) return false;
  records_[slot] = {};
  touch(slot);
  return true;
}

void SlotTable::put(std::uint32_t slot, const Copy& copy, std::uint32_t checksum) noexcept {
  Record record;
  record.key = copy.key;
  if (copy.has_parent) record.parent = copy.parent;
  record.layout = layout_;
  record.length = length_;
  record.payload_checksum = checksum;
  record.place = std::min(copy.depth, 0xFFFFu) | (copy.has_parent ? Record::kHasParent : 0);
  const SpinGuard guard(mu_);
  record.generation = next_generation_++;
  record.checksum = record_checksum(record, slot, uuid_);
  records_[slot] = record;
  touch(slot);
}

bool SlotTable::begin_page(std::uint32_t page, std::span<std::byte, kPageBytes> out) noexcept {
  const SpinGuard guard(mu_);
  PageFlags& flags = states_[page];
  if (flags.busy) return false;
  flags.busy = true;
  flags.dirty = false;
  std::memcpy(out.data(), &records_[std::size_t{page} * kRecordsPerPage], kPageBytes);
  return true;
}

void SlotTable::end_page(std::uint32_t page, bool written) noexcept {
  const SpinGuard guard(mu_);
  PageFlags& flags = states_[page];
  flags.busy = false;
  if (!written) flags.dirty = true;
}

bool SlotTable::settled(std::uint32_t page) const noexcept {
  const SpinGuard guard(mu_);
  return !states_[page].dirty && !states_[page].busy;
}

std::uint32_t SlotTable::next_dirty(std::uint32_t from) const noexcept {
  const SpinGuard guard(mu_);
  for (std::uint32_t page = from; page < states_.size(); ++page) {
    if (states_[page].dirty && !states_[page].busy) return page;
  }
  return kNone;
}

}  // namespace kelvin::nvme
