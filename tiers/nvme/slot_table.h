// SlotTable: the records of one medium's slots as memory has them, and which pages of them the medium has yet
// to be given. It does no I/O: who writes pages asks for one, writes it, and says how that went.
//
// Thread contract: any thread, but for `pages` and `verify`, which come before anything else.
// Invariants:
//   1. A page has at most one writer at a time: what a later change says is never overtaken by an earlier
//   one.
//   2. A page is dirty from a change of one of its records until a write that began later has succeeded.
//   3. Generations grow: of two records of one key the one with the larger was written later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/huge_array.h"
#include "base/spin_lock.h"
#include "kelvin/link.h"
#include "kelvin/status.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {

class SlotTable {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  // All slots empty. kFull: no memory.
  static Result<std::unique_ptr<SlotTable>> make(const Superblock& of) noexcept;

  // The whole table, to be filled from the medium.
  std::span<std::byte> pages() noexcept;
  // Takes out what does not verify; the pages of these stay as they are on the medium until they change.
  struct Found {
    std::uint32_t used = 0;
    std::uint32_t damaged = 0;  // neither empty nor a record of this slot
  };
  Found verify() noexcept;

  std::uint32_t slots() const noexcept { return slots_; }
  // False: the slot is empty.
  bool get(std::uint32_t slot, Record* record) const noexcept;
  // The slot holds nothing from now on; false: it held nothing.
  bool clear(std::uint32_t slot) noexcept;
  // Its bytes are those of `copy`, and on the medium.
  void put(std::uint32_t slot, const Copy& copy, std::uint32_t checksum) noexcept;

  static std::uint32_t page_of(std::uint32_t slot) noexcept { return slot / kRecordsPerPage; }
  // Copies a page out for writing. False: somebody is writing it just now.
  bool begin_page(std::uint32_t page, std::span<std::byte, kPageBytes> out) noexcept;
  void end_page(std::uint32_t page, bool written) noexcept;
  // Whether the medium has all that was said of this page.
  bool settled(std::uint32_t page) const noexcept;
  // The first dirty page from `from` on that nobody writes; kNone: there is none.
  std::uint32_t next_dirty(std::uint32_t from) const noexcept;

 private:
  struct PageFlags {
    bool dirty : 1 = false;
    bool busy : 1 = false;
  };
  SlotTable() = default;
  void touch(std::uint32_t slot) noexcept KELVIN_REQUIRES(mu_) { states_[page_of(slot)].dirty = true; }

  // Constant after make.
  std::uint32_t slots_ = 0;
  std::uint64_t layout_ = 0;
  std::uint32_t length_ = 0;
  Uuid uuid_{};

  mutable SpinLock mu_;
  HugeArray<Record> records_ KELVIN_GUARDED_BY(mu_);  // whole pages
  std::vector<PageFlags> states_ KELVIN_GUARDED_BY(mu_);
  std::uint64_t next_generation_ KELVIN_GUARDED_BY(mu_) = 1;
};

}  // namespace kelvin::nvme
